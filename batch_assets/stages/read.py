"""read: final results by their sequence, page by page, while partitions are still open."""

import mmap
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa

from batch_assets.domain.errors import ArtifactError, StaleMove
from batch_assets.files.parquet import stream_parquet
from batch_assets.stages.increment import increment
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.results import results_schema

#: Name of the column that numbers the rows; it stands before those of the results.
SEQUENCE = "sequence"

_PAGE = 1000

#: How each line of an export begins.
_BEGIN = b'{"sequence":'


def read_results(
    deployment: Deployment,
    recipe: Recipe,
    *,
    partition_keys: Collection[str] | None = None,
    after_sequence: int = 0,
    limit: int = _PAGE,
) -> pa.Table:
    """At most `limit` final results behind `after_sequence`, in the order of their sequence.

    The columns are those of the results, behind `sequence`. Numbers grow through the whole life of
    the inference and are never given twice; go on with the last one read. With `partition_keys`
    only these partitions are looked at. A result that a person had asked again, or one of a newer
    request set, comes a second time, under a higher number.

    Raises ValueError for a limit below 1 or a sequence below 0.
    """
    if limit < 1 or after_sequence < 0:
        raise ValueError(
            f"limit is {limit} and after_sequence {after_sequence}; a page has 1 row at least, "
            "and 0 is before the first"
        )
    _number_what_is_new(deployment, recipe, partition_keys)
    inference = recipe.inference
    schema = sequenced_schema(recipe)
    batches: list[pa.RecordBatch] = []
    for each in deployment.ledger.increments.after(
        inference, after_sequence, partition_keys=partition_keys
    ):
        first = each.first_sequence
        for rows in stream_parquet(deployment.files, each.path):
            begin = max(after_sequence + 1 - first, 0)
            part = rows.slice(begin, limit)
            if part.num_rows:
                numbers = pa.array(range(first + begin, first + begin + part.num_rows), pa.int64())
                batches.append(pa.RecordBatch.from_arrays([numbers, *part.columns], schema=schema))
                limit -= part.num_rows
            first += rows.num_rows
            if limit == 0:
                return pa.Table.from_batches(batches, schema)
    return pa.Table.from_batches(batches, schema)


def sequenced_schema(recipe: Recipe) -> pa.Schema:
    """The columns of `read_results`."""
    number = pa.field(SEQUENCE, pa.int64(), nullable=False)
    return results_schema(recipe.endpoint.arrow_type).insert(0, number)


def append_results(
    deployment: Deployment,
    recipe: Recipe,
    path: Path,
    *,
    partition_keys: Collection[str] | None = None,
    limit: int | None = None,
) -> int:
    """Append to a JSONL file the final results that it does not have yet, at most `limit` of them;
    how many they are.

    The file says itself how far it goes: each line has its `sequence`. A line that an earlier call
    could not finish is written anew. Raises ArtifactError for a file whose last line is none of
    ours; it is left as it is.
    """
    with path.open("ab+") as file:
        after = _last_sequence(file, path)
        written = 0
        for page in result_pages(
            deployment, recipe, partition_keys=partition_keys, after_sequence=after, limit=limit
        ):
            for row in page.to_pylist():
                file.write(msgspec.json.encode(row) + b"\n")
            file.flush()
            written += page.num_rows
        return written


def result_pages(
    deployment: Deployment,
    recipe: Recipe,
    *,
    partition_keys: Collection[str] | None = None,
    after_sequence: int = 0,
    limit: int | None = None,
) -> Iterator[pa.Table]:
    """All final results behind `after_sequence`, or so many, page by page as `read_results` has
    them.
    """
    left = limit
    while left is None or left > 0:
        page = read_results(
            deployment,
            recipe,
            partition_keys=partition_keys,
            after_sequence=after_sequence,
            limit=_PAGE if left is None else min(_PAGE, left),
        )
        if page.num_rows == 0:
            return
        yield page
        after_sequence = page.column(SEQUENCE)[-1].as_py()
        left = None if left is None else left - page.num_rows


def _number_what_is_new(
    deployment: Deployment, recipe: Recipe, partition_keys: Collection[str] | None
) -> None:
    for request_set in deployment.ledger.request_sets.current_ones(recipe.inference):
        if partition_keys is None or request_set.partition_key in partition_keys:
            with suppress(StaleMove):  # another reader numbers the same
                increment(deployment, recipe, request_set)


class _Numbered(msgspec.Struct):
    sequence: int


def _last_sequence(file: BinaryIO, path: Path) -> int:
    """The sequence of the last whole line, 0 of an empty file. A half line behind it is cut off."""
    if path.stat().st_size == 0:
        return 0
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = content.rfind(b"\n") + 1
        line = content[content.rfind(b"\n", 0, max(end - 1, 0)) + 1 : end]
        begins_ours = _BEGIN.startswith(content[: len(_BEGIN)])
    try:
        sequence = msgspec.json.decode(line, type=_Numbered).sequence if end else 0
    except msgspec.DecodeError:
        begins_ours = False
    if not begins_ours:
        raise ArtifactError(
            f"{path} is no export of results: its lines have no {SEQUENCE}; name another file"
        )
    file.truncate(end)
    return sequence
