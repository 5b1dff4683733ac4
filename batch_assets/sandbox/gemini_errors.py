"""Errors in the shape of Google's APIs: `{"error": {code, message, status, details}}`.

Names and numbers are those of google.rpc.Code; reasons those of google.api.ErrorReason.
"""

from typing import Any

from starlette.responses import JSONResponse

from batch_assets.sandbox.errors import ApiError

NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
NUMBERS = {
    "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
    "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10,
    "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "UNAUTHENTICATED": 16,
}  # fmt: skip

#: What an account's trouble is called, by OpenAI's codes for it, in which faults are written.
REASONS = {
    "invalid_api_key": (400, "API_KEY_INVALID"),
    "insufficient_quota": (403, "BILLING_DISABLED"),
    "billing_hard_limit_reached": (403, "BILLING_DISABLED"),
}


def name_of(status_code: int) -> str:
    usual = "INVALID_ARGUMENT" if status_code < 500 else "UNKNOWN"
    return NAMES.get(status_code, usual)


def status_of(name: str, message: str) -> dict[str, Any]:
    """A google.rpc.Status, as a line of an output file and a failed operation have it."""
    return {"code": NUMBERS[name], "message": message, "status": name}


def refused(error: ApiError) -> JSONResponse:
    code = error.body["error"]["code"]
    status_code, reason = REASONS.get(code, (error.status_code, None))
    name = code if code in NUMBERS else name_of(status_code)
    shown: dict[str, Any] = {"code": status_code, "message": error.message, "status": name}
    if reason is not None:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        shown["details"] = [{"@type": kind, "reason": reason, "domain": "googleapis.com"}]
    return JSONResponse({"error": shown}, status_code=status_code, headers=error.headers)
