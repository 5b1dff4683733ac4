"""Rules that several endpoints share: which bodies get a 400 (OpenAI API reference)."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from batch_assets.sandbox.errors import JSON_TYPE_NAMES, error_body, wrong_type
from batch_assets.sandbox.response_schema import response_schema

FORMAT_TYPES = ("json_object", "json_schema", "text")
FORMAT_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")

Refusal = dict[str, Any] | None


def unknown_parameter(body: Mapping[str, Any], known: Collection[str]) -> Refusal:
    for parameter in body:
        if parameter not in known:
            return error_body(
                f"Unknown parameter: '{parameter}'.", param=parameter, code="unknown_parameter"
            )
    return None


def integer_refusal(
    body: Mapping[str, Any], parameter: str, *, low: int = 1, high: int | None = None
) -> Refusal:
    value = body.get(parameter)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        return wrong_type(parameter, "an integer", value)
    if value < low:
        return _out_of_range(parameter, "integer", "below minimum", f">= {low}", value)
    if high is not None and value > high:
        return _out_of_range(parameter, "integer", "above maximum", f"<= {high}", value)
    return None


def number_refusal(body: Mapping[str, Any], parameter: str, *, low: float, high: float) -> Refusal:
    value = body.get(parameter)
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return wrong_type(parameter, "a decimal", value)
    if value < low:
        return _out_of_range(parameter, "decimal", "below minimum", f">= {low:g}", value)
    if value > high:
        return _out_of_range(parameter, "decimal", "above maximum", f"<= {high:g}", value)
    return None


def choice_refusal(body: Mapping[str, Any], parameter: str, supported: Sequence[str]) -> Refusal:
    value = body.get(parameter)
    if value is None or value in supported:
        return None
    return unsupported(parameter, value, supported)


def _out_of_range(parameter: str, kind: str, side: str, wanted: str, value: float) -> Refusal:
    bound = "min" if side.startswith("below") else "max"
    return error_body(
        f"Invalid '{parameter}': {kind} {side} value. "
        f"Expected a value {wanted}, but got {value} instead.",
        param=parameter,
        code=f"{kind}_{side.split()[0]}_{bound}_value",
    )


def empty_array(param: str) -> dict[str, Any]:
    return error_body(
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an "
        "empty array instead.",
        param=param,
        code="empty_array",
    )


def missing(param: str) -> dict[str, Any]:
    return error_body(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def unsupported(param: str, value: object, supported: Sequence[str]) -> dict[str, Any]:
    choices = ", ".join(f"'{choice}'" for choice in supported)
    return error_body(
        f"Invalid value: '{value}'. Supported values are: {choices}.",
        param=param,
        code="invalid_value",
    )


def texts_refusal(value: Any, param: str) -> Refusal:
    """Of a prompt: a text, an array of texts, of tokens, or of arrays of tokens."""
    if isinstance(value, str):
        return None
    if not isinstance(value, list):
        return wrong_type(param, "a string or an array", value)
    kinds = {type(part) for part in value}
    if kinds <= {str} or kinds <= {int} or kinds <= {list}:
        return None
    got = " and ".join(sorted(JSON_TYPE_NAMES[kind] for kind in kinds))
    message = f"Invalid type for '{param}': expected strings or tokens, but got {got} instead."
    return error_body(message, param=param, code="invalid_type")


def schema_refusal(json_schema: Any, param: str, complained_of: str) -> Refusal:
    """Of a named JSON schema; a complaint about the schema itself is of `complained_of`."""
    if not isinstance(json_schema, dict):
        return (
            missing(param) if json_schema is None else wrong_type(param, "an object", json_schema)
        )
    name = json_schema.get("name")
    if name is None:
        return missing(f"{param}.name")
    if not isinstance(name, str) or not FORMAT_NAME.match(name):
        return error_body(
            f"Invalid '{param}.name': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=f"{param}.name",
            code="invalid_value",
        )
    complaint = response_schema(json_schema).complaint
    if complaint is None:
        return None
    return error_body(
        f"Invalid schema for response_format '{name}': {complaint}",
        param=complained_of,
        code="invalid_json_schema",
    )
