"""Reads the lines a provider returns for chat completions, and judges each.

Shapes are those of OpenAI's batch guide (output and error file); every field is optional, since
providers leave out what they please.
"""

from typing import Any, NamedTuple

import msgspec

from batch_assets.domain.outcome import UNRUN_CODES, Outcome, is_retryable
from batch_assets.prompt.output import InvalidAnswer, OutputType

#: Longest error message kept per item; providers sometimes return a page of HTML.
_LONGEST_MESSAGE = 500


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
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


class _BareLine(msgspec.Struct):
    custom_id: str | None = None


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
_bare_decoder = msgspec.json.Decoder(_BareLine)


def read_lines(block: bytes) -> list[AnswerLine]:
    """The lines of a block that ends at a line's end. A damaged line spoils no other.

    A line whose custom_id can be read but whose rest is not what the guide says comes back with
    an error of code `unreadable_line`; one whose custom_id cannot be read does not come back.
    """
    try:
        return _decoder.decode_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError):
        lines = (_read_line(line) for line in block.split(b"\n") if line.strip())
        return [line for line in lines if line is not None]


def _read_line(line: bytes) -> AnswerLine | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            custom_id = _bare_decoder.decode(line).custom_id
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return AnswerLine(
            custom_id=custom_id, error=_Error(code="unreadable_line", message=str(error))
        )


def judge(line: AnswerLine, output: OutputType) -> Verdict:
    """The verdict on one line."""
    response = line.response
    if line.error is not None or response is None or response.body is None:
        return _judge_failure(line)
    body = response.body
    if response.status_code != 200 or body.error is not None or not body.choices:
        return _judge_failure(line)
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


def _judge_failure(line: AnswerLine) -> Verdict:
    response, error = line.response, line.error
    status = None if response is None else response.status_code
    if response is not None and response.body is not None and response.body.error is not None:
        error = response.body.error
    code = None if error is None or error.code is None else str(error.code)
    message = None if error is None else error.message
    if code is not None and code in UNRUN_CODES:
        outcome = UNRUN_CODES[code]
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
