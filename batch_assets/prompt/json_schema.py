"""Reading a JSON schema: references, unions, what may be null."""

from collections.abc import Mapping, Sequence
from typing import Any

#: What strict mode and we call definitions, and what drafts before 2019-09 did.
SECTIONS = ("$defs", "definitions")

#: The root of a schema, as a reference has it.
ROOT = "#"


def definitions_of(root: Mapping[str, Any]) -> dict[str, Any]:
    """The schema's definitions by name."""
    return {name: part for section in SECTIONS for name, part in root.get(section, {}).items()}


def definition_name(reference: Any) -> str | None:
    """The name of the definition that a reference leads to; None where it leads elsewhere."""
    match str(reference).split("/"):
        case ["#", section, name] if section in SECTIONS:
            return name.replace("~1", "/").replace("~0", "~")
        case _:
            return None


def resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference, or an `allOf` of one member, stands for. Empty where that is nothing."""
    seen: set[str] = set()
    while True:
        if len(members := schema.get("allOf", ())) == 1:
            schema = members[0]
            continue
        reference = schema.get("$ref")
        if reference is None:
            return schema
        if reference in seen:
            return {}
        seen.add(reference)
        name = definition_name(reference)
        found = root if reference == ROOT else definitions_of(root).get(name or "")
        schema = found if isinstance(found, Mapping) else {}


def union_members(schema: Mapping[str, Any]) -> Sequence[Any] | None:
    """The types of a union; None where the schema is none."""
    members: Sequence[Any] | None = schema.get("anyOf", schema.get("oneOf"))
    return members


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """The JSON types that `type` names, or that the other keywords imply."""
    match schema.get("type"):
        case None:
            implied = {"properties": "object", "items": "array"}
            return [kind for keyword, kind in implied.items() if keyword in schema]
        case str(kind):
            return [kind]
        case kinds:
            return list(kinds)


def allows_null(schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether null is a value of the schema."""
    return _allows_null(schema, root, set())


def _allows_null(schema: Any, root: Mapping[str, Any], seen: set[int]) -> bool:
    if not isinstance(schema, Mapping):
        return False
    schema = resolved(schema, root)
    if id(schema) in seen:  # A union that contains itself.
        return False
    if (members := union_members(schema)) is not None:
        seen.add(id(schema))
        return any(_allows_null(member, root, seen) for member in members)
    if "const" in schema or "enum" in schema:
        return None in schema.get("enum", [schema.get("const")])
    return "null" in types_of(schema)


def optional_fields(schema: Mapping[str, Any], root: Mapping[str, Any]) -> set[str]:
    """Fields of an object that may be left out and may not be null.

    Strict mode has no field that is left out. Such a field may be null there, which means that it
    is left out. A constant is no such field: there is but one way to answer it, and the types of a
    union are told apart by it.
    """
    required = schema.get("required", ())
    return {
        name
        for name, part in schema.get("properties", {}).items()
        if name not in required and not is_constant(part, root) and not allows_null(part, root)
    }


def choices_of(schema: Mapping[str, Any]) -> Sequence[Any]:
    """The values that a `const` or `enum` allows; empty where there is neither."""
    return [schema["const"]] if "const" in schema else schema.get("enum", ())


def is_constant(schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether the schema allows one value only."""
    return isinstance(schema, Mapping) and len(choices_of(resolved(schema, root))) == 1
