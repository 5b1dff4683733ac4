"""What the routes share: query parameters, expiry policies, and the envelope of a list."""

from typing import Any

from starlette.requests import Request

from batch_assets.sandbox.errors import ApiError, missing_parameter, out_of_range, unsupported_value
from batch_assets.sandbox.stored_files import LIFETIME, MAX_LIFETIME, MIN_LIFETIME


def integer_query(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    written = request.query_params.get(name)
    return default if written is None else _integer(name, written, low, high)


def lifetime(param: str, anchor: Any, seconds: Any) -> float:
    """The seconds a file is kept, by an `expires_after` policy or OpenAI's default of 30 days."""
    if anchor is None and seconds is None:
        return LIFETIME
    if anchor != "created_at":
        raise unsupported_value(f"{param}.anchor", anchor, ["created_at"])
    if seconds is None:
        raise missing_parameter(f"{param}.seconds")
    return float(_integer(f"{param}.seconds", seconds, MIN_LIFETIME, MAX_LIFETIME))


def _integer(param: str, value: Any, low: int, high: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise ApiError(
            400,
            f"Invalid type for '{param}': expected an integer.",
            param=param,
            code="invalid_type",
        ) from None
    if not low <= number <= high:
        raise out_of_range(param, number, low, high)
    return number


def cursor_page(objects: list[dict[str, Any]], more: bool) -> dict[str, Any]:
    return {
        "object": "list",
        "data": objects,
        "first_id": objects[0]["id"] if objects else None,
        "last_id": objects[-1]["id"] if objects else None,
        "has_more": more,
    }
