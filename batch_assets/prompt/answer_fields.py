"""Which fields of an answer hold labels, and whether any holds free text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from batch_assets.prompt.json_schema import choices_of, resolved, types_of, union_members
from batch_assets.prompt.output import Output

#: Formats of texts that a person does not write in their own words.
_TYPED_TEXT = {"date", "date-time", "time", "duration", "uuid", "email", "ipv4", "ipv6"}


@dataclass(frozen=True)
class LabelField:
    """A field of the `output` column, or of each element of its lists, with a few known values."""

    #: Names of the structs' fields from the column on; empty where the column itself holds labels.
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        """The field's name, dotted where it lies deeper."""
        return ".".join(self.path) or "label"


def label_fields(output: Output, arrow_type: pa.DataType) -> Sequence[LabelField]:
    """The fields of answers that are one of declared values, or lists of them, or true or false.

    A field that stands as JSON text is none.
    """
    if output.schema is None:
        return []
    if pa.types.is_struct(arrow_type):
        return list(_fields(output.schema, output.schema, arrow_type, ()))
    ((_, only),) = output.schema["properties"].items()
    return [LabelField(()) for _ in _fields(only, output.schema, arrow_type, ())]


def has_free_text(output: Output) -> bool:
    """Whether some of an answer is in the model's own words."""
    return output.schema is None or _is_free(output.schema, output.schema, set())


def _fields(
    schema: Mapping[str, Any], root: Mapping[str, Any], kind: pa.DataType, path: tuple[str, ...]
) -> Iterator[LabelField]:
    """Goes along the schema and the type together: where they part, it is JSON text."""
    schema = _present(schema, root)
    if pa.types.is_list(kind):
        items = schema.get("items")
        if isinstance(items, Mapping):
            yield from _fields(items, root, kind.value_type, path)
    elif pa.types.is_struct(kind):
        properties = schema.get("properties", {})
        for field in kind:
            if field.name in properties:
                yield from _fields(properties[field.name], root, field.type, (*path, field.name))
    elif pa.types.is_boolean(kind) or len([c for c in choices_of(schema) if c is not None]) > 1:
        kinds = {type(choice) for choice in choices_of(schema) if choice is not None}
        if len(kinds) <= 1:
            yield LabelField(path)


def _present(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the schema says of a value that is not null."""
    schema = resolved(schema, root)
    present = [m for m in union_members(schema) or () if m.get("type") != "null"]
    return resolved(present[0], root) if len(present) == 1 else schema


def _is_free(schema: Any, root: Mapping[str, Any], seen: set[int]) -> bool:
    if not isinstance(schema, Mapping):
        return False
    schema = resolved(schema, root)
    if id(schema) in seen:  # a type that contains itself
        return False
    seen.add(id(schema))
    if choices_of(schema):
        return False
    if "string" in types_of(schema) and schema.get("format") not in _TYPED_TEXT:
        return True
    parts = [*schema.get("properties", {}).values(), *(union_members(schema) or ())]
    return any(_is_free(part, root, seen) for part in (*parts, schema.get("items")))
