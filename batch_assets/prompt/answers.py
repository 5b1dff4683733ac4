"""What a provider returns, line by line, and the verdict on one line: the same for all endpoints.

Shapes are those of OpenAI's batch guide (output and error file); every field is optional, since
providers leave out what they please. A provider whose lines are others says how they are read as
these (`Shape`).
"""

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec

from batch_assets.domain.outcome import ACCOUNT_CODES, UNRUN_CODES, Failure, Outcome, failure_of

#: Longest error message kept per item; providers sometimes return a page of HTML.
_LONGEST_MESSAGE = 500

#: Code of a line of which no more can be read than its custom_id, or not even that.
UNREADABLE = "unreadable_line"

#: A count that an integer column can hold.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _InputDetails(msgspec.Struct):
    cached_tokens: _Count | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: _Count | None = None


class Usage(msgspec.Struct):
    """Token counts. Older endpoints call them prompt and completion, newer ones input and output;
    compatible servers mix them.
    """

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class ProviderError(msgspec.Struct):
    """An error in the provider's words."""

    code: str | int | None = None
    message: str | None = None
    type: str | None = None


class Body(msgspec.Struct):
    """What the answers of all endpoints have in common; each adds its own."""

    usage: Usage | None = None
    model: str | None = None
    error: ProviderError | None = None


BodyT = TypeVar("BodyT", bound=Body)


class Response(msgspec.Struct, Generic[BodyT]):
    """What the endpoint replied to one request."""

    status_code: int | None = None
    body: BodyT | None = None


class AnswerLine(msgspec.Struct, Generic[BodyT]):
    """One line of an output or error file."""

    custom_id: str | None = None
    response: Response[BodyT] | None = None
    error: ProviderError | None = None

    @property
    def is_completed(self) -> bool:
        """Whether a provider that counts rightly counts it as completed, and not as failed."""
        return self.response is not None and self.response.status_code in (200, None)

    @property
    def is_unreadable(self) -> bool:
        """Whether not even whose it is could be read."""
        return self.custom_id is None and self.error is not None and self.error.code == UNREADABLE


class Verdict(NamedTuple):
    """What became of one request."""

    outcome: Outcome
    #: None for a valid answer.
    failure: Failure | None
    error_code: str | None = None
    error_message: str | None = None
    #: The answer as the model wrote it; None where it wrote no text.
    answer: str | None = None
    #: The answer as a value of the endpoint's `arrow_type`; there only when the outcome is ok.
    output: Any = None
    model: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    #: 1 where the model answered, which is what is paid for.
    executions: int = 0
    #: JSON text of the log probabilities, as the endpoint has them.
    logprobs: str | None = None


#: The official SDKs' words for an error of a model's (`_base_client.py`), which servers that call
#: the model through them pass on in a line without a status.
_STATUS_TOLD = re.compile(r"Error code: (\d{3})\b")

#: What decoding bytes of a stranger may raise.
_UNDECODABLE = (msgspec.DecodeError, ValueError, RecursionError)


class Shape(NamedTuple):
    """How a provider's lines look, and how they are read as ours."""

    #: A msgspec.Struct.
    line: type
    #: The fields of an odd line, with what is known to be odd about them set right.
    mended: Callable[[dict[str, Any]], dict[str, Any]]
    #: Our line of one of `line`; None where that is ours already.
    as_ours: Callable[[Any], AnswerLine[Any]] | None = None
    #: The field that says whose the line is.
    id: str = "custom_id"


class LineReader:
    """Reads lines of one shape."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shape.line)

    def read(self, block: bytes) -> list[AnswerLine[Any]]:
        """The lines of a block that ends at a line's end. A damaged line spoils no other.

        A line whose id can be read but whose rest is not what the guide says comes back with an
        error of code `unreadable_line`; one whose id cannot be read has that error alone.
        """
        try:
            found: list[Any] = self._decoder.decode_lines(block)
        except _UNDECODABLE:
            return [self._read_line(line) for line in block.split(b"\n") if line.strip()]
        as_ours = self._shape.as_ours
        return found if as_ours is None else [as_ours(line) for line in found]

    def _read_line(self, line: bytes) -> AnswerLine[Any]:
        try:
            return self._ours(self._decoder.decode(line))
        except _UNDECODABLE as error:
            return self._read_odd_line(line, ProviderError(code=UNREADABLE, message=str(error)))

    def _read_odd_line(self, line: bytes, unreadable: ProviderError) -> AnswerLine[Any]:
        """What can be had of a line that is not as the guide says: its answer was paid for."""
        try:
            # Unlike the typed decoder this one takes half a surrogate pair, and numbers of any
            # size.
            found = json.loads(line.decode(errors="replace"), parse_int=_int_or_float)
        except (ValueError, RecursionError):
            return AnswerLine(error=unreadable)
        name = self._shape.id
        if not isinstance(found, dict) or not isinstance(found.get(name), str):
            return AnswerLine(error=unreadable)
        try:
            mended = self._shape.mended(whole_text(found))
            return self._ours(msgspec.convert(mended, self._shape.line))
        except (msgspec.ValidationError, RecursionError):
            return AnswerLine(custom_id=found[name], error=unreadable)

    def _ours(self, line: Any) -> AnswerLine[Any]:
        ours: AnswerLine[Any] = line if self._shape.as_ours is None else self._shape.as_ours(line)
        return ours


def shape_of(body: type[Body]) -> Shape:
    """The lines of OpenAI's batch guide, with answers of that type."""
    return Shape(AnswerLine[body], _as_the_guide_says)  # type: ignore[valid-type]


