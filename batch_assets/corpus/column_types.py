"""The types that a partition's columns have, and values brought into them."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.corpus.listing import SourceFile
from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.files.parquet import complaint_of


def type_named(name: str, column: str) -> pa.DataType:
    """Arrow's type of a name. Raises DeclarationError."""
    try:
        return pa.type_for_alias(name)
    except ValueError as error:
        raise DeclarationError(
            f"types of the corpus: {name!r} of column {column!r} is no type of Arrow; use one as "
            "string, int64, double, bool, date32 or timestamp[us]"
        ) from error


def common_schema(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """One schema for the files of a partition, by their names for people. Raises CorpusError."""
    (first_ref, first), *others = schemas.items()
    common = first
    for ref, schema in others:
        for field in schema:
            try:
                pa.unify_schemas(
                    [pa.schema([common.field(field.name)]), pa.schema([field])],
                    promote_options="permissive",
                )
            except pa.ArrowException as error:
                raise CorpusError(
                    f"column {field.name!r} is {common.field(field.name).type} in {first_ref} and "
                    f"{field.type} in {ref}: write both with one type, or name it in the corpus, "
                    f"as in types={{{field.name!r}: 'string'}}"
                ) from error
        common = pa.unify_schemas([common, schema], promote_options="permissive")
    return common


def casted(file: SourceFile, row: int, batch: pa.RecordBatch, target: pa.Schema) -> pa.RecordBatch:
    """The batch in the target's columns and types; what folders say goes for all its rows.

    Raises CorpusError for a value that has no place in its type.
    """
    if batch.schema.equals(target):
        return batch
    arrays = []
    for field in target:
        if field.name in file.folder_values:
            value = file.folder_values[field.name]
            values = pa.array([value] * batch.num_rows, pa.string())
        else:
            values = batch.column(field.name)
        arrays.append(_casted(file, row, field, values))
    return pa.RecordBatch.from_arrays(arrays, schema=target)


def _casted(file: SourceFile, row: int, field: pa.Field, values: pa.Array) -> pa.Array:
    if values.type == field.type:
        return values
    if pa.types.is_string(values.type) and not _is_text(field.type):
        # Text formats write a missing value as nothing.
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
    try:
        return pc.cast(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        place, why = _first_unfit(values, field.type, error)
        raise CorpusError(
            f"{file.ref}, row {row + place}, column {field.name!r}: {why}; "
            "correct the value, or give the column another type in the corpus's types"
        ) from error


def _first_unfit(values: pa.Array, type_: pa.DataType, error: Exception) -> tuple[int, Any]:
    for place in range(len(values)):
        try:
            pc.cast(values.slice(place, 1), type_)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as single:
            return place, complaint_of(single)
    return 0, complaint_of(error)


def _is_text(type_: pa.DataType) -> bool:
    return type_ in (pa.string(), pa.large_string(), pa.string_view())
