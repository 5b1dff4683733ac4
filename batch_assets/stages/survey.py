"""The first pass over a partition: checks every item and request, names the request set.

It keeps two 64-bit hashes per item and a sample, so a partition's size hardly shows in memory.
"""

import hashlib
from array import array
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_assets.domain.errors import CorpusError, DeclarationError, RepeatedItemIds
from batch_assets.domain.request import RequestSetDigest
from batch_assets.prompt.packs import Packing
from batch_assets.prompt.tokens import Sample, TokenEstimate, estimate_from
from batch_assets.stages.item_ids import ItemIds
from batch_assets.stages.recipe import Recipe

#: Bytes of a fingerprint. Two different requests of a corpus never have the same one.
FINGERPRINT_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What the first pass found."""

    digest: RequestSetDigest
    estimate: TokenEstimate
    #: Short forms of the fingerprints that more than one item has, sorted, each once.
    shared: npt.NDArray[np.int64]

    def tokens(self, line: bytes, asked: bytes) -> int:
        """Estimated prompt tokens of a request, by what is asked in its line."""
        return self.estimate.tokens(len(asked))


class Fingerprints:
    """Fingerprints of items, and the digest of the request set that they and the ids make."""

    def __init__(self, packing: Packing) -> None:
        self._seed = hashlib.sha256(packing.seed.encode())
        self._content = hashlib.sha256(f"{packing.seed}\n{packing.size}".encode())

    def of(self, ask: bytes) -> bytes:
        """What items that are asked the same have in common and others have not."""
        digest = self._seed.copy()
        digest.update(ask)
        return digest.digest()[:FINGERPRINT_BYTES]

    def take(self, item_id: str, fingerprint: bytes) -> None:
        """Take in the next item."""
        # Its length first, so that moving a character to the next id is a change.
        name = item_id.encode()
        self._content.update(b"%d:%b%b" % (len(name), name, fingerprint))

    def digest(self) -> RequestSetDigest:
        """The name of what was taken in so far."""
        return RequestSetDigest(self._content.hexdigest())


def short_form(fingerprint: bytes) -> int:
    """A fingerprint's first 64 bits."""
    return int.from_bytes(fingerprint[:8], "little", signed=True)


def short_forms(fingerprints: pa.Array) -> npt.NDArray[np.int64]:
    """The same of each fingerprint of one batch of rows."""
    words = fingerprints.type.byte_width // 8
    first, end = fingerprints.offset, fingerprints.offset + len(fingerprints)
    whole = np.frombuffer(fingerprints.buffers()[1], dtype="<i8", count=words * end)
    # A copy: the view would keep the batch.
    return whole[words * first :: words].astype(np.int64)


def survey(recipe: Recipe, partition_key: str) -> Survey:
    """Read and render the partition once.

    Raises CorpusError for a null or repeated item id, and for a row that cannot be rendered.
    """
    item_ids, packing = ItemIds(recipe.corpus.item_id), recipe.packing
    fingerprints = Fingerprints(packing)
    id_hashes, shorts = array("q"), array("q")
    sample = Sample()
    for rows in recipe.corpus.read(partition_key, columns_of(recipe, partition_key)):
        ids = item_ids.of(rows)
        id_hashes.extend(map(hash, ids))
        texts = []
        sampled = sample.positions(len(ids))
        asks = packing.asks(rows.batch, rows.name_of)
        for position, (item_id, ask) in enumerate(zip(ids, asks, strict=True)):
            fingerprint = fingerprints.of(ask)
            fingerprints.take(item_id, fingerprint)
            shorts.append(short_form(fingerprint))
            if position in sampled:
                texts.append(ask.decode())
        sample.add(texts)
    if not id_hashes:
        source_ref = recipe.corpus.source_ref(partition_key)
        raise CorpusError(
            f"{source_ref}: partition {partition_key} has no rows; fill it or take it out"
        )
    repeated_ids = _repeated(id_hashes)
    if len(repeated_ids):
        suspects = frozenset(repeated_ids.tolist())
        _refuse_repeated_ids(recipe, item_ids, partition_key, suspects)
    shared = _repeated(shorts)
    # What grew with the partition goes before the counter's vocabulary comes, which is larger.
    del id_hashes, shorts
    return Survey(digest=fingerprints.digest(), estimate=estimate_from(sample.texts), shared=shared)


def columns_of(recipe: Recipe, partition_key: str) -> list[str]:
    """The columns the requests are made from: those of the item id and the prompt's fields.

    Raises CorpusError for an id column that the partition does not have, DeclarationError for a
    field.
    """
    corpus = recipe.corpus
    id_columns = ItemIds(corpus.item_id).columns
    present = corpus.schema(partition_key).names
    listed = ", ".join(present)
    for name in id_columns:
        if name not in present:
            raise CorpusError(
                f"{corpus.source_ref(partition_key)}: no column {name!r} for the item id; "
                f"it has {listed}: name one of them as item_id"
            )
    missing = [name for name in recipe.endpoint.fields if name not in present]
    if missing:
        raise DeclarationError(
            f"{corpus.source_ref(partition_key)}: the prompt of {recipe.inference} reads "
            f"{', '.join(missing)}, which it does not have; it has {listed}"
        )
    return list(dict.fromkeys([*id_columns, *recipe.endpoint.fields]))


def _repeated(hashes: "array[int]") -> npt.NDArray[np.int64]:
    ordered: npt.NDArray[np.int64] = np.sort(np.frombuffer(hashes, dtype=np.int64))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _refuse_repeated_ids(
    recipe: Recipe, item_ids: ItemIds, partition_key: str, suspects: frozenset[int]
) -> None:
    rows_of: defaultdict[str, list[str]] = defaultdict(list)
    for rows in recipe.corpus.read(partition_key, list(item_ids.columns)):
        for position, item_id in enumerate(item_ids.of(rows)):
            if hash(item_id) in suspects:
                rows_of[item_id].append(rows.name_of(position))
    refused = {item_id: names for item_id, names in rows_of.items() if len(names) > 1}
    if not refused:
        return
    item_id, names = next(iter(refused.items()))
    raise RepeatedItemIds(
        f"{'; '.join(names[:5])}: item id {item_id!r} is there {len(names)} times "
        f"({len(refused)} ids are repeated in all); ids must be unique in a partition: choose "
        f"another item_id than {recipe.corpus.item_id!r} or remove the repeated rows"
    )
