"""A deployment in a test: a sandbox over HTTP, a ledger, a store and a Dagster instance of its own.

One clock moves the provider and the ledger, so that a batch of hours takes no time.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from factories import Kind, a_corpus, a_table
from pydantic import BaseModel, create_model

import batch_assets as ba
from batch_assets.assets import collect_assets, submit_assets
from batch_assets.assets.specs import inference_specs
from batch_assets.jobs import inference_jobs
from batch_assets.ledger import Ledger
from batch_assets.operations.sensors import SENSOR_NAME
from batch_assets.partitions import partitions_of
from batch_assets.sandbox import (
    HttpError,
    ManualClock,
    RunningSandbox,
    ScriptedFaults,
    running_sandbox,
)
from batch_assets.sandbox.fault_script import RouteName
from batch_assets.sandbox.settings import Settings

LATENCY = 100.0
OPERATOR_JOBS = {
    "pause_batches",
    "resume_batches",
    "cancel_batches",
    "approve_batches",
    "decide_batch",
}
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


class Script(ScriptedFaults):
    """Misbehaves where a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        self.clear()
        self._failing: set[str] = set()
        self._failed: set[str] = set()

    def refuse(self, route: RouteName, *statuses: int) -> None:
        """Answer the next calls of the route with these status codes."""
        for status in statuses:
            error = HttpError(status=status, message=f"scripted {status}", retry_after=0.001)
            self.calls(route, error)

    def fail_once(self, ordinal: int) -> None:
        """Answer requests of this ordinal with a server error when they are asked first."""
        self._failing.add(f"-{ordinal}")

    def on_item(self, batch_id: str, custom_id: str) -> dict[str, Any] | None:
        if custom_id in self._failed or not custom_id.endswith(tuple(self._failing)):
            return None
        self._failed.add(custom_id)
        error = {"message": "scripted", "type": "server_error", "param": None, "code": None}
        response = {"status_code": 500, "request_id": "r", "body": {"error": error}}
        return {"id": "l", "custom_id": custom_id, "response": response, "error": None}


