"""Reads the lines a provider returns for chat completions, and judges each.

Shapes are those of OpenAI's batch guide (output and error file); every field is optional, since
providers leave out what they please.
"""

import json
from typing import Annotated, Any, NamedTuple

import msgspec

from batch_assets.domain.outcome import UNRUN_CODES, Outcome, is_retryable
from batch_assets.prompt.output import InvalidAnswer, OutputType

#: Longest error message kept per item; providers sometimes return a page of HTML.
_LONGEST_MESSAGE = 500


#: A count that an integer column can hold.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: _Count | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: _Count | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


class _Error(msgspec.Struct):
    code: str | int | None = None
    message: str | None = None
    type: str | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: _Error | None = None


class _Response(msgspec.Struct):
    status_code: int | None = None
    body: _Body | None = None


class AnswerLine(msgspec.Struct):
    """One line of an output or error file."""

    custom_id: str | None = None
    response: _Response | None = None
    error: _Error | None = None


class Verdict(NamedTuple):
    """What became of one request."""

    outcome: Outcome
    #: Whether asking again may end better.
    retryable: bool
    error_code: str | None = None
    error_message: str | None = None
    #: The answer as the model wrote it.
    answer: str | None = None
    #: The answer as a value of the output type; there only when the outcome is ok.
    output: dict[str, Any] | None = None
    model: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None


_decoder = msgspec.json.Decoder(AnswerLine)

#: What decoding bytes of a stranger may raise.
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


def read_lines(block: bytes) -> list[AnswerLine]:
    """The lines of a block that ends at a line's end. A damaged line spoils no other.

    A line whose custom_id can be read but whose rest is not what the guide says comes back with
    an error of code `unreadable_line`; one whose custom_id cannot be read does not come back.
    """
    try:
        return _decoder.decode_lines(block)
    except _UNREADABLE:
        lines = (_read_line(line) for line in block.split(b"\n") if line.strip())
        return [line for line in lines if line is not None]


def _read_line(line: bytes) -> AnswerLine | None:
    try:
        return _decoder.decode(line)
    except _UNREADABLE as error:
        return _read_odd_line(line, str(error))


def _read_odd_line(line: bytes, complaint: str) -> AnswerLine | None:
    """What can be had of a line that is not as the guide says: an answer in it was paid for."""
    try:
        # Unlike the typed decoder this one takes half a surrogate pair, and numbers of any size.
        found = json.loads(line.decode(errors="replace"), parse_int=_int_or_float)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("custom_id"), str):
        return None
    try:
        return msgspec.convert(_as_the_guide_says(found), AnswerLine)
    except (msgspec.ValidationError, RecursionError):
        unreadable = _Error(code="unreadable_line", message=complaint)
        return AnswerLine(custom_id=found["custom_id"], error=unreadable)


def _int_or_float(digits: str) -> int | float:
    # Python refuses to read an integer of thousands of digits.
    return int(digits) if len(digits) < 20 else float(digits)


def _as_the_guide_says(line: dict[str, Any]) -> dict[str, Any]:
    """The line with its known oddities set right; only the custom_id, response and error."""
    kept = {key: _whole_text(line.get(key)) for key in ("custom_id", "response", "error")}
    response = kept["response"]
    if isinstance(response, dict):
        body = response["body"] = _body(response.get("body"))
        if isinstance(body, dict):
            body["error"] = _error(body.get("error"))
            body["usage"] = _usage(body.get("usage"))
    kept["error"] = _error(kept["error"])
    return kept


def _body(body: Any) -> Any:
    """A body that came as text: JSON of its own, or a proxy's error page."""
    if not isinstance(body, str):
        return body
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"error": {"message": body}}


def _error(error: Any) -> Any:
    return {"message": error} if isinstance(error, str) else error


def _usage(usage: Any) -> _Usage | None:
    """Token counts where they can be read: an answer is not lost for the want of them."""
    try:
        return msgspec.convert(usage, _Usage | None, strict=False)
    except (msgspec.ValidationError, OverflowError):
        return None


def _whole_text(value: Any) -> Any:
    """The value with U+FFFD for each half of a surrogate pair: no file could hold it."""
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case list():
            return [_whole_text(part) for part in value]
        case dict():
            return {_whole_text(name): _whole_text(part) for name, part in value.items()}
        case _:
            return value


def judge(line: AnswerLine, output: OutputType) -> Verdict:
    """The verdict on one line."""
    response = line.response
    body = None if response is None else response.body
    error = _error_in(line, body)
    if error or response is None or response.status_code not in (200, None):
        return _judge_failure(response, error)
    if body is None or not body.choices:
        return _judge_failure(response, error)
    choice = body.choices[0]
    message = choice.message or _Message()
    outcome, error_message, parsed = _judge_choice(choice, message, output)
    usage = body.usage or _Usage()
    input_details = usage.prompt_tokens_details
    output_details = usage.completion_tokens_details
    return Verdict(
        outcome,
        is_retryable(outcome, 200, None),
        None,
        error_message,
        message.content,
        parsed,
        body.model,
        choice.finish_reason,
        usage.prompt_tokens,
        None if input_details is None else input_details.cached_tokens,
        usage.completion_tokens,
        None if output_details is None else output_details.reasoning_tokens,
    )


def _judge_choice(
    choice: _Choice, message: _Message, output: OutputType
) -> tuple[Outcome, str | None, dict[str, Any] | None]:
    if message.refusal:
        return Outcome.REFUSED, _shortened(message.refusal), None
    if choice.finish_reason == "content_filter":
        return Outcome.REFUSED, "stopped by the provider's content filter", None
    if choice.finish_reason == "length":
        return Outcome.TRUNCATED, "the answer stops at the token limit", None
    if message.content is None:
        return Outcome.INVALID, "the answer has no content", None
    try:
        return Outcome.OK, None, output.parse(message.content)
    except InvalidAnswer as error:
        return Outcome.INVALID, _shortened(str(error)), None


def _error_in(line: AnswerLine, body: _Body | None) -> _Error | None:
    """What went wrong, in the provider's words; an error that says nothing is none."""
    for error in (None if body is None else body.error, line.error):
        if error is not None and (error.code or error.message or error.type):
            return error
    return None


def _judge_failure(response: _Response | None, error: _Error | None) -> Verdict:
    status = None if response is None else response.status_code
    code = None if error is None or not error.code else str(error.code)
    message = None if error is None else error.message
    if code is not None and code in UNRUN_CODES:
        outcome = UNRUN_CODES[code]
    elif error is None and status is None:
        outcome, message = Outcome.INVALID, "the line has neither an answer nor an error"
    elif status == 200 or code == "unreadable_line":
        outcome, message = Outcome.INVALID, message or "the answer has no choices"
    else:
        outcome = Outcome.ERRORED
        code = code or (None if status is None else str(status))
    return Verdict(
        outcome, is_retryable(outcome, status, code), code, _shortened(message or "no message")
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"
