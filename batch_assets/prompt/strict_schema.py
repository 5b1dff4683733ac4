"""A Pydantic model's JSON schema in the form that strict structured output takes.

The rules are OpenAI's (guide "Structured model outputs", section "Supported schemas"): the root is
an object and no union, every object is closed and requires all its properties, and only some
keywords are known. A field with a default is required all the same, so the model must answer it;
validation against the Pydantic model then never needs the default.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from batch_assets.domain.errors import DeclarationError

_ANNOTATIONS = {"title", "description"}
_KEYWORDS: Mapping[str, set[str]] = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"pattern", "format"},
    "number": {"multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"},
    "integer": {"multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"},
    "boolean": set(),
    "null": set(),
}
#: What Pydantic writes that says nothing about the answer: left out.
_LEFT_OUT = {"default", "$defs", "examples", "deprecated"}
_FORMATS = {
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
}

#: Lookahead and lookbehind, which constrained sampling cannot follow.
_LOOKAROUND = re.compile(r"\(\?<?[=!]")

_TYPE_NAMES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}

_MOST_PROPERTIES = 5_000
_MOST_CHOICES = 1_000
#: Names, choices and constants together.
_MOST_CHARACTERS = 120_000


def strict_schema(schema: Mapping[str, Any], model_name: str) -> dict[str, Any]:
    """The strict form. Raises DeclarationError, naming the field, where there is none."""
    definitions = schema.get("$defs", {})
    # The root of a model that contains itself is a reference, and strict mode wants the object.
    root = definitions[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
    if root.get("type") != "object":
        raise _refused(model_name, "", "the answer must be an object: put it into a field")
    strict = _strict(root, model_name, "")
    if definitions:
        strict["$defs"] = {
            name: _strict(part, model_name, name) for name, part in definitions.items()
        }
    _check_size(strict, model_name)
    return strict


def _strict(schema: Mapping[str, Any], model_name: str, field: str) -> dict[str, Any]:
    if "$ref" in schema:
        # A reference stands alone: strict mode refuses keywords beside it.
        return {"$ref": schema["$ref"]}
    annotations = {key: schema[key] for key in schema if key in _ANNOTATIONS}
    if (members := _members(schema)) is not None:
        return {**annotations, "anyOf": [_strict(m, model_name, field) for m in members]}
    if "const" in schema:
        return {**annotations, **_type_of([schema["const"]]), "const": schema["const"]}
    if "enum" in schema:
        return {**annotations, **_type_of(schema["enum"]), "enum": list(schema["enum"])}
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KEYWORDS:
        combined = next((key for key in ("oneOf", "allOf", "not") if key in schema), None)
        what = f"{combined} is not supported" if combined else "it has no one type (Any?)"
        raise _refused(model_name, field, f"{what}; give it a plain type")
    _check_keywords(schema, kind, model_name, field)
    kept = {key: schema[key] for key in schema if key in _KEYWORDS[kind]}
    strict = {**annotations, "type": kind, **kept}
    if kind == "object":
        return _closed(strict, schema, model_name, field)
    if kind == "array":
        if "items" not in schema:
            raise _refused(model_name, field, "the array does not say what it holds")
        strict["items"] = _strict(schema["items"], model_name, f"{field}[]")
    return strict


def _members(schema: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The types of a union. One with a discriminator is told apart by it, so anyOf says enough."""
    key = "oneOf" if "discriminator" in schema else "anyOf"
    members: list[Mapping[str, Any]] | None = schema.get(key)
    if members is None or not any(member.get("type") == "number" for member in members):
        return members
    # Some versions of Pydantic give a Decimal's text a pattern that looks ahead; the number beside
    # it is what a model answers.
    return [
        {k: v for k, v in m.items() if k != "pattern" or not _LOOKAROUND.search(v)} for m in members
    ]


def _type_of(values: list[Any]) -> dict[str, Any]:
    names = sorted({_TYPE_NAMES[type(value)] for value in values})
    return {"type": names[0] if len(names) == 1 else names}


def _check_keywords(schema: Mapping[str, Any], kind: str, model_name: str, field: str) -> None:
    known = _KEYWORDS[kind] | _ANNOTATIONS | _LEFT_OUT | {"type"}
    unknown = sorted(set(schema) - known)
    if unknown:
        raise _refused(
            model_name,
            field,
            f"strict mode has no {', '.join(unknown)}; check it in a validator instead",
        )
    if (format_ := schema.get("format")) is not None and format_ not in _FORMATS:
        raise _refused(model_name, field, f"strict mode has no format {format_}; use plain str")
    if _LOOKAROUND.search(schema.get("pattern", "")):
        raise _refused(
            model_name,
            field,
            "strict mode's patterns look neither ahead nor behind; check it in a validator instead",
        )


def _closed(
    strict: dict[str, Any], schema: Mapping[str, Any], model_name: str, field: str
) -> dict[str, Any]:
    properties = schema.get("properties")
    if schema.get("additionalProperties") not in (None, False):
        raise _refused(
            model_name,
            field,
            "an open object (dict, or extra='allow') has no strict form; "
            "declare its fields, or use a list of key and value",
        )
    if not properties:
        raise _refused(model_name, field, "an object without fields has no strict form")
    prefix = f"{field}." if field else ""
    strict["properties"] = {
        name: _strict(part, model_name, f"{prefix}{name}") for name, part in properties.items()
    }
    strict["required"] = list(properties)
    strict["additionalProperties"] = False
    return strict


def _check_size(strict: Mapping[str, Any], model_name: str) -> None:
    names = [*strict.get("$defs", ())]
    choices: list[Any] = []
    properties = 0
    for part in _parts(strict):
        own = part.get("properties", {})
        properties += len(own)
        names += own
        choices += part.get("enum", ())
        names += [part["const"]] if "const" in part else []
    characters = sum(len(text) for text in (*names, *choices) if isinstance(text, str))
    for what, count, most in (
        ("fields", properties, _MOST_PROPERTIES),
        ("choices", len(choices), _MOST_CHOICES),
        ("characters of names and choices", characters, _MOST_CHARACTERS),
    ):
        if count > most:
            raise _refused(model_name, "", f"{count} {what} are more than strict mode's {most}")


def _parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    children = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    children += [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])]
    for child in children:
        yield from _parts(child)


def _refused(model_name: str, field: str, why: str) -> DeclarationError:
    where = f"output {model_name}, field {field}" if field else f"output {model_name}"
    return DeclarationError(f"{where}: {why}")
