"""ask again: one more wave that a person orders, for items whose outcome was final."""

from collections.abc import Set as AbstractSet

from batch_assets.domain.batch import RequestSet
from batch_assets.domain.errors import LedgerError
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.progress import progress_of
from batch_assets.files.manifest import read_manifest
from batch_assets.stages.folding import Folding
from batch_assets.stages.plan import layout_of
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.waves import collected_waves, plan_next_wave

#: What may be asked again by hand: everything that was sent and not answered as asked.
ASKABLE = frozenset(Outcome) - {Outcome.OK, Outcome.OVERSIZE}


def ask_again(
    deployment: Deployment,
    recipe: Recipe,
    request_set: RequestSet,
    outcomes: AbstractSet[Outcome],
) -> int:
    """Ask the items that ended so once more, whatever the policy says; how many requests.

    For a request set whose results are written, or that was cancelled and is taken up again. After
    this one wave the policy holds as before. Raises LedgerError where the request set is not the
    partition's, is cancelled, or has a wave on its way.
    """
    if not outcomes or not outcomes <= ASKABLE:
        raise ValueError(f"ask again takes outcomes among {', '.join(sorted(ASKABLE))}")
    request_set = _settled(deployment, request_set)
    layout = layout_of(request_set)
    manifest = read_manifest(deployment.files, layout.manifest)
    waves = collected_waves(deployment, manifest, request_set, is_settled=True)
    folding = Folding(recipe, deployment.files, request_set, manifest, waves)
    ordinals = folding.ended_as(outcomes)
    if len(ordinals):
        plan_next_wave(deployment, recipe, request_set, manifest, ordinals)
    return len(ordinals)


def _settled(deployment: Deployment, request_set: RequestSet) -> RequestSet:
    """The request set as it stands. Raises LedgerError unless it may be asked again."""
    ledger, partition_key = deployment.ledger, request_set.partition_key
    current = ledger.request_sets.current(request_set.inference, partition_key)
    if current is None or current.id != request_set.id:
        raise LedgerError(f"partition {partition_key} has a newer request set: ask that one again")
    if current.cancelled_at is not None:
        raise LedgerError(
            f"partition {partition_key} is cancelled: take it up again before items are asked again"
        )
    on_its_way = progress_of(ledger.batches(request_set=current.id, wave=current.wave))
    if not on_its_way.is_settled:
        raise LedgerError(f"partition {partition_key} is on its way ({on_its_way}): wait for it")
    return current
