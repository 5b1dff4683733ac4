"""What comes back of Anthropic's batches: lines with one of four types of results (anthropic 2.12,
`types/messages/message_batch_result.py`), read as our lines.
"""

from typing import Annotated, Any

import msgspec

from batch_assets.domain.outcome import Outcome
from batch_assets.prompt.answers import (
    UNREADABLE,
    AnswerLine,
    Body,
    Counts,
    ProviderError,
    Response,
    Shape,
    parsed_body,
    readable_usage,
    shortened,
)

_encode = msgspec.json.Encoder().encode

#: A count of which three together fit into an integer column.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**60)]


class _OutputDetails(msgspec.Struct):
    thinking_tokens: _Count | None = None


class _CacheCreation(msgspec.Struct):
    ephemeral_1h_input_tokens: _Count | None = None


class _Usage(msgspec.Struct):
    """`input_tokens` are those that neither came from the cache nor went into it."""

    input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens: _Count | None = None
    output_tokens_details: _OutputDetails | None = None


class _Block(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    input: Any = None


class _StopDetails(msgspec.Struct):
    category: str | None = None
    explanation: str | None = None


class MessageBody(Body):
    """A message of the model's."""

    usage: _Usage | None = None  # type: ignore[assignment]
    content: list[_Block] | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _Error(msgspec.Struct):
    """The error itself stands in an envelope of its own, with the id of its request; ogx 1.5 sends
    it without one.
    """

    error: ProviderError | None = None
    type: str | None = None
    message: str | None = None


class _Result(msgspec.Struct):
    type: str | None = None
    message: MessageBody | None = None
    error: _Error | None = None


class _Line(msgspec.Struct):
    custom_id: str | None = None
    result: _Result | None = None


#: What is said of a request that never ran, by the type of its result.
_UNRUN = {
    "canceled": "the batch was canceled before this request ran",
    "expired": "the batch expired before this request ran",
}


def _as_ours(line: _Line) -> AnswerLine[MessageBody]:
    result = line.result or _Result()
    match result.type:
        case "succeeded":
            return AnswerLine(line.custom_id, Response(200, result.message))
        case "errored":
            return AnswerLine(line.custom_id, error=_told(result.error))
        case "canceled" | "expired" as kind:
            error = ProviderError(code=kind, message=_UNRUN[kind])
            return AnswerLine(line.custom_id, error=error)
        case None:
            return AnswerLine(line.custom_id)
        case unknown:
            message = f"a result of the type {unknown} is not known"
            return AnswerLine(line.custom_id, error=ProviderError(code=UNREADABLE, message=message))


def _told(error: _Error | None) -> ProviderError:
    """The error with its type as its code: Anthropic's batches have no other."""
    bare = error and ProviderError(type=error.type, message=error.message)
    told = (error and error.error) or bare or ProviderError()
    return ProviderError(code=told.type or "errored", message=told.message, type=told.type)


def _mended(line: dict[str, Any]) -> dict[str, Any]:
    """The line with an error that came without its envelope, and counts that cannot be read."""
    result = line.get("result")
    if isinstance(result, dict):
        error = result.get("error")
        message = result["message"] = parsed_body(result.get("message"))
        if isinstance(error, str):
            result["error"] = {"error": {"message": error}}
        elif isinstance(error, dict) and not isinstance(error.get("error"), dict):
            result["error"] = {"error": error}
        if isinstance(message, dict):
            message["usage"] = readable_usage(message.get("usage"), _Usage)
    return {"custom_id": line.get("custom_id"), "result": result}


SHAPE = Shape(_Line, _mended, _as_ours)


def answer_text(body: MessageBody) -> str | None:
    """What the model wrote, without its thoughts; where it called the tool, the tool's input."""
    blocks = body.content or []
    for block in blocks:
        if block.type == "tool_use":
            return _encode(block.input).decode()
    texts = [block.text for block in blocks if block.type == "text" and block.text is not None]
    return "".join(texts) if texts else None


def stopped_early(body: MessageBody) -> tuple[Outcome, str] | None:
    """Why the answer is none, where the model did not come to its own end of it."""
    match body.stop_reason:
        case "refusal":
            return Outcome.REFUSED, shortened(_refusal(body.stop_details or _StopDetails()))
        case "max_tokens":
            return Outcome.TRUNCATED, "the answer stops at the token limit"
        case "model_context_window_exceeded":
            return Outcome.TRUNCATED, "the answer stops where the model's context window is full"
        case "pause_turn":
            return Outcome.TRUNCATED, "the model paused before the end of its answer"
        case _:
            return None


def _refusal(details: _StopDetails) -> str:
    kind = f" ({details.category})" if details.category else ""
    return details.explanation or f"declined by the provider's classifiers{kind}"


def counts_of_message(body: MessageBody, *, answered: bool) -> Counts:
    """As `counts_of`: our input counts what came from the cache and what went into it, too."""
    usage = body.usage
    if usage is None:
        return None, None, None, None, None, None, int(answered)
    read, made = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    aside = (read or 0) + (made or 0)
    whole = None if usage.input_tokens is None else usage.input_tokens + aside
    details = usage.output_tokens_details
    thought = None if details is None else details.thinking_tokens
    executions = int(answered or bool(usage.output_tokens))
    split = usage.cache_creation or _CacheCreation()
    for_an_hour = split.ephemeral_1h_input_tokens
    for_minutes = None if made is None else made - (for_an_hour or 0)
    cached, output = usage.cache_read_input_tokens, usage.output_tokens
    return whole, cached, output, thought, for_minutes, for_an_hour, executions
