"""The lines of a Gemini batch's output file (API reference, "Batch API" and
"GenerateContentResponse"; guide "Batch API": each line is a response or a status).

Numbers of errors are those of google.rpc.Code, where the line does not have an HTTP status
(googleapis, `google/rpc/code.proto`).
"""

import json
from typing import Annotated, Any

import msgspec

from batch_assets.prompt.answers import (
    AnswerLine,
    Body,
    ProviderError,
    Response,
    Shape,
    parsed_body,
)

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

#: HTTP status by name, in the order of their numbers in google.rpc.Code; 0 is OK.
_STATUS = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}
_NAMES = tuple(_STATUS)

#: What our outcomes call a request that was cancelled before it ran.
_CANCELLED = "batch_cancelled"


class _Status(ProviderError):
    """A google.rpc.Status; others write its name, too."""

    status: str | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    """Token counts; those of the prompt include what came from a cache."""

    prompt_token_count: _Count | None = None
    cached_content_token_count: _Count | None = None
    candidates_token_count: _Count | None = None
    thoughts_token_count: _Count | None = None


class _Part(msgspec.Struct):
    text: str | None = None
    thought: bool | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: Any = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class GenerateContentBody(Body, rename="camel"):
    """The body of an answer."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    #: Where a server puts the error into the response.
    error: _Status | None = None

    def __post_init__(self) -> None:
        self.model = self.model_version


class _Line(msgspec.Struct):
    """One line; Vertex AI has `status` in place of `error`, and it is empty for an answer."""

    key: str | None = None
    response: GenerateContentBody | None = None
    error: _Status | None = None
    status: _Status | str | None = None


def _as_ours(line: _Line) -> AnswerLine[Any]:
    body = line.response
    failed = line.error or _status_of(line.status) or (None if body is None else body.error)
    if failed is None:
        response = None if body is None else Response(status_code=200, body=body)
        return AnswerLine(custom_id=line.key, response=response)
    if body is not None:
        body.error = None
    status, name = _meaning(failed)
    response = None if status is None else Response(status_code=status, body=body)
    code = _CANCELLED if name == "CANCELLED" else name
    error = ProviderError(code=code, message=failed.message)
    return AnswerLine(custom_id=line.key, response=response, error=error)


def _meaning(failed: _Status) -> tuple[int | None, str | None]:
    """HTTP status and name of an error; its code is one of google.rpc.Code or an HTTP status."""
    number = failed.code if isinstance(failed.code, int) else None
    if number is not None and 0 < number < len(_NAMES):
        return _STATUS[_NAMES[number]], failed.status or _NAMES[number]
    name = failed.status or (failed.code if isinstance(failed.code, str) else None)
    if number is not None and 100 <= number < 600:
        return number, name
    return _STATUS.get(name or ""), name


def _status_of(status: _Status | str | None) -> _Status | None:
    """What Vertex AI says of a request that failed: a sentence, with the error's JSON in it."""
    if not isinstance(status, str):
        return status
    if not status.strip():
        return None
    begin = status.find("{")
    try:
        found = json.loads(status[begin:]) if begin >= 0 else None
        inner = found.get("error", found) if isinstance(found, dict) else None
        return msgspec.convert(inner, _Status)
    except (ValueError, RecursionError):
        return _Status(message=status)


def _mended(line: dict[str, Any]) -> dict[str, Any]:
    """The line with its known oddities set right."""
    kept = {name: line.get(name) for name in ("key", "response", "error", "status")}
    response = parsed_body(kept["response"])
    if isinstance(response, dict) and "error" in response:
        inner = response.pop("error")
        kept["error"] = kept["error"] or inner
        response = response or None
    if isinstance(response, dict):
        response = {name: response[name] for name in _READ if name in response}
        response["usageMetadata"] = _readable_usage(response.get("usageMetadata"))
    kept["response"] = response
    if isinstance(kept["error"], str):
        kept["error"] = {"message": kept["error"]}
    return kept


#: Of a response; what else it has may be of any form.
_READ = ("candidates", "promptFeedback", "usageMetadata", "modelVersion")


def _readable_usage(usage: Any) -> UsageMetadata | None:
    try:
        return msgspec.convert(usage, UsageMetadata | None, strict=False)
    except (msgspec.ValidationError, OverflowError):
        return None


#: How the lines look.
SHAPE = Shape(line=_Line, mended=_mended, as_ours=_as_ours, id="key")
