"""What can go wrong with one request of a batch, each fault a type that writes its own lines.

A request counts as executed where the model answered, whatever becomes of its line.
"""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from batch_assets.sandbox.answers import answer_text, answered_with
from batch_assets.sandbox.call_faults import ErrorStatus, snake_case

Line = dict[str, Any]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True)
class Written:
    """What becomes of a request in the files, the counts and the judge's book."""

    output: tuple[bytes, ...] = ()
    errors: tuple[bytes, ...] = ()
    last: bytes | None = None
    """The end of the output file, after which nothing comes."""
    executed: bool = True
    """Whether the model answered, which is what costs money."""
    completed: bool = True
    """What `request_counts` says of it."""


def encoded(line: Line) -> bytes:
    return _encode(line) + b"\n"


def as_answered(line: Line) -> Written:
    return Written(output=(encoded(line),))


class ItemFault(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=snake_case
):
    """One misbehaviour of an item; `line` is the result line it would have got."""

    def written(self, line: Line) -> Written:
        raise NotImplementedError


class Answer(ItemFault, frozen=True):
    """The model says `text`."""

    text: str
    finish_reason: str = "stop"

    def written(self, line: Line) -> Written:
        return _saying(line, self.text, self.finish_reason)


class Refusal(ItemFault, frozen=True):
    """The model refuses, in the field of its own that a refusal has."""

    text: str = "I'm sorry, I can't assist with that."

    def written(self, line: Line) -> Written:
        return as_answered(_answering(line, None, refusal=self.text))


