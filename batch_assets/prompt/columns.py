"""JSON schema to Arrow: the type of a column, and how a validated value becomes a value of it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pyarrow as pa
from pydantic import AliasChoices, AliasPath, BaseModel, RootModel
from pydantic.fields import FieldInfo
from pydantic_core import to_json, to_jsonable_python

from batch_assets.prompt.json_schema import ROOT, definition_name, types_of

#: Makes a value of the column's type. Raises ValueError, TypeError or OverflowError where it can't.
Convert = Callable[[Any], Any]

_INT64 = range(-(2**63), 2**63)


@dataclasses.dataclass(frozen=True)
class Column:
    """An Arrow type, and what makes a validated value one of it. Nulls stay nulls."""

    type: pa.DataType
    convert: Convert


class StructColumns:
    """The columns of answers to a strict schema: one for each property of its root.

    Objects become structs and arrays lists. A union of several types and a type that contains
    itself have no one Arrow type: they become their JSON text.
    """

    def __init__(self, strict: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
        definitions = {ROOT: strict, **strict.get("$defs", {})}
        columns = {
            name: _column_of(part, definitions, (ROOT,))
            for name, part in strict["properties"].items()
        }
        self.type: pa.StructType = pa.struct([(name, c.type) for name, c in columns.items()])
        #: By property: where an answer holds it, and what makes a value of the column of it.
        self._columns = [(name, attributes[name], c.convert) for name, c in columns.items()]

    def values(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """A valid answer as a value of `type`. Raises ValueError naming a field that is none."""
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, held, convert in self._columns:
                value = answer.get(held)
                values[name] = None if value is None else convert(value)
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from error
        return values


def held_by(value: Any) -> Mapping[str, Any]:
    """What a model, dataclass or dict holds, by the attribute or key."""
    if isinstance(value, dict):
        return value
    try:
        return value.__dict__  # type: ignore[no-any-return]
    except AttributeError:  # a dataclass with slots
        return {name: getattr(value, name) for name in attributes_of(value.__class__).values()}


@cache
def attributes_of(kind: type[Any]) -> Mapping[str, str]:
    """Where a model, dataclass or dict keeps each property of its JSON schema."""
    if issubclass(kind, dict):
        return {name: name for name in kind.__annotations__}
    if issubclass(kind, BaseModel):
        fields: Mapping[str, FieldInfo] = kind.model_fields
    else:
        fields = getattr(kind, "__pydantic_fields__", None) or {}
    if fields:
        return {_property_name(name, field): name for name, field in fields.items()}
    return {field.name: field.name for field in dataclasses.fields(kind)}


def _property_name(name: str, field: FieldInfo) -> str:
    match field.validation_alias:
        case str(alias):
            return alias
        case AliasChoices(choices=choices):
            singles = (c.path if isinstance(c, AliasPath) else [c] for c in choices)
            return next((str(s[0]) for s in singles if len(s) == 1), name)
        case _:
            return name


def _column_of(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> Column:
    if (reference := schema.get("$ref")) is not None:
        name = definition_name(reference) or ROOT
        if name in inside:
            return _JSON_TEXT
        return _unwrapped(_column_of(definitions[name], definitions, (*inside, name)))
    if (members := schema.get("anyOf")) is not None:
        present = [member for member in members if member.get("type") != "null"]
        return _column_of(present[0], definitions, inside) if len(present) == 1 else _JSON_TEXT
    if "enum" in schema or "const" in schema:
        return _choice_column(schema.get("enum", [schema.get("const")]))
    match [kind for kind in types_of(schema) if kind != "null"]:
        case ["object"]:
            return _struct_column(schema["properties"], definitions, inside)
        case ["array"]:
            return _list_column(_column_of(schema["items"], definitions, inside))
        case ["string"]:
            return _string_column(schema.get("format"))
        case [kind]:
            return _PLAIN[kind]
        case _:
            return _JSON_TEXT


def _unwrapped(column: Column) -> Column:
    """A root model stands for what it holds."""

    def convert(value: Any) -> Any:
        if isinstance(value, RootModel):
            value = value.root
        return None if value is None else column.convert(value)

    return Column(column.type, convert)


def _choice_column(values: Sequence[Any]) -> Column:
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) == 1 and (type_ := _CHOICES.get(kinds.pop())) is not None:
        return Column(type_, lambda value: getattr(value, "value", value))
    return _JSON_TEXT


def _struct_column(
    properties: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> Column:
    columns = {name: _column_of(part, definitions, inside) for name, part in properties.items()}
    fields = pa.struct([pa.field(name, column.type) for name, column in columns.items()])
    converts = {name: column.convert for name, column in columns.items()}
    own_names = {name: name for name in columns}

    def convert(value: Any) -> dict[str, Any]:
        is_dict = isinstance(value, dict)
        held = value if is_dict else held_by(value)
        names = own_names if is_dict else attributes_of(value.__class__)
        return {
            name: None if (part := held.get(names[name])) is None else change(part)
            for name, change in converts.items()
        }

    return Column(fields, convert)


def _list_column(item: Column) -> Column:
    change = item.convert
    return Column(
        pa.list_(item.type), lambda values: [None if v is None else change(v) for v in values]
    )


def _string_column(format_: str | None) -> Column:
    match format_:
        case "date-time":
            return Column(pa.timestamp("us", tz="UTC"), _utc)
        case "date":
            return Column(pa.date32(), _day)
        case _:
            return Column(pa.string(), _text)


def _checked(value: Any, *kinds: type) -> Any:
    if isinstance(value, kinds):
        return value
    wanted = kinds[0].__name__
    raise TypeError(f"a validator made {type(value).__name__} of it, its column holds {wanted}")


def _text(value: Any) -> Any:
    if value.__class__ is str:
        return value
    # Durations, times and ids as their JSON has them.
    return _checked(to_jsonable_python(value), str)


def _float(value: Any) -> float:
    return float(_checked(value, float, int))


def _int64(value: Any) -> int:
    if value.__class__ is float and value.is_integer():
        # To a JSON schema 7.0 is an integer too.
        value = int(value)
    if _checked(value, int) not in _INT64:
        raise OverflowError(f"{value} does not fit a 64-bit integer column")
    return int(value)


def _day(value: Any) -> date:
    day: date = date.fromisoformat(value) if isinstance(value, str) else _checked(value, date)
    return day


def _utc(value: Any) -> datetime:
    is_text = isinstance(value, str)
    moment: datetime = datetime.fromisoformat(value) if is_text else _checked(value, datetime)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json_text(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else to_json(value).decode()


_JSON_TEXT = Column(pa.string(), _json_text)

_PLAIN = {
    "integer": Column(pa.int64(), _int64),
    "number": Column(pa.float64(), _float),
    "boolean": Column(pa.bool_(), lambda value: _checked(value, bool)),
}

_CHOICES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
