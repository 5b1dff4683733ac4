"""The port to one endpoint of a provider: its requests are built and its answers read together."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, NoReturn, cast

import msgspec
import pyarrow as pa

from batch_assets.domain.errors import CorpusError, DeclarationError, about
from batch_assets.domain.outcome import Outcome, failure_of
from batch_assets.prompt.answers import (
    AnswerLine,
    Body,
    Counts,
    LineReader,
    Shape,
    Verdict,
    counts_of,
    error_in,
    judge_failure,
    shape_of,
    shortened,
)
from batch_assets.prompt.endpoints.settings import (
    EXTRA_BODY,
    Known,
    Reserved,
    as_called_here,
    check_settings,
    extra_fields,
    refused_value,
)
from batch_assets.prompt.envelope import OPENAI, Envelope
from batch_assets.prompt.messages import Dialect, Messages
from batch_assets.prompt.output import InvalidAnswer, Output
from batch_assets.prompt.prompt import Prompt

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

DescribeRow = Callable[[int], str]


class Answer(NamedTuple):
    """What a body that has an answer says."""

    outcome: Outcome
    message: str | None = None
    text: str | None = None
    output: Any = None
    finish_reason: str | None = None
    logprobs: str | None = None


class Endpoint(ABC):
    """One inference's requests and answers, compiled.

    What is the same for all rows is encoded once. Raises DeclarationError for a setting or an
    output that the endpoint does not take.
    """

    #: Its path at the provider; of one whose path names the model, each object has its own.
    url: str
    #: What stands around a body in a line of a batch file.
    envelope: ClassVar[Envelope] = OPENAI
    #: Whether its answer has a place for a list, so that several items can share a request.
    is_packable: ClassVar[bool] = False
    #: The field of a body that the prompt stands in.
    prompt_field: ClassVar[str]
    #: How the endpoint wants the prompt.
    dialect: ClassVar[Dialect]
    known_settings: ClassVar[Known]
    reserved_settings: ClassVar[Reserved]
    #: Names that mean the same at every provider, and what they are called here.
    aliases: ClassVar[Mapping[str, str]] = {}
    #: Settings that are ours and are not sent.
    own_settings: ClassVar[Known] = {}
    #: Fields that the prompt fills beside `prompt_field`; a row's own body may bring them.
    prompt_fields: ClassVar[Known] = {}
    body_type: ClassVar[type[Body]]
    #: What an answer has beside text.
    answer_media: ClassVar[frozenset[str]] = frozenset()
    #: What an answer has, for the error about one that has not.
    answer_name: ClassVar[str]

    #: Type of the results' `output` column.
    arrow_type: pa.DataType

    def __init__(
        self, *, model: str, prompt: Prompt, output: Output, settings: Mapping[str, Any]
    ) -> None:
        known = {**self.known_settings, **self.own_settings}
        with about("settings"):
            settings = as_called_here(settings, self.aliases)
            check_settings(settings, self.url, known, self.reserved_settings)
        self.model = model
        #: What requests and answers may have beside text: image, audio, video.
        self.media = prompt.media() | self.answer_media
        self.output = output
        with about("output"):
            self.arrow_type = self.arrow_type_of(output, settings)
        with about("prompt"):
            self._messages = self.compiled(prompt)
        sent = {
            name: value
            for name, value in settings.items()
            if name not in self.own_settings and name != EXTRA_BODY
        }
        with about("output"):
            self._format = self.format_of(output, sent)
        self._settings = {name: sent[name] for name in sent if name not in self._format}
        taken = {"model", "stream", self.prompt_field, *self.prompt_fields}
        taken |= {*self._format, *self._settings}
        with about("settings"):
            extra = extra_fields(settings, taken)
        self._settings |= extra
        #: As they were declared, in an order that is nobody's.
        self._parameters = _encode_sorted({**sent, **extra}).decode()
        #: The bytes of a body before and after its prompt.
        self._head = b'{"model":' + _encode(model) + b',"' + self.prompt_field.encode() + b'":'
        self._tail = self._tail_with(self._settings)
        self._lines = LineReader(self.line_shape())
        self._nothing = self.body_type()

    @abstractmethod
    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> pa.DataType:
        """Type of the `output` column; the output is one that the endpoint can be asked for."""

    def format_of(self, output: Output, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields of a body that say what the answer must be."""
        return {}

    def compiled(self, prompt: Prompt) -> Messages:
        """The prompt as the endpoint sends it. Raises DeclarationError where it cannot be sent."""
        return prompt.compiled(self.dialect)

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns the prompt reads, sorted."""
        return self._messages.fields

    @property
    def constant_bytes(self) -> int:
        """Bytes of a body that no row changes."""
        return len(self._head) + self._messages.constant_bytes + len(self._tail)

    @property
    def shape_digest(self) -> str:
        """Of what determines every request: url, model, prompt, settings, schema."""
        constant = [self.url, self._head.decode(), self._tail.decode()]
        return _digest([*constant, *self._messages.shape])

    @property
    def shape_parts(self) -> Mapping[str, str]:
        """The same part by part: endpoint and model by name, the others as digests."""
        output = self.output
        return {
            "endpoint": self.url,
            "prompt": _digest(self._messages.shape),
            "model": self.model,
            "schema": _digest([output.kind, output.name, output.schema]),
            "parameters": _digest(self._parameters),
        }

    def bodies(self, rows: pa.RecordBatch, describe_row: DescribeRow) -> Iterator[bytes]:
        """The JSON body of each row's request; `rows` has the columns of `fields`.

        Raises CorpusError where a row cannot be rendered, or is more than the endpoint takes.
        """
        head, tail = self._head, self._tail
        for position, prompt in enumerate(self._messages.encoded(rows, describe_row)):
            if prompt[0] == _OBJECT:
                yield self._merged(prompt, describe_row, position)
            elif (complaint := self.complaint(prompt)) is not None:
                raise CorpusError(f"{describe_row(position)}: {complaint}")
            else:
                yield b"".join((head, prompt, tail))

    def line(self, custom_id: str, body: bytes) -> bytes:
        """One line of a batch file."""
        return self.envelope.line(custom_id, self.url, body)

    def last_text(self, body: Mapping[str, Any]) -> str:
        """The text of the last message of a body that was built here."""
        content = body[self.prompt_field][-1]["content"]
        return cast(str, content if isinstance(content, str) else content[0]["text"])

    def inputs(self, body: bytes) -> int:
        """Embedding inputs that the request counts as."""
        return 0

    def read_lines(self, block: bytes) -> list[AnswerLine[Any]]:
        """The lines of a block that ends at a line's end. A damaged line spoils no other."""
        return self._lines.read(block)

    def line_shape(self) -> Shape:
        """How its answers look in a provider's file."""
        return shape_of(self.body_type)

    def judge(self, line: AnswerLine[Any]) -> Verdict:
        """The verdict on one line."""
        response = line.response
        body = (None if response is None else response.body) or self._nothing
        error = error_in(line, body)
        status = None if response is None else response.status_code
        answered = self.has_answer(body)
        counts = self.counts_in(body, answered=answered)
        if error is not None or response is None or status not in (200, None) or not answered:
            if self.says_status(body):
                status = None
            failed = judge_failure(status, error, self.answer_name)
            facts = (*failed, None, None, body.model, None)
            return Verdict(*facts, *counts)
        outcome, message, text, output, finish_reason, logprobs = self.answer_in(body)
        return Verdict(
            outcome,
            None if outcome is Outcome.OK else failure_of(outcome),
            None,
            message,
            text,
            output,
            body.model,
            finish_reason,
            *counts,
            logprobs,
        )

    @abstractmethod
    def has_answer(self, body: Any) -> bool:
        """Whether the model answered at all."""

    @abstractmethod
    def answer_in(self, body: Any) -> Answer:
        """What the answer says, in a body that has one."""

    def counts_in(self, body: Any, *, answered: bool) -> Counts:
        """The tokens that the answer took, and whether the model answered."""
        return counts_of(body, answered=answered)

    def says_status(self, body: Any) -> bool:
        """Whether the body says itself that it failed, whatever the HTTP status beside it."""
        return False

    def complaint(self, prompt: bytes) -> str | None:
        """Why the endpoint cannot take a row's prompt, and the way out."""
        return None

    def _tail_with(self, settings: Mapping[str, Any]) -> bytes:
        # The order of a schema's fields is the order of the answer's; that of settings is nobody's.
        form = b"," + _encode(self._format)[1:-1] if self._format else b""
        return form + (b"," + _encode_sorted(settings)[1:] if settings else b"}")

    def _merged(self, fields: bytes, describe_row: DescribeRow, position: int) -> bytes:
        """The body of a row whose prompt is a whole body: it may set what a user may set."""
        given = dict(_decode_fields(fields))
        prompt = given.pop(self.prompt_field, None)
        try:
            if prompt is None:
                raise DeclarationError(f"it has no {self.prompt_field!r}")
            self._check_row_settings(given)
        except DeclarationError as error:
            raise CorpusError(
                f"{describe_row(position)}: the body that the prompt's call returned cannot be "
                f"sent: {error.message}; correct the function"
            ) from error
        if (complaint := self.complaint(bytes(prompt))) is not None:
            raise CorpusError(f"{describe_row(position)}: {complaint}")
        return b"".join((self._head, prompt, self._tail_with({**self._settings, **given})))

    def _check_row_settings(self, given: Mapping[str, msgspec.Raw]) -> None:
        known = {**self.known_settings, **self.prompt_fields}
        for name, raw in given.items():
            if name in self._format:
                raise DeclarationError(f"{name!r} comes from the output type")
            if name not in known:
                check_settings({name: None}, self.url, self.known_settings, self.reserved_settings)
            try:
                msgspec.json.decode(raw, type=known[name])
            except msgspec.ValidationError as error:
                raise refused_value(name, msgspec.json.decode(raw), error) from error