def _int_or_float(digits: str) -> int | float:
    # Python refuses to read an integer of thousands of digits.
    return int(digits) if len(digits) < 20 else float(digits)


def _as_the_guide_says(line: dict[str, Any]) -> dict[str, Any]:
    """The line with its known oddities set right; only the custom_id, response and error."""
    kept = {key: line.get(key) for key in ("custom_id", "response", "error")}
    response = kept["response"]
    if isinstance(response, dict):
        body = response["body"] = parsed_body(response.get("body"))
        if isinstance(body, dict):
            body["error"] = _error(body.get("error"))
            body["usage"] = readable_usage(body.get("usage"), Usage)
    kept["error"] = _error(kept["error"])
    return kept


def parsed_body(body: Any) -> Any:
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


UsageT = TypeVar("UsageT")


def readable_usage(usage: Any, kind: type[UsageT]) -> UsageT | None:
    """Token counts where they can be read: an answer is not lost for the want of them."""
    try:
        return msgspec.convert(usage, kind | None, strict=False)
    except (msgspec.ValidationError, OverflowError):
        return None


def whole_text(value: Any) -> Any:
    """The value with U+FFFD for each half of a surrogate pair: no file could hold it."""
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case list():
            return [whole_text(part) for part in value]
        case dict():
            return {whole_text(name): whole_text(part) for name, part in value.items()}
        case _:
            return value


#: As a Verdict has them, from `input_tokens` to `executions`.
Counts = tuple[int | None, int | None, int | None, int | None, int | None, int | None, int]


def counts_of(body: Body, *, answered: bool) -> Counts:
    """Tokens, and whether the model answered: what came in no form we know was paid for too."""
    usage = body.usage
    if usage is None:
        return None, None, None, None, None, None, int(answered)
    input_tokens, output_tokens = usage.prompt_tokens, usage.completion_tokens
    if input_tokens is None:
        input_tokens = usage.input_tokens
    if output_tokens is None:
        output_tokens = usage.output_tokens
    input_details = usage.prompt_tokens_details or usage.input_tokens_details
    output_details = usage.completion_tokens_details or usage.output_tokens_details
    return (
        input_tokens,
        None if input_details is None else input_details.cached_tokens,
        output_tokens,
        None if output_details is None else output_details.reasoning_tokens,
        None,
        None,
        int(answered or bool(output_tokens)),
    )


def error_in(line: AnswerLine[Any], body: Body) -> ProviderError | None:
    """What went wrong, in the provider's words; an error that says nothing is none."""
    for error in (body.error, line.error):
        if error is not None and (error.code or error.message or error.type):
            return error
    return None


def judge_failure(
    status: int | None, error: ProviderError | None, lacking: str
) -> tuple[Outcome, Failure | None, str | None, str]:
    """Outcome, failure, error code and message of a line without an answer.

    `lacking` says what an answer of the endpoint has, and this one has not.
    """
    code = None if error is None else _code_of(error)
    message = None if error is None else error.message
    if status is None and (told := _STATUS_TOLD.match(message or "")):
        status = int(told[1])
    if code is not None and code in UNRUN_CODES:
        outcome = UNRUN_CODES[code]
    elif error is None and status is None:
        outcome, message = Outcome.INVALID, "the line has neither an answer nor an error"
    elif status == 200 or code == UNREADABLE:
        outcome, message = Outcome.INVALID, message or f"the answer has no {lacking}"
    else:
        outcome = Outcome.ERRORED
        code = code or (None if status is None else str(status))
    failure = failure_of(outcome, status, code)
    return outcome, failure, code, shortened(message or "no message")


def _code_of(error: ProviderError) -> str | None:
    """The error's code. Compatible servers name an account's trouble in the type alone."""
    if error.code:
        return str(error.code)
    return error.type if error.type in ACCOUNT_CODES else None


def shortened(text: str) -> str:
    """A provider's text as the results keep it."""
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"
