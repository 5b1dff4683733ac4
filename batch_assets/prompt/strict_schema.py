"""A Pydantic model's JSON schema in the form that strict structured output takes.

The rules are OpenAI's (guide "Structured model outputs", section "Supported schemas"): the root is
an object and no union, every object is closed and requires all its properties, and only some
keywords are known. A field with a default is required all the same, so the model must answer it;
validation against the Pydantic model then never needs the default.
"""

from collections.abc import Mapping
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


def strict_schema(schema: Mapping[str, Any], model_name: str) -> dict[str, Any]:
    """The strict form. Raises DeclarationError, naming the field, where there is none."""
    if schema.get("type") != "object" and "$ref" not in schema:
        raise _refused(model_name, "", "the answer must be an object: put it into a field")
    strict = _strict(schema, model_name, "")
    if "$defs" in schema:
        strict["$defs"] = {
            name: _strict(part, model_name, name) for name, part in schema["$defs"].items()
        }
    return strict


def _strict(schema: Mapping[str, Any], model_name: str, field: str) -> dict[str, Any]:
    if "$ref" in schema:
        # A reference stands alone: strict mode refuses keywords beside it.
        return {"$ref": schema["$ref"]}
    annotations = {key: schema[key] for key in schema if key in _ANNOTATIONS}
    if "anyOf" in schema:
        members = [_strict(member, model_name, field) for member in schema["anyOf"]]
        return {**annotations, "anyOf": members}
    if "const" in schema:
        return {**annotations, **_typed(schema), "const": schema["const"]}
    if "enum" in schema:
        return {**annotations, **_typed(schema), "enum": list(schema["enum"])}
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


def _typed(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": schema["type"]} if "type" in schema else {}


def _check_keywords(schema: Mapping[str, Any], kind: str, model_name: str, field: str) -> None:
    known = _KEYWORDS[kind] | _ANNOTATIONS | {"type", "default", "$defs", "examples"}
    unknown = sorted(set(schema) - known)
    if unknown:
        raise _refused(
            model_name,
            field,
            f"strict mode has no {', '.join(unknown)}; check it in a validator instead",
        )
    if (format_ := schema.get("format")) is not None and format_ not in _FORMATS:
        raise _refused(model_name, field, f"strict mode has no format {format_}; use plain str")


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


def _refused(model_name: str, field: str, why: str) -> DeclarationError:
    where = f"output {model_name}, field {field}" if field else f"output {model_name}"
    return DeclarationError(f"{where}: {why}")
