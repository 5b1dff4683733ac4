"""Results as one stream of tables: partition after partition, in the corpus's order."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files
from batch_assets.files.layout import results_path
from batch_assets.files.parquet import DAMAGED, complaint_of, open_parquet, stream_parquet
from batch_assets.stages.input_rows import InputRows, input_type
from batch_assets.stages.recipe import Recipe
from batch_assets.stages.results import results_schema

#: The column that holds what the items are about, where it is asked for.
INPUT = "input"

_ITEM_ID = "item_id"


def results_reader(
    files: Files,
    recipe: Recipe,
    *,
    partition_keys: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    input_columns: Sequence[str] = (),
) -> pa.RecordBatchReader:
    """The results of partitions as a stream of small batches, inside each in the corpus's order.

    Without `partition_keys` they are all that have results, in the order that the corpus has them;
    partitions that it has no more come last. Named ones come in the order named. `columns` are
    those of the results, all of them unless named. What only some partitions' answers have is null
    in the others.

    With `input_columns` the corpus is read again, and its columns are the fields of a struct
    `input` before the others. Row meets row by position, and the item ids must be equal.

    Raises ArtifactError for a partition without results, for a column that there is not, and for
    partitions whose columns contradict each other; CorpusError for an input column that there is
    not and, while it is read, where the corpus does not have the items of the results any more.
    """
    if partition_keys is None:
        partition_keys = _with_results(files, recipe)
    keys = list(dict.fromkeys(partition_keys))
    inference = recipe.inference
    if not keys:
        stored = results_schema(recipe.endpoint.arrow_type)
    else:
        stored = _stored_schema(files, inference, keys)
    schema = _selected(stored, inference, columns)
    if not input_columns:
        return _streamed(files, inference, keys, schema)
    type_ = input_type(recipe.corpus, keys, input_columns)
    joined = schema.insert(0, pa.field(INPUT, type_, nullable=False))
    return pa.RecordBatchReader.from_batches(
        joined, (batch for key in keys for batch in _joined(files, recipe, key, schema, joined))
    )


def stored_results(
    files: Files, inference: str, partition_keys: Sequence[str]
) -> pa.RecordBatchReader:
    """The results of these partitions, one at least, without the inference's declaration.

    Raises ArtifactError as `results_reader` does.
    """
    keys = list(dict.fromkeys(partition_keys))
    return _streamed(files, inference, keys, _stored_schema(files, inference, keys))


def _streamed(
    files: Files, inference: str, keys: Sequence[str], schema: pa.Schema
) -> pa.RecordBatchReader:
    batches = (
        _fitted(rows, schema) for key in keys for rows in _read(files, inference, key, schema)
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def _with_results(files: Files, recipe: Recipe) -> list[str]:
    """The partitions that have results: the corpus's own in its order, then what else there is."""
    folder = results_path(recipe.inference, "").rpartition("/")[0]
    there = dict.fromkeys(path for path in files.names(folder) if path.endswith(".parquet"))
    own = []
    if there:
        for key in recipe.corpus.partition_keys():
            path = results_path(recipe.inference, key)
            if path in there:
                own.append(key)
                del there[path]
    return own + sorted(_partition_key(files, path) for path in there)


def _partition_key(files: Files, path: str) -> str:
    first = next(stream_parquet(files, path, columns=["partition_key"]))
    key: str = first.column(0)[0].as_py()
    return key


def _stored_schema(files: Files, inference: str, keys: Sequence[str]) -> pa.Schema:
    """Every column that the results of any of the partitions have, in a type that fits all."""
    schemas = {_schema_of(files, inference, key): key for key in keys}
    try:
        unified = pa.unify_schemas(list(schemas), promote_options="permissive")
    except pa.ArrowException as error:
        raise ArtifactError(
            f"the results of {inference} have columns that contradict each other "
            f"({complaint_of(error)}): materialize the older ones again, or name partition_keys "
            f"(one with each kind of columns: {', '.join(map(repr, schemas.values()))})"
        ) from error
    return pa.schema(
        field if all(field.name in each.names for each in schemas) else field.with_nullable(True)
        for field in unified
    )


def _schema_of(files: Files, inference: str, key: str) -> pa.Schema:
    path = results_path(inference, key)
    if not files.exists(path):
        raise ArtifactError(
            f"partition {key!r} of {inference} has no results ({files.url(path)}): "
            "materialize its results, or leave it out of partition_keys"
        )
    try:
        with files.open(path) as source, open_parquet(source) as parquet:
            return parquet.schema_arrow.remove_metadata()
    except DAMAGED as error:
        raise ArtifactError(
            f"{files.url(path)} is not the Parquet file that was stored ({complaint_of(error)}): "
            "restore it, or materialize the results again"
        ) from error


def _selected(stored: pa.Schema, inference: str, columns: Sequence[str] | None) -> pa.Schema:
    if columns is None:
        return stored
    for name in columns:
        if name not in stored.names:
            raise ArtifactError(
                f"the results of {inference} have no column {name!r}; "
                f"they have {', '.join(stored.names)}: name some of these as columns"
            )
    return pa.schema(stored.field(name) for name in dict.fromkeys(columns))


def _read(files: Files, inference: str, key: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    path = results_path(inference, key)
    # The item id's column is small, and a file that has none of the others still has its rows.
    yield from stream_parquet(files, path, columns=[_ITEM_ID, *schema.names])


def _fitted(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(_columns(rows, schema), schema=schema)


def _columns(rows: pa.RecordBatch, schema: pa.Schema) -> list[pa.Array]:
    there = rows.schema.names
    return [
        rows.column(field.name).cast(field.type)
        if field.name in there
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]


def _joined(
    files: Files, recipe: Recipe, key: str, schema: pa.Schema, joined: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The partition's results, each beside its row of the corpus."""
    inputs = InputRows(recipe.corpus, key, joined.field(INPUT).type)
    for rows in _read(files, recipe.inference, key, schema):
        beside = inputs.take(rows.column(_ITEM_ID))
        yield pa.RecordBatch.from_arrays([beside, *_columns(rows, schema)], schema=joined)
    inputs.finish()
