"""What a JSON schema may not do under `strict: true`.

The rules are those of OpenAI's guide "Structured Outputs", section "Supported schemas"; the
wording of each complaint is that of the API's own 400 answers, as reported in public issues.
Keywords are an allow list there too: one that is not listed is refused, not ignored.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, TypeAlias

MAX_PROPERTIES = 5_000
MAX_DEPTH = 10
MAX_ENUM_VALUES = 1_000
MANY_ENUM_VALUES = 250
MAX_MANY_ENUM_CHARACTERS = 15_000
MAX_NAME_CHARACTERS = 120_000
MAX_PATH = 200
"""Far beyond ten levels; it keeps a hostile schema from exhausting the stack."""

ANNOTATIONS = frozenset({"title", "description", "$schema", "$defs", "definitions"})
KEYWORDS = ANNOTATIONS | {
    "type", "enum", "const", "anyOf", "$ref",
    "properties", "required", "additionalProperties",
    "items", "minItems", "maxItems",
    "pattern", "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
}  # fmt: skip
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
TYPES = frozenset({"string", "number", "boolean", "integer", "object", "array", "null"})

LOOKAROUND = re.compile(r"\(\?<?[=!]")

Path: TypeAlias = tuple[str, ...]


class SchemaRefused(ValueError):
    """The first rule that a schema breaks, in the words of the API."""


@dataclass(kw_only=True)
class _Totals:
    """Sums over the whole schema that have a limit of their own."""

    properties: int = 0
    depth: int = 0
    enum_values: int = 0
    name_characters: int = 0
    root: Mapping[str, Any]
    definitions: frozenset[str] = field(default_factory=frozenset)


def check_strict_schema(schema: Any) -> None:
    """Raise `SchemaRefused` for the first rule that `schema` breaks."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        found = schema.get("type") if isinstance(schema, dict) else None
        raise SchemaRefused(
            f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found}\"'."
        )
    if "anyOf" in schema:
        raise SchemaRefused("In context=(), 'anyOf' is not permitted.")
    definitions = _definitions(schema)
    names = sum(len(reference.rpartition("/")[2]) for reference in definitions - {"#"})
    totals = _Totals(root=schema, definitions=definitions, name_characters=names)
    _check(schema, (), 0, totals)
    _check_totals(totals)


def _definitions(schema: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        f"#/{section}/{name.replace('~', '~0').replace('/', '~1')}"
        for section in ("$defs", "definitions")
        if isinstance(schema.get(section), dict)
        for name in schema[section]
    ) | {"#"}


