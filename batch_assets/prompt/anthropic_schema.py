"""A strict schema in the form that Anthropic's structured outputs take.

Their subset is smaller than that of strict mode (anthropic 2.12, `lib/_parse/_transform.py`): what
they do not know is written into the description, where the model reads it. Answers are validated
against the declared type all the same.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.json_schema import ROOT, SECTIONS, definition_name, definitions_of

#: Parts of a schema that may be of several types ("too many parameters with union types", the
#: API's own refusal).
MOST_UNIONS = 16

_KEPT = frozenset(
    {"type", "enum", "const", "$ref", "required", "additionalProperties", "title", "description"}
)
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)

_WAY_OUT = "give the setting structured_output: tool, which takes any schema"


def anthropic_schema(schema: Mapping[str, Any], output_name: str) -> dict[str, Any]:
    """The schema as `output_config.format` has it. Raises DeclarationError where there is none."""
    if (name := _recursive(schema)) is not None:
        raise DeclarationError(
            f"output {output_name}: {name} contains itself, which Anthropic's structured outputs "
            f"cannot be: {_WAY_OUT}"
        )
    unions = sum(_is_union(node) for node in _nodes(schema))
    if unions > MOST_UNIONS:
        raise DeclarationError(
            f"output {output_name}: {unions} fields may be of several types, or null, and "
            f"Anthropic's structured outputs take {MOST_UNIONS}: {_WAY_OUT}, or require more fields"
        )
    return _adapted(schema)


def _adapted(node: Mapping[str, Any]) -> dict[str, Any]:
    adapted: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for keyword, value in node.items():
        match keyword:
            case "properties" | "$defs" | "definitions":
                adapted[keyword] = {name: _adapted(part) for name, part in value.items()}
            case "items":
                adapted[keyword] = _adapted(value)
            case "anyOf":
                adapted[keyword] = [_adapted(part) for part in value]
            case _ if _is_known(keyword, value):
                adapted[keyword] = value
            case _:
                unknown[keyword] = value
    if unknown:
        said = ", ".join(
            f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in unknown.items()
        )
        before = adapted.get("description")
        adapted["description"] = f"{before}\n\n{{{said}}}" if before else f"{{{said}}}"
    return adapted


def _is_known(keyword: str, value: Any) -> bool:
    match keyword:
        case "format":
            return value in _FORMATS
        case "minItems":
            return value in (0, 1)
        case _:
            return keyword in _KEPT


def _is_union(node: Mapping[str, Any]) -> bool:
    kind = node.get("type")
    return "anyOf" in node or (isinstance(kind, list) and len(kind) > 1)


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and all schemas in it, definitions too."""
    yield node
    for section in ("properties", *SECTIONS):
        for part in node.get(section, {}).values():
            yield from _nodes(part)
    if "items" in node:
        yield from _nodes(node["items"])
    for part in node.get("anyOf", ()):
        yield from _nodes(part)


def _recursive(schema: Mapping[str, Any]) -> str | None:
    """The name of a definition that leads to itself; the root's is `the answer`."""
    definitions = definitions_of(schema)
    root = {name: part for name, part in schema.items() if name not in SECTIONS}
    leads_to = {name: _references(part) for name, part in {ROOT: root, **definitions}.items()}
    for start in leads_to:
        seen: set[str] = set()
        ahead = set(leads_to[start])
        while ahead:
            name = ahead.pop()
            seen.add(name)
            ahead |= leads_to.get(name, set()) - seen
        if start in seen:
            return "the answer" if start == ROOT else start
    return None


def _references(node: Mapping[str, Any]) -> set[str]:
    found = {str(each["$ref"]) for each in _nodes(node) if "$ref" in each}
    return {
        reference if reference == ROOT else definition_name(reference) or "" for reference in found
    }
