"""The assets `raw_outputs`, `results` and `bundle`: what came back, what it means, what is kept."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from batch_assets.assets.deployment import deployment_of
from batch_assets.assets.events import Failures, Materialized
from batch_assets.assets.keys import BACKFILL_TAG, COLLECT_POOL, InferenceKeys
from batch_assets.assets.metadata import (
    bundle_metadata,
    pending_metadata,
    raw_outputs_metadata,
)
from batch_assets.assets.money import known
from batch_assets.assets.partitions_per_run import PartitionsPerRun
from batch_assets.assets.progress import batch_counts, progress_metadata
from batch_assets.assets.results_metadata import results_metadata
from batch_assets.assets.specs import InferenceSpecs
from batch_assets.checks import blocked, check_event, check_specs
from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.control import WaitKind
from batch_assets.domain.errors import (
    AccountRefused,
    ArtifactError,
    BatchAssetsError,
    TransientError,
)
from batch_assets.stages.advance import Pending, advance, wave_progress
from batch_assets.stages.expected import Expected, expected_of
from batch_assets.stages.export import export
from batch_assets.stages.lease import held
from batch_assets.stages.plan import layout_of, live_batches
from batch_assets.stages.poll import poll_if_overdue
from batch_assets.stages.quality import Examination, rules_of
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.rescue import RescueNews
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.results import results_schema

#: Lets run retries, where dagster.yaml has them on, take up a run whose step failed (as above).
RETRY_INTERRUPTED = "dagster/retry_on_asset_or_op_failure"

#: How often a waiting run looks at the ledger.
LOOK_EVERY = timedelta(seconds=5)


class CollectConfig(dg.Config):
    """Run configuration of the collecting assets."""

    wait: bool | None = Field(
        default=None,
        description="Stay until the results are there. Left out, a run of a backfill stays, since "
        "Dagster ends a backfill as failed where a partition is skipped, and any other run ends "
        "at once; the sensor brings the results later.",
    )
    partition_keys: list[str] = Field(
        default_factory=list,
        description="Of the run's range, collect only these partitions. Empty means all.",
    )


def collect_assets(
    recipe: Recipe,
    specs: InferenceSpecs,
    partitions: dg.PartitionsDefinition[str],
    *,
    partitions_per_run: int = PartitionsPerRun.collect,
    sleep: Callable[[float], None] = time.sleep,
) -> dg.AssetsDefinition:
    """The multi-asset of `raw_outputs`, `results` and `bundle`."""
    keys = specs.keys

    @dg.multi_asset(
        name=keys.collect_op,
        specs=specs.collected,
        check_specs=check_specs(keys.results, rules_of(recipe), partitions),
        partitions_def=partitions,
        can_subset=True,
        pool=COLLECT_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(partitions_per_run),
        required_resource_keys=keys.resources,
    )
    def collect_(context: dg.AssetExecutionContext, config: CollectConfig) -> Iterator[Any]:
        def all_partitions() -> Sequence[str]:
            return partitions.get_partition_keys(dynamic_partitions_store=context.instance)

        deployment = deployment_of(context, keys)
        examination = Examination(deployment.ledger, deployment.files, recipe, all_partitions)
        if not context.selected_asset_keys:
            yield from _check_again(context, examination, keys, all_partitions)
            return
        run = _CollectRun(context, config, recipe, specs, deployment, examination, sleep)
        with run.in_hands():
            yield from run.events()
        run.failures.raise_any("collect")

    return collect_


def _check_again(
    context: dg.AssetExecutionContext,
    examination: Examination,
    keys: InferenceKeys,
    all_partitions: Callable[[], Sequence[str]],
) -> Iterator[Any]:
    """Check results as they are, without a call: a run that selects checks and no asset.

    The button of Dagster's that executes a check names no partition: it means all of them.
    """
    wanted = context.partition_keys if context.run.is_partitioned else all_partitions()
    there = [key for key in wanted if examination.has_results(key)]
    if not there:
        raise dg.Failure(
            f"no partition has results to check: materialize {keys.results.to_user_string()}",
            allow_retries=False,
        )
    failures = Failures(context)
    selected = {check.name for check in context.selected_asset_check_keys}
    for partition_key in there:
        with failures.of(partition_key):
            for evaluation in examination.of(partition_key):
                if evaluation.name in selected:
                    yield check_event(keys.results, partition_key, evaluation)
    failures.raise_any("checking")


class _CollectRun:
    """One run: takes its partitions forward until each is resolved, failed, or left to wait."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        config: CollectConfig,
        recipe: Recipe,
        specs: InferenceSpecs,
        deployment: Deployment,
        examination: Examination,
        sleep: Callable[[float], None],
    ) -> None:
        self._context = context
        self._recipe = recipe
        self._specs = specs
        self._keys = specs.keys
        self._sleep = sleep
        self._deployment = deployment
        self._examination = examination
        in_backfill = BACKFILL_TAG in context.run.tags
        self._wait = in_backfill if config.wait is None else config.wait
        self._assets = _assets_to_make(context, specs.keys)
        self._told: dict[str, tuple[str, WaitKind | None]] = {}
        #: What is known of the account's turnaround; read once for all partitions of a look.
        self._expected: Expected | None = None
        wanted = set(config.partition_keys)
        self._open = [key for key in context.partition_keys if not wanted or key in wanted]
        self.failures = Failures(context)

    @contextmanager
    def in_hands(self) -> Iterator[None]:
        """Hold the run's partitions, and let Dagster take the run up again where it is stopped."""
        context, deployment = self._context, self._deployment
        with held(deployment.ledger, self._keys.inference, self._open, holder=deployment.owner):
            try:
                yield
            except dg.DagsterExecutionInterruptedError:
                # Dagster is being restarted. Without the tag that counts as a failed step, which
                # is not tried again, and the backfill would end as failed.
                context.instance.add_run_tags(context.run.run_id, {RETRY_INTERRUPTED: "true"})
                raise

    def events(self) -> Iterator[Any]:
        """What the run has to tell Dagster, as it happens."""
        while True:
            self._expected = None
            for partition_key in list(self._open):
                try:
                    yield from self._advance(partition_key)
                except BatchAssetsError as error:
                    self._note_trouble(partition_key, error)
            if not self._open or not self._wait:
                return
            self._sleep(LOOK_EVERY.total_seconds())
            self._poll_if_overdue()

    def _poll_if_overdue(self) -> None:
        """The sensor asks the provider; where it is switched off, a waiting run does."""
        try:
            poll_if_overdue(self._deployment)
        except BatchAssetsError as error:
            self._context.log.warning(str(error))

    def _note_trouble(self, partition_key: str, error: BatchAssetsError) -> None:
        """Fail the partition, unless this run waits and waiting can help."""
        if self._wait and isinstance(error, TransientError | AccountRefused):
            self._context.log.warning(f"{partition_key}: {error}")
            return
        self.failures.add(partition_key, error)
        self._open.remove(partition_key)

    def _advance(self, partition_key: str) -> Iterator[Any]:
        deployment, keys = self._deployment, self._keys
        request_set = deployment.ledger.request_sets.current(keys.inference, partition_key)
        if request_set is None:
            raise ArtifactError(
                f"nothing of partition {partition_key} was ever submitted: materialize "
                f"{keys.batches.to_user_string()} first"
            )
        state = advance(
            deployment,
            self._recipe,
            request_set,
            on_rescue=lambda news: self._say_rescue(partition_key, news),
        )
        if isinstance(state, Pending):
            if state.progress.stopped and not state.progress.open:
                raise ArtifactError(_why_stopped(deployment, state))
            yield from self._say_pending(partition_key, state)
            return
        batches = live_batches(deployment, state.request_set)
        yield self._say_collected(partition_key, state, batches)
        for materialized in self._brought(partition_key, state, batches):
            yield self._event(materialized)
        if self._assets & {keys.results, keys.bundle}:
            yield from self._checked(partition_key)
        if keys.bundle in self._assets:
            yield self._event(self._exported(partition_key, state))
        self._open.remove(partition_key)

    def _event(self, materialized: Materialized) -> Any:
        is_selected = materialized.key in self._context.selected_asset_keys
        return (materialized.event if is_selected else materialized.logged)(self._context)

    def _say_pending(self, partition_key: str, state: Pending) -> Iterator[Any]:
        """Log where the partition stands, and observe it where that is news to this run."""
        waiting_for = state.waiting_for
        stands = (str(state.progress), None if waiting_for is None else waiting_for.kind)
        if self._told.get(partition_key) == stands:
            return
        self._told[partition_key] = stands
        ending = "waiting" if self._wait else "the sensor collects it when the provider is done"
        why = "" if waiting_for is None else f" (for {waiting_for.kind}: {waiting_for.reason})"
        self._context.log.info(f"{partition_key}: {state.progress}{why}; {ending}")
        ledger = self._deployment.ledger
        found = ledger.polls.progress([self._keys.inference], request_set=state.request_set.id)
        news = {each.request_set: each.stage for each in found if each.is_news}
        if self._wait and found and not news and waiting_for is None:
            return  # batches said so when they were sent, or the sensor since
        ledger.polls.tell(news)
        now = ledger.clock()
        metadata = dict(
            pending_metadata(state, live_batches(self._deployment, state.request_set), now)
        )
        for each in found:
            if self._expected is None:
                self._expected = expected_of(ledger, self._deployment.provider.account)
            metadata |= progress_metadata(each, self._expected, now)
        yield dg.AssetObservation(
            asset_key=self._keys.batches, partition=partition_key, metadata=metadata
        )

    def _say_rescue(self, partition_key: str, news: RescueNews) -> None:
        """Tell at once what is asked live: that costs more, and may take its time."""
        self._context.log.warning(f"{partition_key}: {news.said}")
        usd = None if news.quote is None else news.quote.usd
        metadata = {
            "stragglers": news.said,
            **known("stragglers_requests", news.requests or None),
            **known("stragglers_usd", None if usd is None else float(usd)),
        }
        self._context.log_event(
            dg.AssetObservation(
                asset_key=self._keys.batches, partition=partition_key, metadata=metadata
            )
        )

    def _say_collected(
        self, partition_key: str, state: Resolution, batches: Sequence[Batch]
    ) -> dg.AssetMaterialization | dg.AssetObservation:
        """What `batches` show from now on: materialized, where their own run failed before they
        were sent after all.
        """
        keys, deployment = self._keys, self._deployment
        request_set, digest = state.request_set, state.manifest.digest
        done = Pending(request_set=request_set, progress=wave_progress(deployment, request_set))
        # Dagster shows it merged with what was observed before.
        metadata = {
            **pending_metadata(done, batches, deployment.ledger.clock()),
            **batch_counts(done.progress),
        }
        sent = Materialized(
            key=keys.batches,
            partition_key=partition_key,
            data_version=digest,
            metadata=metadata,
            code_version=self._specs.code_version(keys.batches),
            inputs={keys.requests: digest},
        )
        if sent.is_news(self._context):
            return sent.logged(self._context)
        return dg.AssetObservation(
            asset_key=keys.batches, partition=partition_key, metadata=metadata
        )

    def _checked(self, partition_key: str) -> Iterator[dg.AssetCheckEvaluation]:
        """The checks of the results, which stand before the bundle, whatever the run selects.

        Raises BlockedByChecks.
        """
        evaluations = self._examination.of(partition_key)
        for evaluation in evaluations:
            yield check_event(self._keys.results, partition_key, evaluation)
        if (why := blocked(evaluations, ask_again=self._keys.ask_again_job)) is not None:
            raise why

    def _brought(
        self, partition_key: str, state: Resolution, batches: Sequence[Batch]
    ) -> Iterator[Materialized]:
        """What came back and what it means, of what is to be made."""
        keys, selected = self._keys, self._assets
        files, layout = self._deployment.files, layout_of(state.request_set)
        raw_version, now = _raw_version(batches), self._deployment.ledger.clock()
        schema = results_schema(self._recipe.endpoint.arrow_type)
        if keys.raw_outputs in selected:
            yield Materialized(
                key=keys.raw_outputs,
                partition_key=partition_key,
                data_version=raw_version,
                code_version=self._specs.code_version(keys.raw_outputs),
                metadata=raw_outputs_metadata(state, batches, files, now),
                inputs={keys.batches: state.manifest.digest},
            )
        if keys.results in selected:
            yield Materialized(
                key=keys.results,
                partition_key=partition_key,
                data_version=state.results.sha256,
                code_version=self._specs.code_version(keys.results),
                metadata=results_metadata(state, schema, files.url(layout.results)),
                inputs={keys.raw_outputs: raw_version},
            )

    def _exported(self, partition_key: str, state: Resolution) -> Materialized:
        files = self._deployment.files
        folder, bundle = export(self._deployment, state.request_set)
        return Materialized(
            key=self._keys.bundle,
            partition_key=partition_key,
            data_version=folder.rsplit("/", 1)[-1],
            code_version=self._specs.code_version(self._keys.bundle),
            metadata=bundle_metadata(files.url(folder), bundle),
            inputs={self._keys.results: state.results.sha256},
        )