class TruncatedAnswer(ItemFault, frozen=True):
    """The answer ends in the middle, with `finish_reason` "length"."""

    def written(self, line: Line) -> Written:
        text = _text(line)
        return _saying(line, text[: len(text) // 2], "length")


class NotJson(ItemFault, frozen=True):
    """The model chats where JSON was asked for."""

    text: str = "Sure! Here is what you asked for."

    def written(self, line: Line) -> Written:
        return _saying(line, self.text)


class OffSchema(ItemFault, frozen=True):
    """The model answers with JSON that nobody asked for."""

    text: str = '{"unexpected":true}'

    def written(self, line: Line) -> Written:
        return _saying(line, self.text)


class LineSeparators(ItemFault, frozen=True):
    """Every space of the answer is a U+2028, which ends a line for readers of text only."""

    def written(self, line: Line) -> Written:
        return _saying(line, _text(line).replace(" ", "\u2028"))


class ListSlips(ItemFault, frozen=True):
    """The model answers about several things and loses some, says some twice, invents others.

    `dropped` and `repeated` are places in its list, from 0.
    """

    dropped: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()
    invented: int = 0

    def written(self, line: Line) -> Written:
        answer = json.loads(_text(line))
        name = next(name for name, value in answer.items() if isinstance(value, list))
        things = answer[name]
        kept = [thing for place, thing in enumerate(things) if place not in self.dropped]
        again = [things[place] for place in self.repeated if place < len(things)]
        new = [{**things[0], "id": f"invented-{number}"} for number in range(self.invented)]
        return _saying(line, json.dumps(answer | {name: [*kept, *again, *new]}))


class MissingLine(ItemFault, frozen=True):
    """The model answered, and no file has the answer."""

    def written(self, line: Line) -> Written:
        return Written()


class DuplicateLine(ItemFault, frozen=True):
    """The line comes twice, the second time with the text of `other`, or just as the first."""

    other: str | None = None

    def written(self, line: Line) -> Written:
        second = line if self.other is None else _answering(line, self.other)
        return Written(output=(encoded(line), encoded(second)))


class ForeignLine(ItemFault, frozen=True):
    """A line of an item that nobody sent, beside the item's own or in its place."""

    custom_id: str = "foreign-1"
    in_place: bool = False

    def written(self, line: Line) -> Written:
        foreign = encoded({**line, "custom_id": self.custom_id})
        return Written(output=(foreign,) if self.in_place else (encoded(line), foreign))


class HalfLine(ItemFault, frozen=True):
    """The output file ends in the middle of the item's line, without a newline."""

    def written(self, line: Line) -> Written:
        whole = encoded(line)
        return Written(last=whole[: len(whole) // 2])


class MalformedLine(ItemFault, frozen=True):
    """`text` stands where the item's line should."""

    text: str = "upstream connect error or disconnect/reset before headers"

    def written(self, line: Line) -> Written:
        return Written(output=(self.text.encode() + b"\n",))


class StringBody(ItemFault, frozen=True):
    """The body of the response is a string that holds the JSON of the object."""

    def written(self, line: Line) -> Written:
        body = json.dumps(line["response"]["body"])
        return as_answered({**line, "response": {**line["response"], "body": body}})


class NullResponse(ItemFault, frozen=True):
    """Neither a response nor an error, in the output file; not executed unless `executed`."""

    executed: bool = False

    def written(self, line: Line) -> Written:
        nothing = {**line, "response": None, "error": None}
        return Written(output=(encoded(nothing),), executed=self.executed)


class ZeroStatus(ItemFault, frozen=True):
    """Status code 0 without a body, counted as completed; not executed unless `executed`."""

    executed: bool = False

    def written(self, line: Line) -> Written:
        response = {"status_code": 0, "request_id": "", "body": None}
        return Written(output=(encoded({**line, "response": response}),), executed=self.executed)


class ItemError(ItemFault, frozen=True):
    """A line of the error file with an HTTP status and an error body; not executed.

    Without a code and a message it has those usual for the status. An account's refusal is
    `ItemError(429, code="insufficient_quota")`.
    """

    status: ErrorStatus = 500
    code: str | None = None
    message: str | None = None

    def written(self, line: Line) -> Written:
        usual = USUAL_ERRORS.get(self.status, UNKNOWN_ERROR)
        code = self.code or usual["code"]
        error = usual | {"code": code, "message": self.message or usual["message"], "param": None}
        if code in ACCOUNT_CODES:
            error["type"] = code
        response = line["response"] | {"status_code": self.status, "body": {"error": error}}
        return _unexecuted({**line, "response": response})


class LineError(ItemFault, frozen=True):
    """A line of the error file without a response, only with an error; not executed."""

    code: str = "batch_expired"
    message: str = "This request could not be executed."

    def written(self, line: Line) -> Written:
        error = {"code": self.code, "message": self.message}
        return _unexecuted({**line, "response": None, "error": error})


AnyItemFault = (
    Answer
    | Refusal
    | TruncatedAnswer
    | NotJson
    | OffSchema
    | LineSeparators
    | ListSlips
    | MissingLine
    | DuplicateLine
    | ForeignLine
    | HalfLine
    | MalformedLine
    | StringBody
    | NullResponse
    | ZeroStatus
    | ItemError
    | LineError
)

ACCOUNT_CODES = frozenset({"insufficient_quota"})

UNKNOWN_ERROR = {"code": None, "type": "server_error", "message": "Scripted error."}
USUAL_ERRORS: dict[int, dict[str, str | None]] = {
    400: {
        "code": "invalid_value",
        "type": "invalid_request_error",
        "message": "Invalid value in your request.",
    },
    429: {
        "code": "rate_limit_exceeded",
        "type": "tokens",
        "message": "Rate limit reached. Please try again later.",
    },
    500: {
        "code": "server_error",
        "type": "server_error",
        "message": "The server had an error processing your request.",
    },
}


def _text(line: Line) -> str:
    return answer_text(line["response"]["body"])


def _answering(line: Line, text: str | None, finish_reason: str = "stop", **message: Any) -> Line:
    body = answered_with(line["response"]["body"], text, finish_reason, **message)
    return {**line, "response": {**line["response"], "body": body}}


def _saying(line: Line, text: str, finish_reason: str = "stop") -> Written:
    return as_answered(_answering(line, text, finish_reason))


def _unexecuted(line: Line) -> Written:
    return Written(errors=(encoded(line),), executed=False, completed=False)
