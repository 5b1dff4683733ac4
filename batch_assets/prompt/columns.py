"""JSON schema to Arrow: the type of a column, and how a validated value becomes a value of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

Convert = Callable[[Any], Any]

_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Column:
    """An Arrow type and, where values need a change first, the change."""

    type: pa.DataType
    convert: Convert | None = None
    #: Values hold Pydantic models, so that they must be dumped before anything else.
    holds_models: bool = False


def columns_of(
    properties: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Mapping[str, Column]:
    """The column of each property of an object, by the property's name.

    Objects become structs and arrays lists. A union of several types, an open object and a type
    that contains itself have no one Arrow type: they become their JSON text.
    """
    return {name: _column_of(part, definitions, ()) for name, part in properties.items()}


def _column_of(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> Column:
    if (reference := schema.get("$ref")) is not None:
        name = reference.rsplit("/", 1)[-1]
        if name in inside:
            return _JSON_TEXT
        return _column_of(definitions[name], definitions, (*inside, name))
    if "anyOf" in schema:
        return _union_column(schema["anyOf"], definitions, inside)
    if "enum" in schema or "const" in schema:
        return _choice_column(schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "object" if schema.get("properties"):
            return _struct_column(schema["properties"], definitions, inside)
        case "array" if "items" in schema:
            return _list_column(schema["items"], definitions, inside)
        case "string":
            return _string_column(schema.get("format"))
        case kind:
            return _PLAIN.get(str(kind), _JSON_TEXT)


def _union_column(
    members: list[Mapping[str, Any]], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> Column:
    present = [member for member in members if member.get("type") != "null"]
    if len(present) != 1:
        return _JSON_TEXT
    return _optional(_column_of(present[0], definitions, inside))


def _choice_column(values: list[Any]) -> Column:
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return Column(pa.string(), _enum_value)
    if kinds == {int}:
        return Column(pa.int64(), _enum_value)
    return _JSON_TEXT


def _struct_column(
    properties: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> Column:
    columns = {name: _column_of(part, definitions, inside) for name, part in properties.items()}
    fields = pa.struct([pa.field(name, column.type) for name, column in columns.items()])
    converts = {name: c.convert for name, c in columns.items() if c.convert is not None}
    if not converts:
        return Column(fields, holds_models=True)

    def convert(value: dict[str, Any]) -> dict[str, Any]:
        changed = dict(value)
        for name, change in converts.items():
            changed[name] = change(changed[name])
        return changed

    return Column(fields, convert, holds_models=True)


def _list_column(
    items: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> Column:
    item = _column_of(items, definitions, inside)
    change = item.convert
    if change is None:
        return Column(pa.list_(item.type), holds_models=item.holds_models)
    return Column(
        pa.list_(item.type),
        lambda values: [change(value) for value in values],
        holds_models=item.holds_models,
    )


def _string_column(format_: str | None) -> Column:
    match format_:
        case "date-time":
            return Column(pa.timestamp("us", tz="UTC"), _utc)
        case "date":
            return Column(pa.date32())
        case None:
            return Column(pa.string())
        case _:
            return Column(pa.string(), str)


def _optional(column: Column) -> Column:
    change = column.convert
    if change is None:
        return column
    return Column(
        column.type,
        lambda value: None if value is None else change(value),
        holds_models=column.holds_models,
    )


def _enum_value(value: Any) -> Any:
    return getattr(value, "value", value)


def _int64(value: int) -> int:
    if value not in _INT64:
        raise OverflowError(f"{value} does not fit a 64-bit integer column")
    return value


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return getattr(value, "value", None) or str(value)


_JSON_TEXT = Column(pa.string(), _json_text, holds_models=True)

_PLAIN = {
    "integer": Column(pa.int64(), _int64),
    "number": Column(pa.float64()),
    "boolean": Column(pa.bool_()),
}
