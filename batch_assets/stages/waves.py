"""The waves of a request set: what each brought, and the next one."""

import math
from collections.abc import Callable
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.domain.batch import BatchState, RequestSet
from batch_assets.domain.errors import LedgerError
from batch_assets.domain.outcome import Failure
from batch_assets.domain.request import custom_id_prefix
from batch_assets.domain.wave import RetryPolicy
from batch_assets.files.manifest import Manifest, write_shards
from batch_assets.stages.asked import asked_by
from batch_assets.stages.fold import Collected, Flags
from batch_assets.stages.plan import layout_of, plan, provider_of_the_next, shards_of_wave
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.requests import RequestSink
from batch_assets.stages.shards import create_shards


def collected_waves(
    deployment: Deployment,
    manifest: Manifest,
    request_set: RequestSet,
    *,
    is_settled: bool = False,
) -> list[list[Collected]]:
    """The shards of each wave with the batches that answered them.

    Where the request set was cancelled, its stragglers are to be asked live, or it is known to be
    settled, a shard may have none. Raises LedgerError where the wave on its way has not brought
    everything.
    """
    batches = {
        (batch.wave, batch.shard): batch
        for batch in deployment.ledger.batches(
            request_set=request_set.id, states={BatchState.COLLECTED}
        )
    }
    may_lack = is_settled or request_set.awaits_rescue or request_set.cancelled_at is not None
    waves = []
    for wave in range(request_set.wave + 1):
        shards = shards_of_wave(deployment.files, manifest, wave)
        found = [Collected(shard=s, batch=batches.get((wave, s.number))) for s in shards]
        if wave == request_set.wave and not may_lack and any(each.batch is None for each in found):
            raise LedgerError(
                f"wave {wave} of partition {request_set.partition_key} is not collected yet"
            )
        waves.append(found)
    return waves


def asked_again(policy: RetryPolicy, verdicts: pa.Table, *, rescues: bool = False) -> Flags:
    """Which of the verdicts the policy lets be asked again, in a wave that rescues or another."""
    every = list(Failure)
    # Made here: the first array imports pandas where that is installed.
    names = pa.array([failure.value for failure in every])
    failures = pc.fill_null(pc.index_in(verdicts.column("failure"), value_set=names), -1)
    attempts, uncounted = (verdicts.column(name) for name in ("attempts", "uncounted"))
    keys = np.stack([each.to_numpy() for each in (failures, attempts, uncounted)], axis=1)
    # Thousands of rows have a few kinds of fate: the policy is asked about each kind once.
    kinds, kind_of = np.unique(keys, axis=0, return_inverse=True)
    asks = policy.rescues if rescues else policy.asks_again
    again = [
        asks(None if failure < 0 else every[failure], int(times), int(others))
        for failure, times, others in kinds
    ]
    return np.array(again, dtype=np.bool_)[kind_of.reshape(-1)]


def plan_next_wave(
    deployment: Deployment,
    recipe: Recipe,
    request_set: RequestSet,
    manifest: Manifest,
    ordinals: npt.NDArray[np.int64],
    *,
    not_before: datetime | None = None,
    carried: int | None = None,
    canary: int | None = None,
    releases_canary: bool = False,
) -> None:
    """Write the next wave's shards from the lines of wave 0, and plan their batches.

    `ordinals` are the requests to ask, sorted; `carried` is given with the first that is planned.
    """
    wave = request_set.wave + 1
    files, layout, packing = deployment.files, layout_of(request_set), recipe.packing
    is_first = carried is not None or releases_canary
    # What a pack lost is asked in packs of half the size, down to one of its own.
    size = packing.size if is_first else max(1, packing.size >> (wave - request_set.first_wave))
    own, asked_now = deployment.provider, provider_of_the_next(deployment, request_set)
    limits = manifest.limits if asked_now is own else asked_now.limits
    with create_shards(files, layout, wave=wave, limits=limits) as sink:
        requests = RequestSink(recipe, layout, sink, _tokens_of(manifest), size=size)
        for shard in manifest.shards:
            begin, end = np.searchsorted(ordinals, [shard.first_ordinal, shard.last_ordinal + 1])
            mine = set(ordinals[begin:end].tolist())
            if not mine:
                continue
            asked = asked_by(files, shard, custom_id_prefix(layout.digest), packing)
            with files.open(shard.path) as lines:
                for number, line in enumerate(lines):
                    of_line = asked.of_line(number).tolist()
                    if mine.isdisjoint(of_line):
                        continue
                    for ordinal, ask in packing.asks_in(line, of_line[0]):
                        if ordinal in mine:
                            requests.take(ordinal, ask)
        requests.finish()
    shards = tuple(sink.shards)
    write_shards(files, layout.wave_manifest(wave), shards)
    plan(
        deployment,
        request_set,
        shards,
        wave=wave,
        endpoint=manifest.endpoint,
        not_before=not_before,
        carried=carried,
        canary=canary,
        releases_canary=releases_canary,
    )


def _tokens_of(manifest: Manifest) -> Callable[[bytes, bytes], int]:
    """Estimated tokens of a request, in proportion to those of the first wave's."""
    ratio = manifest.tokens / max(1, sum(shard.bytes for shard in manifest.shards))
    return lambda line, asked: max(1, math.ceil(len(line) * ratio))
