"""The first pass over a partition: checks every item and request, names the request set.

It keeps two 64-bit hashes per item and a sample, so a partition's size hardly shows in memory.
"""

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_assets.corpus.content import ColumnDigest, as_text
from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.domain.request import RequestSetDigest
from batch_assets.prompt.tokens import Sample, TokenEstimate, estimate_from
from batch_assets.stages.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What the first pass found."""

    digest: RequestSetDigest
    estimate: TokenEstimate
    #: Hashes (of this process) of the bodies that more than one item has.
    shared: frozenset[int]


class ContentDigest:
    """Names a partition's requests: by their shape, the item ids and the field values in order."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._ids = ColumnDigest()
        self._fields = {name: ColumnDigest() for name in recipe.requests.fields}

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        self._ids.update(batch.column(self._recipe.corpus.item_id))
        for name, digest in self._fields.items():
            digest.update(batch.column(name))

    def value(self) -> RequestSetDigest:
        content = hashlib.sha256(self._recipe.requests.shape_digest.encode())
        content.update(self._ids.hexdigest().encode())
        for name, digest in self._fields.items():
            content.update(f"{name}={digest.hexdigest()}".encode())
        return RequestSetDigest(content.hexdigest())


def survey(recipe: Recipe, partition_key: str) -> Survey:
    """Read and render the partition once.

    Raises CorpusError for a null or repeated item id, and for a row that cannot be rendered.
    """
    source_ref = recipe.corpus.source_ref(partition_key)
    digest = ContentDigest(recipe)
    id_hashes, body_hashes = array("q"), array("q")
    sample = Sample()
    rows = 0
    for batch in recipe.corpus.read(partition_key, columns_of(recipe, partition_key)):
        digest.update(batch)
        id_hashes.extend(map(hash, item_ids(recipe, batch, source_ref, rows)))
        texts = []
        sampled = sample.positions(batch.num_rows)
        bodies = recipe.requests.bodies(batch, row_namer(source_ref, rows))
        for position, body in enumerate(bodies):
            body_hashes.append(hash(body))
            if position in sampled:
                texts.append(body.decode())
        sample.add(texts)
        rows += batch.num_rows
    if rows == 0:
        raise CorpusError(f"{source_ref}: the file has no rows; fill it or take it out")
    repeated_ids = _repeated(id_hashes)
    if repeated_ids:
        _refuse_repeated_ids(recipe, partition_key, source_ref, repeated_ids)
    return Survey(
        digest=digest.value(),
        estimate=estimate_from(sample.texts),
        shared=_repeated(body_hashes),
    )


def columns_of(recipe: Recipe, partition_key: str) -> list[str]:
    """The columns the requests are made from: the item id and the prompt's fields.

    Raises CorpusError for an id column that the file does not have, DeclarationError for a field.
    """
    corpus = recipe.corpus
    present = corpus.schema(partition_key).names
    listed = ", ".join(present)
    if corpus.item_id not in present:
        raise CorpusError(
            f"{corpus.source_ref(partition_key)}: no column {corpus.item_id!r} for the item id; "
            f"the file has {listed}: name one of them as item_id"
        )
    missing = [name for name in recipe.requests.fields if name not in present]
    if missing:
        raise DeclarationError(
            f"{corpus.source_ref(partition_key)}: the prompt of {recipe.inference} reads "
            f"{', '.join(missing)}, which the file does not have; it has {listed}"
        )
    return list(dict.fromkeys([corpus.item_id, *recipe.requests.fields]))


def item_ids(recipe: Recipe, batch: pa.RecordBatch, source_ref: str, first_row: int) -> list[str]:
    """The batch's item ids as text. Raises CorpusError for a null."""
    column = as_text(batch.column(recipe.corpus.item_id))
    ids: list[str] = column.to_pylist()
    if column.null_count:
        first_null = int(np.flatnonzero(column.is_null())[0])
        raise CorpusError(
            f"{source_ref}, row {first_row + first_null}: "
            f"{recipe.corpus.item_id!r} is null; every item needs an id: fill it in"
        )
    return ids


def row_namer(source_ref: str, first_row: int) -> Callable[[int], str]:
    """How error texts name a row of a batch that begins at `first_row`."""
    return lambda position: f"{source_ref}, row {first_row + position}"


def _repeated(hashes: "array[int]") -> frozenset[int]:
    ordered: npt.NDArray[np.int64] = np.sort(np.frombuffer(hashes, dtype=np.int64))
    return frozenset(ordered[1:][ordered[1:] == ordered[:-1]].tolist())


def _refuse_repeated_ids(
    recipe: Recipe, partition_key: str, source_ref: str, suspects: frozenset[int]
) -> None:
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    first_row = 0
    for batch in recipe.corpus.read(partition_key, [recipe.corpus.item_id]):
        for position, item_id in enumerate(item_ids(recipe, batch, source_ref, first_row)):
            if hash(item_id) in suspects:
                rows_of[item_id].append(first_row + position)
        first_row += batch.num_rows
    refused = {item_id: rows for item_id, rows in rows_of.items() if len(rows) > 1}
    if not refused:
        return
    item_id, rows = next(iter(refused.items()))
    raise CorpusError(
        f"{source_ref}, rows {', '.join(str(row) for row in rows[:5])}: item id {item_id!r} is "
        f"there {len(rows)} times ({len(refused)} ids are repeated in all); "
        f"ids must be unique in a partition: choose another column than {recipe.corpus.item_id!r} "
        "or remove the repeated rows"
    )
