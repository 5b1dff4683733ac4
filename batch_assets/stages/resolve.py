"""resolve: one final outcome for each item, from the item index and the raw outputs.

A pure fold: delete the results and they are made again without a call. Where another try may help
and the policy allows it, the next wave's shards are written instead, and no results.
"""

from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from batch_assets.domain.batch import Batch, RequestSet
from batch_assets.domain.control import Scope
from batch_assets.domain.outcome import remedy_of
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.files.parquet import create_parquet
from batch_assets.files.results import request_set_of_results
from batch_assets.files.store import Written
from batch_assets.stages.bill import Bill, bill_of, prices_of_waves
from batch_assets.stages.canary import failings
from batch_assets.stages.control import stop_account
from batch_assets.stages.counts import LineCounts
from batch_assets.stages.earlier import EarlierResults
from batch_assets.stages.folding import Folding
from batch_assets.stages.plan import layout_of
from batch_assets.stages.quote import keep_usage
from batch_assets.stages.raw import RawFile
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.results import ResultsSink, Summary, results_schema
from batch_assets.stages.samples import SampleRequest, sample_requests
from batch_assets.stages.waves import collected_waves, plan_next_wave


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The results of a partition as they were written."""

    manifest: Manifest
    request_set: RequestSet
    summary: Summary
    results: Written
    lines: LineCounts
    #: The batches that answered, and the files of their answers.
    batches: Sequence[Batch]
    raw_files: Sequence[RawFile]
    bill: Bill
    #: The requests of the rows that the summary has for a sample.
    sample: Sequence[SampleRequest]
    #: Rows that are not as they were in earlier results of the request set; None where it has none.
    changed: int | None = None

    @property
    def turnaround(self) -> timedelta | None:
        """From the first batch's submission until the last one's end; None where none was sent."""
        begins = [batch.submitted_at for batch in self.batches if batch.submitted_at is not None]
        ends = [batch.ended_at for batch in self.batches if batch.ended_at is not None]
        return max(ends) - min(begins) if begins and ends else None


class _NoResults(Exception):
    """The results are not to take their name: what stands there stays."""


def resolve(deployment: Deployment, recipe: Recipe, request_set: RequestSet) -> Resolution | None:
    """Write the partition's results, or plan the next wave and return None.

    None too where the partition went another way meanwhile: a newer request set took it over, or it
    was cancelled, or taken up again. Every batch of the wave on its way must be collected; of a
    cancelled request set, every batch that was sent. Raises ArtifactError where a stored file is
    missing or damaged.
    """
    layout = layout_of(request_set)
    manifest = read_manifest(deployment.files, layout.manifest)
    waves = collected_waves(deployment, manifest, request_set)
    prices = prices_of_waves(deployment, recipe, request_set, manifest, waves)
    steps = [price.steps for price in prices]
    folding = Folding(recipe, deployment.files, request_set, manifest, waves, steps=steps)
    schema = results_schema(recipe.endpoint.arrow_type)
    earlier = _earlier(deployment.files, layout)
    try:
        with (
            create_parquet(deployment.files, layout.results, schema) as parquet,
            closing(earlier) if earlier else nullcontext(),
        ):
            sink = ResultsSink(manifest, recipe.endpoint.arrow_type, parquet, earlier)
            folding.write(sink)
            asks_again = (folding.again or folding.held) and _may_ask(request_set)
            in_charge = _stands(deployment, request_set)
            if asks_again or not in_charge:
                raise _NoResults
    except _NoResults:
        if in_charge:
            _ask_next_wave(deployment, recipe, request_set, manifest, folding)
        return None
    deployment.ledger.request_sets.resolve(request_set)
    if not _stands(deployment, request_set):
        return None
    folder, summary = folding.folder, sink.summary
    summary.waves = folder.waves
    keep_usage(
        deployment.files,
        recipe,
        request_set.partition_key,
        answers=summary.executions,
        usage=summary.usage,
    )
    return Resolution(
        manifest=manifest,
        request_set=request_set,
        summary=summary,
        results=parquet.written,
        lines=folding.lines(),
        batches=[each.batch for wave in waves for each in wave if each.batch is not None],
        raw_files=list(folder.read.values()),
        bill=bill_of(prices, folder.waves),
        sample=sample_requests(deployment.files, manifest, recipe.packing.envelope),
        changed=None if earlier is None else earlier.changed,
    )


def _earlier(files: Files, layout: RequestSetLayout) -> EarlierResults | None:
    """The results that stand there, where they came from the same request set."""
    if request_set_of_results(files, layout.results) != layout.digest:
        return None
    return EarlierResults(files, layout.results)


def _may_ask(request_set: RequestSet) -> bool:
    """Whether another wave may follow: results that were there before are only made anew."""
    return request_set.cancelled_at is None and request_set.resolved_at is None


def _stands(deployment: Deployment, request_set: RequestSet) -> bool:
    """Whether the partition's results are to come from this request set, as it was folded."""
    current = deployment.ledger.request_sets.current(
        request_set.inference, request_set.partition_key
    )
    return current is not None and _folded(current) == _folded(request_set)


def _folded(request_set: RequestSet) -> tuple[object, ...]:
    """What a fold of it depends on."""
    stands = (request_set.wave, request_set.cancelled_at, request_set.rescued_at)
    return (request_set.id, *stands)


def _ask_next_wave(
    deployment: Deployment,
    recipe: Recipe,
    request_set: RequestSet,
    manifest: Manifest,
    folding: Folding,
) -> None:
    """Plan the next wave, after its wait. Where the account is refused, it is stopped before."""
    asked_by = deployment.of(folding.account or deployment.provider.account)
    if folding.trouble is not None and _is_news(asked_by, folding.ended_at()):
        trouble = folding.trouble
        stop_account(
            asked_by,
            f"the provider refused the account for {trouble.requests:,} requests of partition "
            f"{request_set.partition_key} of {request_set.inference} ({trouble.error_code}: "
            f"{trouble.message}): {remedy_of(trouble.error_code)}",
        )
    if not folding.again:
        _judge_canary(deployment, recipe, request_set, manifest, folding)
        return
    seed = f"{request_set.inference}/{request_set.partition_key}/{request_set.digest}"
    wait = recipe.retries.wait_before(request_set.wave + 1, seed)
    # What is late already waits for nothing.
    not_before = None if request_set.awaits_rescue else deployment.ledger.clock() + wait
    wanted = np.frombuffer(folding.again, dtype=np.int64)
    plan_next_wave(deployment, recipe, request_set, manifest, wanted, not_before=not_before)


def _judge_canary(
    deployment: Deployment,
    recipe: Recipe,
    request_set: RequestSet,
    manifest: Manifest,
    folding: Folding,
) -> None:
    """Everything of the canary is answered for good: plan the rest, or hold it back."""
    wanting = failings(deployment, recipe, request_set, manifest, folding)
    if wanting:
        deployment.ledger.request_sets.hold_canary(request_set, " ".join(wanting))
        return
    held = np.frombuffer(folding.held, dtype=np.int64)
    plan_next_wave(deployment, recipe, request_set, manifest, held, releases_canary=True)


def _is_news(deployment: Deployment, ended_at: datetime | None) -> bool:
    """Whether nobody has resumed the account since the batches ended that it was refused in."""
    scope = Scope(account=deployment.provider.account)
    resumed_at = deployment.ledger.pauses.lifted_at(scope)
    return resumed_at is None or ended_at is None or ended_at >= resumed_at
