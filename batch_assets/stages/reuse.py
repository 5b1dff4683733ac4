"""reuse: answers that earlier request sets of an inference have to the same requests.

What is carried over is the provider's line as it stands, not what was made of it: it is judged anew
with the rest. Only valid answers are carried over; the other requests are asked.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.domain.batch import Batch, BatchState, RequestSet
from batch_assets.domain.request import custom_id_prefix, ordinal_of
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.files.parquet import stream_parquet
from batch_assets.files.store import NewFile
from batch_assets.ledger.sketches import Relative
from batch_assets.prompt.packs import Packing
from batch_assets.stages.asked import Asked, asked_by
from batch_assets.stages.plan import layout_of, shards_of_wave
from batch_assets.stages.prune import is_pruned
from batch_assets.stages.raw import (
    CarriedLine,
    decode_carried,
    encode_carried,
    raw_files,
    whole_lines,
)
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.survey import FINGERPRINT_BYTES, short_forms

#: Fingerprints in a sketch. Of two partitions of one size that have a tenth of their requests in
#: common, all but one pair in a thousand are found.
_SKETCH = 64

Ordinals = npt.NDArray[np.int64]
_FINGERPRINT = pa.binary(FINGERPRINT_BYTES)


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """What earlier request sets answer of a request set."""

    #: Ordinals of the requests whose answers are carried over, sorted.
    carried: Ordinals
    #: A request set at the provider that asks some of the rest at this moment.
    awaited: RequestSet | None = None


def reuse(
    deployment: Deployment,
    recipe: Recipe,
    manifest: Manifest,
    *,
    request_set: RequestSet | None = None,
) -> Reuse:
    """Look for answers. With `request_set`, which was not planned yet, they are carried over too.

    Raises ArtifactError where what an earlier request set was answered is missing from the store.
    """
    nothing = Reuse(carried=np.empty(0, dtype=np.int64))
    if not recipe.reuse or manifest.requests == 0:
        return nothing
    fingerprints = fingerprints_of(deployment.files, manifest)
    sketch = np.sort(short_forms(fingerprints))[:_SKETCH].tolist()
    sketches = deployment.ledger.sketches
    if request_set is not None:
        # Said before it is looked for: of two that do so at once, one sees the other.
        sketches.add(request_set, sketch)
    relatives = sketches.relatives(
        manifest.inference,
        manifest.partition_key,
        sketch,
        besides=manifest.digest,
        before=request_set,
    )
    search = _Search(deployment, recipe, fingerprints)
    with _Carrier(deployment.files, manifest, writes=request_set is not None) as carrier:
        for relative in relatives:
            if not relative.is_open:
                for ordinal, line in search.answers_of(relative.request_set):
                    carrier.take(ordinal, line)
    return Reuse(carried=search.found(), awaited=_awaited(search, relatives, manifest))


def _awaited(
    search: "_Search", relatives: Sequence[Relative], manifest: Manifest
) -> RequestSet | None:
    """The request set on its way that is to be waited for.

    Of the same partition, any that asks some of the rest. Of another, one that asks most of it: a
    copied or renamed file. Partitions that have a few requests in common would otherwise wait for
    each other, one provider's day after the other.
    """
    rest = manifest.requests - len(search.found())
    for relative in relatives:
        if relative.is_open:
            common = search.in_common(relative.request_set)
            is_own = relative.request_set.partition_key == manifest.partition_key
            if common and (is_own or common >= rest / 2):
                return relative.request_set
    return None


def fingerprints_of(files: Files, manifest: Manifest) -> pa.Array:
    """The fingerprint of each request of a request set, in the order of their ordinals."""
    found: list[pa.Array] = [pa.array([], _FINGERPRINT)]
    columns = ["ordinal", "is_duplicate", "fingerprint"]
    for batch in stream_parquet(files, manifest.layout.items, columns=columns):
        is_first = pc.and_(pc.invert(batch["is_duplicate"]), pc.is_valid(batch["ordinal"]))
        found.append(batch.filter(is_first)["fingerprint"])
    fingerprints = pa.concat_arrays(found)
    assert len(fingerprints) == manifest.requests
    return fingerprints


class _Search:
    """Goes through earlier request sets for answers that are not found yet."""

    def __init__(self, deployment: Deployment, recipe: Recipe, fingerprints: pa.Array) -> None:
        self._deployment = deployment
        self._packing = recipe.packing
        self._fingerprints = fingerprints
        self._short_forms = short_forms(fingerprints)
        self._order = np.argsort(self._short_forms)
        self._is_found = np.zeros(len(fingerprints), dtype=np.bool_)

    def found(self) -> Ordinals:
        """Ordinals of the requests with an answer."""
        return np.flatnonzero(self._is_found)

    def in_common(self, source: RequestSet) -> int:
        """How many requests the source has that are without an answer so far."""
        return len(np.unique(self._in_common(source)[1]))

    def answers_of(self, source: RequestSet) -> Iterator[tuple[int, bytes]]:
        """Each request that the source has a valid answer to, with the line to be stored."""
        theirs, ours = self._in_common(source)
        if len(theirs) == 0:
            return
        of_source = dict(zip(theirs.tolist(), ours.tolist(), strict=True))
        for line in self._lines(source, of_source.keys()):
            ordinal = of_source.get(line.ordinal)
            if ordinal is None or self._is_found[ordinal]:
                continue
            stored = encode_carried(msgspec.structs.replace(line, ordinal=ordinal))
            if stored is not None:
                self._is_found[ordinal] = True
                yield ordinal, stored

    def _in_common(self, source: RequestSet) -> tuple[Ordinals, Ordinals]:
        """Ordinals of requests that both have: in the source, and here, not answered so far."""
        theirs: list[Ordinals] = [np.empty(0, dtype=np.int64)]
        ours: list[Ordinals] = [np.empty(0, dtype=np.int64)]
        columns = ["ordinal", "fingerprint"]
        items = layout_of(source).items
        for batch in stream_parquet(self._deployment.files, items, columns=columns):
            asked = batch.filter(pc.is_valid(batch["ordinal"]))
            places = np.searchsorted(
                self._short_forms, short_forms(asked["fingerprint"]), sorter=self._order
            )
            here = self._order[np.minimum(places, len(self._order) - 1)]
            is_same = pc.equal(self._fingerprints.take(pa.array(here)), asked["fingerprint"])
            is_open = is_same.to_numpy(zero_copy_only=False) & ~self._is_found[here]
            ours.append(here[is_open])
            theirs.append(np.asarray(asked["ordinal"])[is_open])
        return np.concatenate(theirs), np.concatenate(ours)

    def _lines(self, source: RequestSet, wanted: AbstractSet[int]) -> Iterator[CarriedLine]:
        """The valid answers to requests of the source, by the ordinals they have there."""
        files, layout = self._deployment.files, layout_of(source)
        # What was pruned was said to be lost; its own carried answers are still there.
        batches = [] if is_pruned(files, source) else self._collected(source)
        manifest = read_manifest(files, layout.manifest)
        for batch in batches:
            shard = shards_of_wave(files, manifest, batch.wave)[batch.shard]
            asked = asked_by(files, shard, custom_id_prefix(source.digest), self._packing)
            for path in raw_files(layout, batch):
                for raw, ordinals in _answered(files, path, asked, source, self._packing):
                    if wanted.isdisjoint(ordinals):
                        continue
                    for ordinal, answer in self._packing.valid_answers(raw, ordinals):
                        yield CarriedLine(
                            ordinal=ordinal,
                            request_set=source.digest,
                            batch_id=batch.provider_id,
                            line=msgspec.Raw(answer),
                        )
        for path in files.names(layout.carried_folder):
            for line in whole_lines(files, path):
                yield decode_carried(line)

    def _collected(self, source: RequestSet) -> Sequence[Batch]:
        return self._deployment.ledger.batches(request_set=source.id, states={BatchState.COLLECTED})


def _answered(
    files: Files, path: str, asked: Asked, source: RequestSet, packing: Packing
) -> Iterator[tuple[bytes, Sequence[int]]]:
    """Each line that answers a request of the source, with the request's items."""
    prefix = custom_id_prefix(source.digest)
    for line in whole_lines(files, path):
        ordinal = _ordinal_in(line, prefix, packing)
        if ordinal is not None and (ordinals := asked.of_request(ordinal).tolist()):
            yield line, ordinals


