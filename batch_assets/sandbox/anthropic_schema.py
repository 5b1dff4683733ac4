"""What a schema of Anthropic's structured outputs may not have (guide "Structured outputs", "JSON
Schema limitations").

The words of the refusals of unknown properties, of open objects and of too many unions are the
API's (vercel/ai#17268, public error handlers); that of recursion is ours.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from batch_assets.sandbox.response_schema import response_schema

MOST_UNIONS = 16
MOST_OPTIONAL = 24
FORMATS = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
})  # fmt: skip
#: By type, what of a schema is refused.
UNSUPPORTED = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
    "object": ("minProperties", "maxProperties", "patternProperties"),
}


def schema_complaint(schema: Any) -> str | None:
    """The first rule that the schema breaks."""
    if not isinstance(schema, dict):
        return "Input should be a valid dictionary"
    if _is_recursive(schema):
        return "Recursive schemas are not supported."
    prepared = response_schema({"schema": schema}).complaint
    if prepared is not None:
        return prepared
    nodes = list(_nodes(schema))
    for node in nodes:
        if (complaint := _complaint(node)) is not None:
            return complaint
    return _complexity_complaint(nodes)


def _complaint(node: Mapping[str, Any]) -> str | None:
    declared = node.get("type")
    for kind in declared if isinstance(declared, list) else [declared]:
        known = UNSUPPORTED.get(str(kind), ())
        if found := sorted(name for name in known if name in node):
            what = "property" if len(found) == 1 else "properties"
            are = "is" if len(found) == 1 else "are"
            return f"For '{kind}' type, {what} {', '.join(found)} {are} not supported"
    if declared == "object" and node.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    if node.get("minItems") not in (None, 0, 1):
        return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if "format" in node and node["format"] not in FORMATS:
        return f"String format '{node['format']}' is not supported"
    return None


def _complexity_complaint(nodes: list[Mapping[str, Any]]) -> str | None:
    unions = sum("anyOf" in node or isinstance(node.get("type"), list) for node in nodes)
    if unions > MOST_UNIONS:
        return (
            f"Schemas contains too many parameters with union types ({unions} parameters with type "
            f"arrays or anyOf) which exceeds the limit: {MOST_UNIONS}"
        )
    optional = sum(len(set(node.get("properties", ())) - set(_required(node))) for node in nodes)
    if optional > MOST_OPTIONAL:
        return (
            f"Schemas contains too many optional parameters ({optional}), which exceeds the limit: "
            f"{MOST_OPTIONAL}"
        )
    return None


def _required(node: Mapping[str, Any]) -> list[str]:
    required = node.get("required")
    return required if isinstance(required, list) else []


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(node, dict):
        return
    yield node
    for section in ("properties", "$defs", "definitions"):
        for part in (node.get(section) or {}).values():
            yield from _nodes(part)
    yield from _nodes(node.get("items"))
    for part in node.get("anyOf") or ():
        yield from _nodes(part)


def _is_recursive(schema: dict[str, Any]) -> bool:
    sections = ("$defs", "definitions")
    named = {
        f"#/{section}/{name}": part
        for section in sections
        for name, part in (schema.get(section) or {}).items()
    }
    named["#"] = {name: part for name, part in schema.items() if name not in sections}
    leads = {
        name: {node["$ref"] for node in _nodes(part) if isinstance(node.get("$ref"), str)}
        for name, part in named.items()
    }
    for start, ahead in leads.items():
        seen: set[str] = set()
        waiting = list(ahead)
        while waiting:
            name = waiting.pop()
            if name == start:
                return True
            if name not in seen:
                seen.add(name)
                waiting += leads.get(name, ())
    return False
