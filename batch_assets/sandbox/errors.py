"""Errors in the shape of OpenAI's API reference: `{"error": {message, type, param, code}}`."""

from collections.abc import Mapping
from typing import Any


def error_body(
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    type: str = "invalid_request_error",
) -> dict[str, Any]:
    return {
        "error": {
            "message": message,
            "type": type,
            "param": param,
            "code": code,
        }
    }


class ApiError(Exception):
    """A refusal of one HTTP request."""

    def __init__(
        self,
        status_code: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        type: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message
        self.headers = headers
        self.body = error_body(message, param=param, code=code, type=type)


JSON_TYPE_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    type(None): "null",
}


def wrong_type(param: str, expected: str, value: object) -> dict[str, Any]:
    message = (
        f"Invalid type for '{param}': expected {expected}, "
        f"but got {JSON_TYPE_NAMES[type(value)]} instead."
    )
    return error_body(message, param=param, code="invalid_type")


def missing_parameter(param: str) -> ApiError:
    return ApiError(
        400,
        f"Missing required parameter: '{param}'.",
        param=param,
        code="missing_required_parameter",
    )


def unsupported_value(param: str, value: object, supported: list[str]) -> ApiError:
    choices = ", ".join(f"'{choice}'" for choice in supported)
    return ApiError(
        400,
        f"Invalid value: '{value}'. Supported values are: {choices}.",
        param=param,
        code="invalid_value",
    )


def out_of_range(param: str, value: int, low: int, high: int) -> ApiError:
    side, sign, bound = (
        ("below minimum", ">=", low) if value < low else ("above maximum", "<=", high)
    )
    return ApiError(
        400,
        f"Invalid '{param}': integer {side} value. "
        f"Expected a value {sign} {bound}, but got {value} instead.",
        param=param,
        code="integer_below_min_value" if value < low else "integer_above_max_value",
    )