def _ordinal_in(line: bytes, prefix: str, packing: Packing) -> int | None:
    try:
        return ordinal_of(packing.envelope.custom_id_of(line), prefix)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None  # a damaged line is no answer


class _Carrier:
    """Writes what is carried over, a file for each of the shards that would ask it."""

    def __init__(self, files: Files, manifest: Manifest, *, writes: bool) -> None:
        self._files = files
        self._layout = manifest.layout
        self._ends = [shard.last_ordinal for shard in manifest.shards]
        self._writes = writes
        self._open = ExitStack()
        self._sinks: dict[int, NewFile] = {}

    def __enter__(self) -> "_Carrier":
        if self._writes:
            # Whoever began this before and was stopped may have found what is no more.
            self._files.delete(self._layout.carried_folder)
        self._open.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._open.__exit__(*raised)  # type: ignore[arg-type]

    def take(self, ordinal: int, line: bytes) -> None:
        """Write the line."""
        if not self._writes:
            return
        shard = int(np.searchsorted(self._ends, ordinal))
        if shard not in self._sinks:
            new = self._files.create(self._layout.carried(shard))
            self._sinks[shard] = self._open.enter_context(new)
        self._sinks[shard].write(line + b"\n")


def rest_of(requests: int, carried: Ordinals) -> Ordinals:
    """Ordinals of the requests that are not carried over."""
    is_rest = np.ones(requests, dtype=np.bool_)
    is_rest[carried] = False
    return np.flatnonzero(is_rest)