def _assets_to_make(
    context: dg.AssetExecutionContext, keys: InferenceKeys
) -> AbstractSet[dg.AssetKey]:
    """What the run selects, and what else its backfill wants of the same partitions.

    Where partitions are collected while others are still submitted, Dagster's daemon launches runs
    of raw_outputs alone, and takes what else such a run makes for made.
    """
    selected: AbstractSet[dg.AssetKey] = context.selected_asset_keys
    backfill_id = context.run.tags.get(BACKFILL_TAG)
    backfill = context.instance.get_backfill(backfill_id) if backfill_id else None
    targets = set() if backfill is None else set(backfill.asset_selection or ())
    return selected | (targets & keys.collected if selected else set())


def _raw_version(batches: Sequence[Batch]) -> str:
    """Other batches hold other answers; what a batch holds never changes."""
    ids = "\n".join(batch.provider_id or "" for batch in batches)
    return hashlib.sha256(ids.encode()).hexdigest()


def _why_stopped(deployment: Deployment, state: Pending) -> str:
    refused = deployment.ledger.batches(
        request_set=state.request_set.id, states={BatchState.ABANDONED}
    )
    return (
        f"the provider refused {state.progress.stopped} batch(es) for good: {refused[-1].reason} "
        "Once that is put right, materialize batches again: only what was refused is sent."
    )
