"""begin: decide what of a request set is sent and what is carried over, once, and plan it."""

from batch_assets.domain.batch import RequestSet
from batch_assets.domain.control import Waiting, WaitKind
from batch_assets.files.manifest import Manifest
from batch_assets.stages.canary import sample_of
from batch_assets.stages.plan import plan, plan_wave
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.reuse import rest_of, reuse
from batch_assets.stages.waves import plan_next_wave


def begin(
    deployment: Deployment, recipe: Recipe, request_set: RequestSet, manifest: Manifest
) -> Waiting | None:
    """Plan what the request set has to send; why nothing of it can be planned now.

    One that was begun before gets a batch again for each shard of its wave that was refused.
    """
    if request_set.carried is not None:
        plan_wave(deployment, request_set, manifest)
        return None
    sketches = deployment.ledger.sketches
    if request_set.awaits is not None:
        awaited = sketches.open_one(request_set.awaits)
        if awaited is not None:
            return _waiting(awaited)
    found = reuse(deployment, recipe, manifest, request_set=request_set)
    if found.awaited is not None:
        sketches.awaiting(request_set, found.awaited)
        return _waiting(found.awaited)
    carried = len(found.carried)
    rest = rest_of(manifest.requests, found.carried)
    if recipe.canary is not None and recipe.canary < len(rest):
        sample = sample_of(deployment.files, manifest, recipe.packing, rest, recipe.canary)
        plan_next_wave(
            deployment,
            recipe,
            request_set,
            manifest,
            sample,
            carried=carried,
            canary=len(sample),
        )
    elif carried:
        # What was carried over stands for the first wave.
        plan_next_wave(deployment, recipe, request_set, manifest, rest, carried=carried)
    else:
        plan(
            deployment,
            request_set,
            manifest.shards,
            wave=0,
            endpoint=manifest.endpoint,
            carried=carried,
        )
    return None


def _waiting(awaited: RequestSet) -> Waiting:
    return Waiting(
        kind=WaitKind.ANSWERS,
        reason=f"partition {awaited.partition_key} has asked some of its requests already (request "
        f"set {awaited.digest[:12]}); what that leaves is sent when it is answered",
    )
