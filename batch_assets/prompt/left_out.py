"""Fields that an answer may leave out, under a schema that cannot: null is what leaves them out."""

from collections.abc import Mapping
from math import inf
from typing import Any

import msgspec

from batch_assets.prompt.json_schema import (
    choices_of,
    optional_fields,
    resolved,
    types_of,
    union_members,
)

_NULL = b"null"


class LeftOut:
    """What a schema lets an answer leave out, and how an answer to its strict form says so.

    A null stays where the schema allows null itself. In a union the type decides whose constants
    the answer has, and most of whose fields.
    """

    def __init__(self, schema: Mapping[str, Any], *, with_defaults: bool) -> None:
        self._root = schema
        self._is_needed = _has_optional_fields(schema, schema)
        #: Whether a `default` of the schema is put in, where it is not a validator that does it.
        self._with_defaults = with_defaults

    def restored(self, text: str) -> str | bytes:
        """The answer without the nulls that mean: left out. Text that is no JSON stays as it is."""
        if not self._is_needed or "null" not in text:
            return text
        try:
            return self._restored(msgspec.Raw(text.encode()), self._root)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return text

    def _restored(self, raw: msgspec.Raw, schema: Any, *, with_defaults: bool = False) -> bytes:
        value = bytes(raw)
        if _NULL not in value or not isinstance(schema, Mapping):
            return value
        schema = resolved(schema, self._root)
        if (members := union_members(schema)) is not None:
            distances = [self._distance(value, member) for member in members]
            nearest = min(distances, default=inf)
            member = None if nearest == inf else members[distances.index(nearest)]
            # What is left out must not make it an answer of another member.
            return self._restored(raw, member, with_defaults=True)
        kinds = types_of(schema)
        if value[:1] == b"{" and "object" in kinds:
            return self._object(value, schema, with_defaults or self._with_defaults)
        if value[:1] == b"[" and "array" in kinds:
            parts = msgspec.json.decode(value, type=list[msgspec.Raw])
            changed = [msgspec.Raw(self._restored(p, schema.get("items"))) for p in parts]
            return msgspec.json.encode(changed)
        return value

    def _object(self, value: bytes, schema: Mapping[str, Any], with_defaults: bool) -> bytes:
        optional = optional_fields(schema, self._root)
        properties = schema.get("properties", {})
        fields = {}
        for name, raw in msgspec.json.decode(value, type=dict[str, msgspec.Raw]).items():
            part = properties.get(name)
            if name not in optional or bytes(raw) != _NULL:
                fields[name] = msgspec.Raw(self._restored(raw, part))
            elif with_defaults and "default" in part:
                fields[name] = msgspec.Raw(msgspec.json.encode(part["default"]))
        return msgspec.json.encode(fields)

    def _distance(self, value: bytes, member: Any) -> float:
        """How far an answer is from a member of a union: fields that only one of the two has."""
        schema = resolved(member, self._root) if isinstance(member, Mapping) else {}
        if (members := union_members(schema)) is not None:
            return min((self._distance(value, inner) for inner in members), default=inf)
        if value[:1] == b"[":
            return 0 if "array" in types_of(schema) else inf
        if value[:1] != b"{" or "object" not in types_of(schema):
            return inf
        fields = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        properties = schema.get("properties", {})
        for name in set(fields) & set(properties):
            choices = choices_of(resolved(properties[name], self._root))
            if choices and msgspec.json.decode(fields[name]) not in choices:
                return inf
        return len(set(fields) ^ set(properties))


def _has_optional_fields(part: Any, root: Mapping[str, Any]) -> bool:
    if isinstance(part, list):
        return any(_has_optional_fields(each, root) for each in part)
    if not isinstance(part, Mapping):
        return False
    if isinstance(part.get("properties"), Mapping) and optional_fields(part, root):
        return True
    return any(_has_optional_fields(each, root) for each in part.values())