@dataclass(kw_only=True)
class World:
    """Everything outside of the assets, and a shorthand for what a person does in the UI."""

    folder: Path
    clock: ManualClock
    script: Script
    sandbox: RunningSandbox
    instance: dg.DagsterInstance
    ledger: Ledger
    ledger_url: str
    #: Definitions that runs and ticks are made of.
    defs: dg.Definitions = field(default_factory=dg.Definitions)

    def corpus(self, name: str = "words", **partitions: int | Sequence[str]) -> ba.FileCorpus:
        """A Parquet file per partition: so many words, or these."""
        for key, words in partitions.items():
            if isinstance(words, int):
                words = [f"oak {number} of {key}" for number in range(words)]
            ids = [f"{key}-{number}" for number in range(len(words))]
            table = a_table(len(words), id=ids, word=words)
            corpus = a_corpus(self.folder / "corpus" / name, table, key=key)
        return corpus

    def inference(self, corpus: ba.FileCorpus, **over: Any) -> ba.Inference:
        """A valid declaration over the corpus."""
        declared = {
            "name": "words",
            "prompt": ba.Prompt(user="Word: {{ word }}"),
            "model": "gpt-4.1-mini",
            "output": Kind,
        }
        return ba.Inference(corpus=corpus, **{**declared, **over})

    def declare(
        self,
        *inferences: ba.Inference,
        assets: Sequence[dg.AssetsDefinition] = (),
        **resources: Any,
    ) -> dg.Definitions:
        """Make these the definitions of the code location."""
        mine = self.resources(**resources)
        return self.load(
            *map(ba.batch_inference, inferences), dg.Definitions(assets=assets, resources=mine)
        )

    def declare_waiting(
        self, inference: ba.Inference, sleep: Callable[[float], None], **resources: Any
    ) -> dg.Definitions:
        """The same, with what a waiting run does instead of sleeping."""
        recipe, partitions = inference.recipe(), partitions_of(inference.corpus, inference.name)
        specs = inference_specs(recipe, provider=inference.provider)
        submit = submit_assets(recipe, specs, partitions)
        collect = collect_assets(recipe, specs, partitions, sleep=sleep)
        jobs = inference_jobs(recipe, specs, partitions)
        defs = dg.Definitions(
            assets=[submit, collect], jobs=jobs, resources=self.resources(**resources)
        )
        return self.load(defs)

    def defs_without_sensor(self) -> dg.Definitions:
        """What was declared, to be loaded again with something more."""
        loaded = self.defs
        jobs = [job for job in loaded.jobs or [] if job.name not in OPERATOR_JOBS]
        return dg.Definitions(assets=loaded.assets, jobs=jobs, resources=loaded.resources)

    def output_type(self, **fields: Any) -> type[BaseModel]:
        """An output type of these fields."""
        return create_model("Output", **fields)

    def load(self, *parts: dg.Definitions) -> dg.Definitions:
        self.defs = ba.with_operations(dg.Definitions.merge(*parts))
        return self.defs

    def resources(self, **over: Any) -> dict[str, Any]:
        mine = {
            "batch_ledger": self.ledger,
            "batch_files": ba.BatchFilesIOManager(root=str(self.folder / "files")),
            "openai": ba.OpenAIResource(api_key="sk-test", base_url=self.sandbox.base_url),
        }
        return {**mine, **over}

    def run(
        self,
        *names: str,
        partition: str | None = None,
        between: tuple[str, str] | None = None,
        inference: str = "words",
        tags: Mapping[str, str] = {},
        **collect_config: Any,
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets of an inference, all of them where none is named."""
        if between is not None:
            tags = {**tags, RANGE_START: between[0], RANGE_END: between[1]}
        config = {"ops": {f"{inference}__collect": {"config": collect_config}}}
        return self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey([inference, name]) for name in names] or None,
            partition_key=partition,
            tags=dict(tags),
            run_config=config if collect_config else None,
            instance=self.instance,
            raise_on_error=False,
        )

    def submit(self, *between: str, **over: Any) -> dg.ExecuteInProcessResult:
        """Send the partitions from the first to the last named."""
        return self.run("requests", "batches", between=(between[0], between[-1]), **over)

    def reason_of(self, result: dg.ExecuteInProcessResult) -> str:
        """Why a run failed."""
        [event] = [event for event in result.all_events if event.is_step_failure]
        return event.step_failure_data.user_failure_data.description

    def states(self, partition: str) -> list[str]:
        """Of the partition's batches, in the order they were planned."""
        batches = self.ledger.batches(partition=("words", partition))
        return [str(batch.state) for batch in batches]

    def run_asset(self, name: str, partition: str | None = None) -> dg.ExecuteInProcessResult:
        """Materialize an asset of the user's own."""
        return self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey(name)], partition_key=partition, instance=self.instance
        )

    def tick(self) -> Any:
        """One tick of the poll sensor: its run requests, or its skip message."""
        sensor = self.defs.resolve_sensor_def(SENSOR_NAME)
        with dg.build_sensor_context(
            instance=self.instance, definitions=self.defs, resources=dict(self.defs.resources or {})
        ) as context:
            return sensor.evaluate_tick(context)

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """The run that the sensor asked for."""
        job = self.defs.resolve_job_def(str(request.job_name))
        return job.execute_in_process(
            partition_key=request.partition_key,
            tags=dict(request.tags),
            run_config=dict(request.run_config),
            instance=self.instance,
            raise_on_error=False,
        )

    def order(self, job: str, **config: Any) -> dg.ExecuteInProcessResult:
        """Run an operator's job as a person fills it in."""
        return self.defs.resolve_job_def(job).execute_in_process(
            run_config=config,
            instance=self.instance,
            raise_on_error=False,
        )

    def observations(self, partition: str, inference: str = "words") -> list[dg.AssetObservation]:
        """Of one partition's batches, the newest first."""
        wanted = dg.AssetRecordsFilter(
            asset_key=self.key("batches", inference), asset_partitions=[partition]
        )
        records = self.instance.fetch_observations(wanted, limit=100).records
        return [record.asset_observation for record in records]

    def finish(self) -> None:
        """Let every batch that is with the provider be done."""
        self.clock.advance(LATENCY)

    def collect(self) -> list[dg.ExecuteInProcessResult]:
        """The provider is done; the sensor ticks, and its runs run."""
        self.finish()
        return [self.launch(request) for request in self.tick().run_requests]

    def key(self, name: str, inference: str = "words") -> dg.AssetKey:
        return dg.AssetKey([inference, name])

    def materializations(
        self, name: str, partition: str, inference: str = "words"
    ) -> list[dg.AssetMaterialization]:
        """Of one partition, the newest first."""
        wanted = dg.AssetRecordsFilter(
            asset_key=self.key(name, inference), asset_partitions=[partition]
        )
        records = self.instance.fetch_materializations(wanted, limit=100).records
        return [record.asset_materialization for record in records]

    def materialized(self, name: str, inference: str = "words") -> set[str]:
        """Partitions that were materialized."""
        return set(self.instance.get_materialized_partitions(self.key(name, inference)))

    def data_version(self, name: str, partition: str) -> str:
        newest, *_ = self.materializations(name, partition)
        return newest.tags["dagster/data_version"]

    def sent(self) -> int:
        """Batches that the provider was asked to make."""
        return int(self.sandbox.state.executions()["batches_created"])


@pytest.fixture(scope="session")
def served_world() -> Iterator[tuple[RunningSandbox, ManualClock, Script]]:
    """The session's sandbox, with whatever an earlier test left in it."""
    clock, script = ManualClock(), Script()
    with running_sandbox(clock=clock, faults=script, latency=LATENCY) as running:
        yield running, clock, script


@pytest.fixture(scope="session")
def session_instance() -> Iterator[dg.DagsterInstance]:
    """Where every run of the session is noted: to make one takes as long as a short run."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def instance(session_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """One that has seen nothing."""
    # Its own `wipe` leaves cursors and what checks found.
    with session_instance.event_log_storage.index_connection() as connection:
        for table in reversed(SqlEventLogStorageMetadata.sorted_tables):
            connection.execute(table.delete())
    with session_instance.run_storage.connect() as connection:
        for table in reversed(RunStorageSqlMetadata.sorted_tables):
            connection.execute(table.delete())
    return session_instance


@pytest.fixture
def world(
    tmp_path: Path,
    served_world: tuple[RunningSandbox, ManualClock, Script],
    instance: dg.DagsterInstance,
    migrated: Path,
) -> Iterator[World]:
    sandbox, clock, script = served_world
    script.forget()
    sandbox.state.reset()
    sandbox.state.settings = Settings(latency=LATENCY)
    clock.restart(time.time())

    def now() -> datetime:
        return datetime.fromtimestamp(clock.now(), UTC)

    shutil.copy(migrated, tmp_path / "ledger.db")
    ledger_url = f"sqlite:///{tmp_path}/ledger.db"
    ledger = Ledger.open(ledger_url, now)
    yield World(
        folder=tmp_path,
        clock=clock,
        script=script,
        sandbox=sandbox,
        instance=instance,
        ledger=ledger,
        ledger_url=ledger_url,
    )
    ledger.close()
