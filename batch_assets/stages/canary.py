"""canary: a sample of a request set that is asked before the rest, and what releases the rest."""

import numpy as np
import numpy.typing as npt

from batch_assets.domain.batch import CanaryState, RequestSet
from batch_assets.domain.control import Waiting, WaitKind
from batch_assets.domain.quality import Evaluation, Measured, evaluate
from batch_assets.domain.request import custom_id_prefix
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest
from batch_assets.prompt.packs import Packing
from batch_assets.stages.asked import asked_by
from batch_assets.stages.folding import Folding
from batch_assets.stages.plan import tokens_per_request
from batch_assets.stages.recipe import Deployment, Recipe

#: Parts of equal size into which requests are sorted by their length. Long ones are what is
#: truncated, refused or invalid first, and a corpus has few of them.
_STRATA = 10


def sample_of(
    files: Files, manifest: Manifest, packing: Packing, rest: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.int64]:
    """Ordinals of `size` requests among the rest, sorted; the same each time.

    Stratified by length, and within a stratum spread evenly over the corpus.
    """
    lengths = _lengths(files, manifest, packing)[rest]
    # Stable, so that requests of one length stay in the corpus's order.
    by_length = rest[np.argsort(lengths, kind="stable")]
    chosen = []
    for stratum, share in zip(
        np.array_split(by_length, _STRATA), np.array_split(np.arange(size), _STRATA), strict=True
    ):
        # Evenly spaced, each in the middle of its stretch.
        places = (np.arange(len(share)) * 2 + 1) * len(stratum) // (2 * max(1, len(share)))
        chosen.append(np.sort(stratum)[places])
    return np.sort(np.concatenate(chosen))


def _lengths(files: Files, manifest: Manifest, packing: Packing) -> npt.NDArray[np.int64]:
    """Bytes of each request's line, by ordinal; of a pack, each item's share of it."""
    lengths = np.zeros(manifest.requests, dtype=np.int64)
    for shard in manifest.shards:
        asked = asked_by(files, shard, custom_id_prefix(manifest.digest), packing)
        with files.open(shard.path) as lines:
            for number, line in enumerate(lines):
                ordinals = asked.of_line(number)
                lengths[ordinals] = len(line) // max(1, len(ordinals))
    return lengths


def failings(
    deployment: Deployment,
    recipe: Recipe,
    request_set: RequestSet,
    manifest: Manifest,
    folding: Folding,
) -> list[str]:
    """What the checks find wanting in the canary, each as a sentence; none releases the rest.

    A person's word releases it too, and a declaration that wants no canary any more.
    """
    if request_set.canary_state is CanaryState.RELEASED or recipe.canary is None:
        return []
    asked = folding.asked
    waves = range(request_set.first_wave, request_set.wave + 1)
    per_request = tokens_per_request(deployment.files, manifest, waves)
    found = Measured(
        expected=asked.requests,
        items=asked.requests,
        outcomes=asked.outcomes,
        executions=asked.executions,
        input_tokens=asked.usage.input_tokens,
        estimated_tokens=per_request * asked.executions,
    )
    return [each.said for each in evaluate(recipe.checks, found) if _holds_back(each)]


def _holds_back(found: Evaluation) -> bool:
    """Whether it does not pass; a canary that took fewer tokens than the quote says does."""
    is_cheaper = found.name == "token_estimate" and found.value is not None and found.value < 1
    return not found.passed and not is_cheaper


def held_back(request_set: RequestSet) -> Waiting | None:
    """Why a request set waits for a person, where its canary did not pass."""
    if request_set.canary_state is not CanaryState.HELD:
        return None
    return Waiting(
        kind=WaitKind.APPROVAL,
        reason=f"the canary of partition {request_set.partition_key}, {request_set.canary:,} "
        f"requests, did not pass: {request_set.canary_reason}; the job approve_batches releases "
        "the rest all the same, and a corrected prompt or check, with batches materialized again, "
        "begins anew",
    )