_OBJECT = ord("{")
_ARRAY = ord("[")


def refuse_output(url: str, output: Output, what: str) -> NoReturn:
    """Raise the refusal of an output that an endpoint cannot be asked for."""
    raise DeclarationError(f"output {output.name} cannot be asked of {url}: {what}")


def complaint_of_several(prompt: bytes) -> str | None:
    """Why an endpoint that takes one text cannot take the prompt."""
    if prompt[0] != _ARRAY:
        return None
    return (
        "the prompt is a list of texts and the endpoint takes one: "
        "write a template that says how to print it"
    )


def judged_text(
    text: str | None,
    output: Output,
    finish_reason: str | None,
    refusal: str | None = None,
    logprobs: Any = None,
) -> Answer:
    """The answer that a model wrote as text. `finish_reason` is in the words of chat."""
    outcome, message, value = Outcome.INVALID, None, None
    if refusal:
        outcome, message = Outcome.REFUSED, shortened(refusal)
    elif finish_reason == "content_filter":
        outcome, message = Outcome.REFUSED, "stopped by the provider's content filter"
    elif finish_reason == "length":
        outcome, message = Outcome.TRUNCATED, "the answer stops at the token limit"
    elif text is None:
        message = "the answer has no content"
    else:
        try:
            outcome, value = Outcome.OK, output.parse(text)
        except InvalidAnswer as error:
            outcome, message = Outcome.INVALID, shortened(str(error))
    told = json_text(logprobs) if logprobs else None
    return Answer(outcome, message, text, value, finish_reason, told)


def _digest(value: Any) -> str:
    return hashlib.sha256(_encode(value)).hexdigest()


def json_text(value: Any) -> str:
    """The value as JSON text."""
    return _encode(value).decode()
