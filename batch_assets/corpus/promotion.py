"""One Arrow type for a column that several sources have."""

from collections.abc import Mapping

import pyarrow as pa

from batch_assets.domain.errors import CorpusError


def promoted(column: str, types: Mapping[str, pa.DataType]) -> pa.DataType:
    """The type that holds the values of all sources, given by the sources' names.

    A whole number is never made a fraction: a prompt would print 1.0 where the source says 1.
    Raises CorpusError where nothing less than a change of the values would do.
    """
    found = {name: _plain(type_) for name, type_ in types.items()}
    present = [type_ for type_ in found.values() if not pa.types.is_null(type_)]
    if not present:
        return pa.null()
    try:
        if len({_family(type_) for type_ in present}) == 1:
            schemas = [pa.schema([(column, type_)]) for type_ in present]
            return pa.unify_schemas(schemas, promote_options="permissive").field(column).type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    listed = ", ".join(f"{type_} in {name}" for name, type_ in types.items())
    raise CorpusError(
        f"column {column!r} has types that have none in common ({listed}): "
        "give the column one type in all sources"
    )


def _plain(type_: pa.DataType) -> pa.DataType:
    """The type without what only says how its values are stored."""
    types = pa.types
    if types.is_dictionary(type_):
        return _plain(type_.value_type)
    if types.is_string(type_) or types.is_string_view(type_):
        return pa.large_string()
    if types.is_binary(type_) or types.is_binary_view(type_) or types.is_fixed_size_binary(type_):
        return pa.large_binary()
    return type_


def _family(type_: pa.DataType) -> str:
    """Types that have a common one, so that no value changes and none is printed as another."""
    types = pa.types
    for name, belongs in (
        ("integer", types.is_integer),
        ("fraction", types.is_floating),
        ("decimal", types.is_decimal),
        ("time of day", types.is_time),
        ("duration", types.is_duration),
        ("struct", types.is_struct),
        ("list", types.is_list),
    ):
        if belongs(type_):
            return name
    return f"timestamp {type_.tz}" if types.is_timestamp(type_) else str(type_)
