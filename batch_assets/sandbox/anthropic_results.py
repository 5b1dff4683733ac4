"""The engine's lines in Anthropic's words (API reference, "Retrieve Message Batch results")."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

Line = dict[str, Any]

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By HTTP status (API reference, "Errors"); any other is an api_error."""

OF_THE_ACCOUNT = {
    "insufficient_quota": 402,
    "billing_hard_limit_reached": 402,
    "invalid_api_key": 401,
    "insufficient_permissions": 403,
}
"""OpenAI's codes for the refusals of an account, and the status that says the same here."""

UNRUN = {"batch_expired": "expired", "batch_cancelled": "canceled"}

MESSAGES = {
    401: "invalid x-api-key",
    402: (
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing "
        "to upgrade or purchase credits."
    ),
    403: "Your API key does not have permission to use the specified resource.",
}

_encode = msgspec.json.Encoder().encode


def error_type(status: int, code: object = None, said: object = None) -> str:
    """The type of an error of that status; one that says a type of Anthropic's keeps it."""
    own = {*ERROR_TYPES.values(), "api_error"} - {"invalid_request_error"}
    found = next((str(word) for word in (code, said) if word in own), None)
    return found or ERROR_TYPES.get(status, "api_error")


def in_our_words(status: int, told: Mapping[str, Any]) -> tuple[int, dict[str, str]]:
    """Status and error of an error that is told in OpenAI's words, or in Anthropic's already."""
    code = told.get("code")
    if code in OF_THE_ACCOUNT:
        status = OF_THE_ACCOUNT[code]
        return status, {"type": ERROR_TYPES[status], "message": MESSAGES[status]}
    message = told.get("message") or "Internal server error"
    return status, {"type": error_type(status, code, told.get("type")), "message": message}


def translated(sources: list[Path], sink: BinaryIO) -> None:
    """Write the lines of the engine's files as lines of results."""
    for source in sources:
        with source.open("rb") as lines:
            for line in lines:
                sink.write(_line(line))


def failed_as_a_whole(requests: Path, message: str, sink: BinaryIO) -> None:
    """Write an error for each request of a batch that the engine refused as a whole."""
    with requests.open("rb") as lines:
        for line in lines:
            custom_id = msgspec.json.decode(line)["custom_id"]
            sink.write(_written(custom_id, _errored("invalid_request_error", message, None)))


def _line(line: bytes) -> bytes:
    """A line that is none stays as it is: a fault put it there."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError):
        return line
    if not isinstance(found, dict) or not {"custom_id", "response"} <= found.keys():
        return line
    return _written(found["custom_id"], _result(found))


def _written(custom_id: str, result: Line | None) -> bytes:
    return _encode({"custom_id": custom_id, "result": result}) + b"\n"


def _result(line: Line) -> Line | None:
    response, error = line["response"], line.get("error")
    if response is None:
        return None if error is None else _unrun(error)
    status = response["status_code"]
    if status in (0, 200):
        return {"type": "succeeded", "message": response["body"]}
    told = (response.get("body") or {}).get("error") or {}
    _, error = in_our_words(status, told)
    return _errored(error["type"], error["message"], response.get("request_id"))


def _unrun(error: Line) -> Line:
    if error["code"] in UNRUN:
        return {"type": UNRUN[error["code"]]}
    return _errored(error_type(500, error["code"]), error["message"], None)


def _errored(kind: str, message: str, request_id: str | None) -> Line:
    error = {"type": kind, "message": message}
    told = {"type": "error", "error": error, "request_id": request_id and f"req_{request_id}"}
    return {"type": "errored", "error": told}
