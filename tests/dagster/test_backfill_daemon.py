"""Dagster's backfill daemon over the example inference, its iterations called one by one.

Its runs are executed in this process, and nothing sleeps: the sandbox is done with a batch as soon
as it has it.
"""

import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.execution.api import execute_run
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context, instance_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._utils.hosted_user_process import recon_job_from_origin
from starlette.responses import JSONResponse

from batch_assets.definitions import defs
from batch_assets.sandbox import Faults, RunningSandbox, running_sandbox

# The daemon calls a function of Dagster's that Dagster deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Function `AssetSelection.sources` is deprecated:DeprecationWarning"
)

SUBMITTED = {"requests", "batches"}
COLLECTED = {"raw_outputs", "results", "bundle"}
PARTITIONS = ["c-d", "e-h"]

LOCATION = InProcessCodeLocationOrigin(
    loadable_target_origin=LoadableTargetOrigin(
        executable_path=sys.executable, module_name="batch_assets.definitions"
    ),
    location_name="batch_assets",
)
#: Runs are left to the test, in place of processes of their own.
OVERRIDES = {
    "run_launcher": {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"},
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "DefaultRunCoordinator",
    },
}


class RefusingOnce(Faults):
    """Refuses the creation of one batch, when it is told to."""

    def __init__(self) -> None:
        self.armed = False

    def on_route(self, route: str) -> Any:
        if route != "batches.create" or not self.armed:
            return None
        self.armed = False
        error = {
            "message": "scripted",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
        return JSONResponse({"error": error}, status_code=400)


@dataclass
class Daemon:
    """The daemon's hands on one instance and one workspace."""

    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext
    sandbox: RunningSandbox
    faults: RefusingOnce

    def backfill(self, assets: set[str], backfill_id: str = "first") -> None:
        """Ask for a backfill of these assets, as the UI's dialog does."""
        self.instance.add_backfill(
            PartitionBackfill.from_asset_partitions(
                backfill_id=backfill_id,
                asset_graph=self.workspace.create_request_context().asset_graph,
                partition_names=PARTITIONS,
                asset_selection=[dg.AssetKey(["glosses", name]) for name in assets],
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=self.instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
        )

    def iterate(self, backfill_id: str = "first") -> BulkActionStatus:
        """One iteration; the status of a backfill after it."""
        logger = logging.getLogger("test")
        errors = [error for error in execute_backfill_iteration(self.workspace, logger) if error]
        assert errors == []
        return self.instance.get_backfill(backfill_id).status

    def execute(self) -> list[set[str]]:
        """Execute the runs that were launched; which assets each was for."""
        launched = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])
        runs = self.instance.get_runs(filters=launched)
        for run in runs:
            execute_run(recon_job_from_origin(run.job_code_origin), run, self.instance)
        return [{key.path[-1] for key in run.asset_selection} for run in runs]

    def tick(self) -> list[dg.RunRequest]:
        """What the poll sensor asks for, once it has polled the sandbox."""
        loaded = defs()
        with dg.build_sensor_context(
            instance=self.instance, definitions=loaded, resources=dict(loaded.resources)
        ) as context:
            return loaded.resolve_sensor_def("batch_poll").evaluate_tick(context).run_requests

    def materialized(self, name: str) -> set[str]:
        return set(self.instance.get_materialized_partitions(dg.AssetKey(["glosses", name])))

    def sent(self) -> int:
        return int(self.sandbox.state.executions()["batches_created"])


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch) -> Iterator[Daemon]:
    faults = RefusingOnce()
    # Dagster keeps the definitions that it loaded last, which are of another test's folder.
    ReconstructableJob.get_repository_definition.cache_clear()
    ReconstructableJob.get_definition.cache_clear()
    with running_sandbox(tmp_path / "sandbox", latency=0, faults=faults) as sandbox:
        monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
        monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", sandbox.base_url)
        monkeypatch.setenv("BATCH_ASSETS_HOME", str(tmp_path / "home"))
        target = InProcessWorkspaceLoadTarget(LOCATION)
        with (
            instance_for_test(overrides=OVERRIDES, temp_dir=str(tmp_path)) as instance,
            create_test_daemon_workspace_context(target, instance) as workspace,
        ):
            yield Daemon(instance=instance, workspace=workspace, sandbox=sandbox, faults=faults)


def test_a_backfill_of_everything_submits_in_one_run_and_collects_in_the_next(daemon):
    daemon.backfill(SUBMITTED | COLLECTED)

    daemon.iterate()
    submitting = daemon.execute()
    daemon.tick()
    daemon.iterate()
    collecting = daemon.execute()
    status = daemon.iterate()

    assert submitting == [SUBMITTED]
    assert collecting == [COLLECTED]
    assert status is BulkActionStatus.COMPLETED_SUCCESS
    assert daemon.materialized("bundle") == set(PARTITIONS)
    assert daemon.sent() == 2


def test_the_sensor_leaves_to_a_backfill_what_its_run_is_going_to_collect(daemon):
    daemon.backfill(SUBMITTED | COLLECTED)
    daemon.iterate()
    daemon.execute()
    daemon.iterate()

    assert daemon.tick() == []


def test_a_backfill_of_batches_alone_ends_at_once_and_the_sensor_collects(daemon):
    daemon.backfill(SUBMITTED)
    daemon.iterate()
    daemon.execute()

    status = daemon.iterate()
    [request] = daemon.tick()

    assert status is BulkActionStatus.COMPLETED_SUCCESS
    assert request.run_config["ops"]["glosses__collect"]["config"]["partition_keys"] == PARTITIONS


def test_a_partition_that_the_provider_refuses_fails_alone_in_its_backfill(daemon):
    daemon.faults.armed = True
    daemon.backfill(SUBMITTED | COLLECTED)

    for _ in range(2):
        daemon.iterate()
        daemon.execute()
        daemon.tick()
    status = daemon.iterate()

    assert status is BulkActionStatus.COMPLETED_FAILED
    assert daemon.materialized("requests") == set(PARTITIONS)
    assert daemon.materialized("batches") == daemon.materialized("results") == {"e-h"}


def test_a_backfill_that_is_repeated_buys_nothing_again(daemon):
    for backfill_id in ("first", "second"):
        daemon.backfill(SUBMITTED | COLLECTED, backfill_id)
        for _ in range(2):
            daemon.iterate(backfill_id)
            daemon.execute()
            daemon.tick()

    assert daemon.iterate("second") is BulkActionStatus.COMPLETED_SUCCESS
    assert daemon.sent() == 2