def _check(node: Any, path: Path, depth: int, totals: _Totals) -> None:
    if not isinstance(node, dict):
        raise _refused(path, "schema must be a JSON object.")
    if len(path) > MAX_PATH:
        raise _too_deep(len(path) // 2)
    if "$ref" in node:
        return _check_reference(node, path, totals)
    for keyword in node:
        if keyword not in KEYWORDS:
            raise _refused(path, f"'{keyword}' is not permitted.")
    if "type" not in node and "anyOf" not in node:
        raise _refused(path, "schema must have a 'type' key.")
    types = _types(node, path)
    if "object" in types:
        _check_object(node, path, totals)
    if "array" in types and "items" not in node:
        raise _refused(path, "array schema missing items.")
    _check_values(node, path, totals)
    _check_branches(node, path, totals)
    # An object or an array is one level; a reference starts to count anew, as recursion must.
    depth += bool(types & {"object", "array"})
    totals.depth = max(totals.depth, depth)
    for child_path, child in _children(node, path):
        starts_anew = child_path[-2:-1] in (("$defs",), ("definitions",))
        _check(child, child_path, 0 if starts_anew else depth, totals)
    return None


def _types(node: Mapping[str, Any], path: Path) -> set[str]:
    declared = node.get("type", [])
    types = declared if isinstance(declared, list) else [declared]
    for name in types:
        if not isinstance(name, str) or name not in TYPES:
            raise _refused(path, f"'{name}' is not a valid type.")
    return set(types)


def _check_reference(node: Mapping[str, Any], path: Path, totals: _Totals) -> None:
    others = sorted(set(node) - {"$ref"} - {"$defs", "definitions"})
    if others:
        names = ", ".join(f"'{name}'" for name in others)
        raise _refused(path, f"$ref cannot have keywords {{{names}}}.")
    if node["$ref"] not in totals.definitions:
        raise _refused(
            path, "reference can only point to definitions defined at the top level of the schema."
        )


def _check_object(node: Mapping[str, Any], path: Path, totals: _Totals) -> None:
    if node.get("additionalProperties") is not False:
        raise _refused(path, "'additionalProperties' is required to be supplied and to be false.")
    properties = node.get("properties", {})
    required = node.get("required", [])
    complaint = (
        "'required' is required to be supplied and to be an array including every key in "
        "properties."
    )
    if not isinstance(properties, dict) or not isinstance(required, list):
        raise _refused(path, complaint)
    for name in properties:
        if name not in required:
            raise _refused(path, f"{complaint} Missing '{name}'.")
    for name in required:
        if name not in properties:
            raise _refused(path, f"{complaint} Extra required key '{name}' supplied.")
    totals.properties += len(properties)
    totals.name_characters += sum(map(len, properties))


def _check_values(node: Mapping[str, Any], path: Path, totals: _Totals) -> None:
    if "format" in node and node["format"] not in FORMATS:
        raise _refused(path, f"'{node['format']}' is not a valid format.")
    if isinstance(node.get("pattern"), str) and LOOKAROUND.search(node["pattern"]):
        place = ".".join(("$", *path, "pattern"))
        raise SchemaRefused(
            f"Invalid JSON schema: regex lookaround is not supported. Found at {place}."
        )
    if "const" in node:
        totals.name_characters += _characters([node["const"]])
    if "enum" not in node:
        return
    values = node["enum"]
    if not isinstance(values, list) or not values:
        raise _refused(path, "'enum' is required to be a non-empty array.")
    characters = _characters(values)
    totals.enum_values += len(values)
    totals.name_characters += characters
    if len(values) > MANY_ENUM_VALUES and characters > MAX_MANY_ENUM_CHARACTERS:
        raise SchemaRefused(
            f"Expected at most {MAX_MANY_ENUM_CHARACTERS} total characters across enum values "
            f"when there are more than {MANY_ENUM_VALUES} enum values, but received {characters}."
        )


def _check_branches(node: Mapping[str, Any], path: Path, totals: _Totals) -> None:
    """The sampler decides for a branch at the first key of an object."""
    if "anyOf" not in node:
        return
    branches = node["anyOf"]
    if not isinstance(branches, list) or not branches:
        raise _refused(path, "'anyOf' is required to be a non-empty array.")
    firsts = [first for branch in branches if (first := _first_key(branch, totals.root))]
    for (key, schema), (other_key, other_schema) in combinations(firsts, 2):
        if key == other_key and not _are_distinct(schema, other_schema):
            raise SchemaRefused(
                "Invalid schema: Objects provided via 'anyOf' must not share identical first keys. "
                "Consider adding a discriminator key or rearranging the properties to ensure the "
                "first key is unique."
            )


def _first_key(branch: Any, root: Mapping[str, Any]) -> tuple[str, Any] | None:
    node = _pointed_to(branch, root)
    properties = node.get("properties") if isinstance(node, dict) else None
    if not isinstance(properties, dict) or not properties:
        return None
    key = next(iter(properties))
    return key, _pointed_to(properties[key], root)


def _pointed_to(node: Any, root: Mapping[str, Any]) -> Any:
    for _ in range(MAX_PATH):
        if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
            return node
        steps = node["$ref"].split("/")[1:]
        node = root
        for step in steps:
            step = step.replace("~1", "/").replace("~0", "~")
            node = node.get(step) if isinstance(node, dict) else None
    return None


def _are_distinct(schema: Any, other: Any) -> bool:
    """Whether two discriminators share no value; a key without fixed values is none."""
    allowed, others = (
        [part["const"]] if "const" in part else part.get("enum", [])
        for part in (schema, other)
        if isinstance(part, dict)
    )
    return bool(allowed and others) and not any(value in others for value in allowed)


def _characters(values: list[Any]) -> int:
    return sum(len(value) for value in values if isinstance(value, str))


def _children(node: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for keyword in ("properties", "$defs", "definitions"):
        named = node.get(keyword)
        if isinstance(named, dict):
            for name, child in named.items():
                yield (*path, keyword, name), child
    if "items" in node:
        yield (*path, "items"), node["items"]
    branches = node.get("anyOf")
    if isinstance(branches, list):
        for index, child in enumerate(branches):
            yield (*path, "anyOf", str(index)), child


def _check_totals(totals: _Totals) -> None:
    if totals.properties > MAX_PROPERTIES:
        raise SchemaRefused(f"{totals.properties} parameters exceeds limit of {MAX_PROPERTIES}.")
    if totals.depth > MAX_DEPTH:
        raise _too_deep(totals.depth)
    if totals.enum_values > MAX_ENUM_VALUES:
        raise SchemaRefused(
            f"Expected at most {MAX_ENUM_VALUES} enum values in total within a single schema when "
            f"using structured outputs, but received {totals.enum_values}. Consider reducing the "
            "number of enums, or use 'strict: false' to opt out of structured outputs."
        )
    if totals.name_characters > MAX_NAME_CHARACTERS:
        raise SchemaRefused(
            f"Expected at most {MAX_NAME_CHARACTERS} total characters across property names, "
            f"definition names, enum values and const values, but received "
            f"{totals.name_characters}."
        )


def _too_deep(levels: int) -> SchemaRefused:
    return SchemaRefused(f"{levels} levels of nesting exceeds limit of {MAX_DEPTH}.")


def _refused(path: Path, complaint: str) -> SchemaRefused:
    return SchemaRefused(f"In context={path}, {complaint}")
