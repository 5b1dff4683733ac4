"""difference: what a request set asks that its partition did not ask before, and what that costs.

A look without consequence: it calls nobody and writes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_assets.domain.batch import BatchState, RequestSet
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.files.parquet import stream_parquet
from batch_assets.stages.plan import layout_of, live_batches, shards_of_wave
from batch_assets.stages.quote import Quote, live_quote_of, quote_of
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.reuse import Ordinals, fingerprints_of, reuse
from batch_assets.stages.survey import short_forms

#: Item ids that stand for those of a kind.
_EXAMPLES = 3

#: What is said of a change of shape where the request set before does not tell its parts.
_ANY_PART = "prompt, model, schema or parameters"

_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Items of one kind: how many, and the ids of a few."""

    items: int = 0
    examples: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What sending the request set would take now."""

    #: Requests that are not asked for: they were answered before, or sent before.
    reused: int
    #: Requests that another request set has asked and has no answer to yet.
    awaited: int
    #: The one that has.
    awaited_from: RequestSet | None
    #: Requests to pay for.
    requests: int
    #: Their estimated prompt tokens.
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A request set beside the one that its partition had before."""

    #: None for the partition's first.
    before: RequestSet | None
    items: int
    new: Kind = field(default_factory=Kind)
    changed: Kind = field(default_factory=Kind)
    gone: Kind = field(default_factory=Kind)
    #: Of the shape, each part that is another now: what it was and what it is.
    parts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    cost: Cost
    #: The same in money.
    quote: Quote
    #: The same where none of it is answered in time and all of it is asked live; None where the
    #: inference has no stragglers.
    live_quote: Quote | None = None

    @property
    def unchanged(self) -> int:
        return self.items - self.new.items - self.changed.items

    @property
    def why(self) -> str:
        """Why requests of items that were there are others now."""
        if not self.changed.items:
            return ""
        return ", ".join(self.parts) or "text"

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        cost = self.cost
        awaited = f", {cost.awaited:,} asked by another request set" if cost.awaited else ""
        return (
            f"{self.new.items:,} new, {self.changed.items:,} changed{why}, "
            f"{self.unchanged:,} unchanged, {self.gone.items:,} gone items; "
            f"{cost.reused:,} requests reused{awaited}, {cost.requests:,} to pay for "
            f"(about {cost.tokens:,} prompt tokens, {self.quote}"
            f"{'' if self.live_quote is None else f'; {self.live_quote} if all were asked live'})"
        )


def difference(deployment: Deployment, recipe: Recipe, manifest: Manifest) -> Difference:
    """Compare a request set, item by item, with the one that is the partition's current one.

    Raises ArtifactError where files of an earlier request set are missing or damaged.
    """
    before = deployment.ledger.request_sets.current(manifest.inference, manifest.partition_key)
    cost = _cost(deployment, recipe, manifest)
    quote = quote_of(deployment, recipe, manifest, requests=cost.requests, tokens=cost.tokens)
    live = live_quote_of(deployment, recipe, manifest, requests=cost.requests, tokens=cost.tokens)
    asked: dict[str, Any] = {"cost": cost, "quote": quote, "live_quote": live}
    items = manifest.items
    if before is None:
        examples = _ids(deployment.files, manifest.layout, range(_EXAMPLES))
        new = Kind(items=items, examples=examples)
        return Difference(before=None, items=items, new=new, **asked)
    if before.digest == manifest.digest:
        return Difference(before=before, items=items, **asked)
    earlier = read_manifest(deployment.files, layout_of(before).manifest)
    return Difference(
        before=before,
        items=items,
        parts=_changed_parts(earlier, manifest),
        **(asked | _kinds(deployment.files, layout_of(before), manifest.layout)),
    )


def _changed_parts(before: Manifest, now: Manifest) -> Mapping[str, tuple[str, str]]:
    if before.shape_digest == now.shape_digest:
        return {}
    if not before.shape or not now.shape:
        return {_ANY_PART: (before.shape_digest, now.shape_digest)}
    return {
        part: (before.shape.get(part, ""), now.shape.get(part, ""))
        for part in dict.fromkeys([*before.shape, *now.shape])
        if before.shape.get(part) != now.shape.get(part)
    }


# Items


@dataclass(frozen=True, kw_only=True)
class _Items:
    """64 bits of each item's id and of its fingerprint: two ids of a partition that share them are
    not to be expected, and would be miscounted and nothing else.
    """

    ids: Ordinals
    fingerprints: Ordinals


def _kinds(files: Files, before_at: RequestSetLayout, now_at: RequestSetLayout) -> dict[str, Kind]:
    before, now = _items(files, before_at), _items(files, now_at)
    order = np.argsort(before.ids)
    places = np.searchsorted(before.ids, now.ids, sorter=order)
    # An id above all others has its place behind the last one.
    of_before = order[np.minimum(places, len(order) - 1)]
    is_known = before.ids[of_before] == now.ids
    is_equal = before.fingerprints[of_before] == now.fingerprints
    is_gone = np.ones(len(order), dtype=np.bool_)
    is_gone[of_before[is_known]] = False
    return {
        "new": _kind(files, now_at, ~is_known),
        "changed": _kind(files, now_at, is_known & ~is_equal),
        "gone": _kind(files, before_at, is_gone),
    }


def _items(files: Files, layout: RequestSetLayout) -> _Items:
    ids: list[Ordinals] = []
    fingerprints: list[Ordinals] = []
    for batch in stream_parquet(files, layout.items, columns=["item_id", "fingerprint"]):
        texts = batch["item_id"].to_pylist()
        ids.append(np.fromiter(map(hash, texts), dtype=np.int64, count=len(texts)))
        fingerprints.append(short_forms(batch["fingerprint"]))
    return _Items(ids=np.concatenate(ids), fingerprints=np.concatenate(fingerprints))


def _kind(files: Files, layout: RequestSetLayout, is_one: _Flags) -> Kind:
    positions = np.flatnonzero(is_one)
    examples = _ids(files, layout, positions[:_EXAMPLES].tolist())
    return Kind(items=len(positions), examples=examples)


def _ids(files: Files, layout: RequestSetLayout, positions: Sequence[int]) -> Sequence[str]:
    """The ids of the items in these positions, which grow."""
    found: list[str] = []
    begin = 0
    for ids in _id_columns(files, layout):
        end = begin + len(ids)
        found += [ids[at - begin].as_py() for at in positions if begin <= at < end]
        begin = end
        if not len(positions) or begin > positions[-1]:
            break
    return found


def _id_columns(files: Files, layout: RequestSetLayout) -> Iterator[pa.Array]:
    for batch in stream_parquet(files, layout.items, columns=["item_id"]):
        yield batch["item_id"]


# Cost


def _cost(deployment: Deployment, recipe: Recipe, manifest: Manifest) -> Cost:
    request_set = deployment.ledger.request_sets.find(
        manifest.inference, manifest.partition_key, manifest.digest
    )
    if request_set is not None and request_set.carried is not None:
        return _cost_of_the_unsent(deployment, request_set, manifest)
    found = reuse(deployment, recipe, manifest)
    is_paid = np.ones(manifest.requests, dtype=np.bool_)
    is_paid[found.carried] = False
    if found.awaited is not None:
        is_paid &= ~_is_asked_by(deployment.files, found.awaited, manifest)
    requests = tokens = 0
    for shard in manifest.shards:
        span = shard.last_ordinal + 1 - shard.first_ordinal
        paid = int(np.count_nonzero(is_paid[shard.first_ordinal : shard.last_ordinal + 1]))
        # By its part of the shard's; a shard of packs has fewer requests than ordinals.
        requests += -(-shard.requests * paid // span)
        tokens += -(-shard.tokens * paid // span)
    return Cost(
        reused=len(found.carried),
        awaited=int(np.count_nonzero(~is_paid)) - len(found.carried),
        awaited_from=found.awaited,
        requests=requests,
        tokens=tokens,
    )


def _cost_of_the_unsent(
    deployment: Deployment, request_set: RequestSet, manifest: Manifest
) -> Cost:
    """Of a request set that was begun before: what of its wave was never sent, or was refused."""
    sent = {
        batch.shard
        for batch in live_batches(deployment, request_set)
        if batch.wave == request_set.wave and batch.state is not BatchState.PLANNED
    }
    shards = shards_of_wave(deployment.files, manifest, request_set.wave)
    unsent = [shard for shard in shards if shard.number not in sent]
    requests = sum(shard.requests for shard in unsent)
    return Cost(
        reused=manifest.requests - requests,
        awaited=0,
        awaited_from=None,
        requests=requests,
        tokens=sum(shard.tokens for shard in unsent),
    )


def _is_asked_by(files: Files, awaited: RequestSet, manifest: Manifest) -> _Flags:
    """Which of the requests, by ordinal, the other request set asks too."""
    theirs = _items(files, layout_of(awaited)).fingerprints
    return np.isin(short_forms(fingerprints_of(files, manifest)), theirs)
