"""How items stand in requests: one each, or several in a pack that is taken apart again.

A pack's user message lists the items, each with its number in the request set, as JSON lines: no
text of an item can end its line or pass for another item. The answer is a list of the same numbers.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.domain.outcome import Failure, Outcome, failure_of
from batch_assets.prompt.answers import AnswerLine, Verdict, shortened
from batch_assets.prompt.endpoints import Endpoint, compile_endpoint
from batch_assets.prompt.envelope import Envelope
from batch_assets.prompt.output import InvalidAnswer, Output
from batch_assets.prompt.packed import PackedOutput
from batch_assets.prompt.prompt import Prompt
from batch_assets.prompt.ready import ReadyRequests

#: Most items of a pack: beyond it models begin to leave items out, and one bad item spoils more.
MOST_ITEMS = 500

#: Stands before the items of a pack.
INSTRUCTION = (
    "Each line below is an item of its own: a JSON object with its id and its text. Answer each "
    "item as if it stood alone. Give one answer for each id."
)

#: What fails a whole pack and says nothing about its items.
_OF_THE_CALL = frozenset(
    {
        Failure.RATE_LIMITED,
        Failure.SERVER_ERROR,
        Failure.TIMEOUT,
        Failure.EXPIRED,
        Failure.NOT_RUN,
        Failure.ACCOUNT,
        Failure.CANCELLED,
        Failure.WITHDRAWN,
    }
)

#: An item's ordinal in the request set, and what is asked about it.
Ask = tuple[int, bytes]

_encode = msgspec.json.Encoder().encode


class Packing(ABC):
    """How the items of an inference stand in its requests."""

    #: Most items of a request.
    size: int
    #: What fingerprints begin from.
    seed: str
    #: Bytes of a request that no item changes.
    constant_bytes: int
    #: What stands around the bodies.
    envelope: Envelope

    @abstractmethod
    def asks(self, rows: pa.RecordBatch, describe_row: Callable[[int], str]) -> Iterator[bytes]:
        """What is asked about each row. Raises CorpusError where a row cannot be rendered."""

    @abstractmethod
    def line(self, custom_id: str, asks: Sequence[Ask]) -> bytes:
        """One line of a batch file, of `size` items at most."""

    @abstractmethod
    def asks_in(self, line: bytes, ordinal: int) -> Sequence[Ask]:
        """The items of a line that was written, whose custom_id has that ordinal."""

    @abstractmethod
    def judge(self, line: AnswerLine[Any], ordinals: Sequence[int]) -> "Judged":
        """The verdict on each of the items of a request, from the line that answers it."""

    @abstractmethod
    def valid_answers(self, raw: bytes, ordinals: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Each item of a request that a provider's line has a valid answer for, with that answer
        as `judge_carried` reads it.
        """

    @abstractmethod
    def judge_carried(self, answers: Sequence[bytes]) -> list[Verdict]:
        """The verdicts on answers that were valid when they were carried over."""


class Judged:
    """Verdicts on the items of one request, and what in its answer is nobody's."""

    def __init__(self, verdicts: Sequence[Verdict], foreign: int = 0, duplicate: int = 0) -> None:
        self.verdicts = verdicts
        #: Answers to items that the request does not have.
        self.foreign = foreign
        #: Further answers to one that has an answer.
        self.duplicate = duplicate


class OneEach(Packing):
    """Each item is a request."""

    size = 1

    def __init__(self, endpoint: Endpoint | ReadyRequests) -> None:
        self._endpoint = endpoint
        self.seed = endpoint.url
        self.constant_bytes = endpoint.constant_bytes
        self.envelope = endpoint.envelope

    def asks(self, rows: pa.RecordBatch, describe_row: Callable[[int], str]) -> Iterator[bytes]:
        return self._endpoint.bodies(rows, describe_row)

    def line(self, custom_id: str, asks: Sequence[Ask]) -> bytes:
        [(_, body)] = asks
        return self._endpoint.line(custom_id, body)

    def asks_in(self, line: bytes, ordinal: int) -> Sequence[Ask]:
        return [(ordinal, self.envelope.read(line).body)]

    def judge(self, line: AnswerLine[Any], ordinals: Sequence[int]) -> Judged:
        return Judged([self._endpoint.judge(line)])

    def valid_answers(self, raw: bytes, ordinals: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        for line in self._endpoint.read_lines(raw):
            if self._endpoint.judge(line).outcome is Outcome.OK:
                yield ordinals[0], raw

    def judge_carried(self, answers: Sequence[bytes]) -> list[Verdict]:
        lines = self._endpoint.read_lines(b"\n".join(answers))
        return [self._endpoint.judge(line) for line in lines]


class Packs(Packing):
    """Several items share a request; to the stages it is an endpoint as well.

    Raises DeclarationError for a prompt or an output that cannot be packed.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str,
        prompt: Prompt,
        output: Output,
        settings: Mapping[str, Any],
        size: int,
    ) -> None:
        if not 2 <= size <= MOST_ITEMS:
            raise DeclarationError(
                f"rows_per_request is {size}; it is 1, or at most {MOST_ITEMS} items"
            )
        self._items = replace(prompt, system=None, examples=()).compiled("text")
        whole = Prompt(field=_FIELD, system=prompt.system, examples=prompt.examples)
        if set(whole.fields()) != {_FIELD}:
            read = ", ".join(sorted(set(whole.fields()) - {_FIELD}))
            raise DeclarationError(
                f"the system message or an example reads {read}, and a pack has many rows: "
                "move it into the user template, or leave rows_per_request at 1"
            )
        self._packed = PackedOutput(output)
        self._pack = compile_endpoint(
            name, model=model, prompt=whole, output=_Untouched(self._packed), settings=settings
        )
        if not self._pack.is_packable:
            raise DeclarationError(
                f"{self._pack.url} gives no list of answers: leave rows_per_request at 1"
            )
        self._output = output
        self.size = size
        self.url = self._pack.url
        self.model = model
        self.output = output
        self.fields = self._items.fields
        self.arrow_type = output.arrow_type
        self.constant_bytes = self._pack.constant_bytes
        self.envelope = self._pack.envelope
        self.media = self._pack.media
        #: Of what determines the answer to an item, whatever the size of its pack.
        self.seed = "\n".join([self.url, self._pack.shape_digest, *self._items.shape])

    @property
    def shape_digest(self) -> str:
        """Of what determines every request."""
        return hashlib.sha256(f"{self.seed}\n{self.size}".encode()).hexdigest()

    @property
    def shape_parts(self) -> Mapping[str, str]:
        """The same part by part."""
        parts = self._pack.shape_parts
        prompt = "\n".join([parts["prompt"], *self._items.shape])
        digest = hashlib.sha256(prompt.encode()).hexdigest()
        return {**parts, "prompt": digest, "rows_per_request": str(self.size)}

    def asks(self, rows: pa.RecordBatch, describe_row: Callable[[int], str]) -> Iterator[bytes]:
        """The text of each row, as JSON."""
        for position, ask in enumerate(self._items.encoded(rows, describe_row)):
            if not ask.startswith(b'"'):
                raise CorpusError(
                    f"{describe_row(position)}: the prompt gives no text, and a pack is made of "
                    "texts: return one, or leave rows_per_request at 1"
                )
            yield ask

    def line(self, custom_id: str, asks: Sequence[Ask]) -> bytes:
        items = "".join(f'\n{{"id":"{ordinal}","text":{ask.decode()}}}' for ordinal, ask in asks)
        rows = pa.RecordBatch.from_pydict({_FIELD: [INSTRUCTION + items]})
        [body] = self._pack.bodies(rows, lambda _: f"the pack of item {asks[0][0]}")
        return self._pack.line(custom_id, body)

    def asks_in(self, line: bytes, ordinal: int) -> Sequence[Ask]:
        text = self._pack.last_text(msgspec.json.decode(self.envelope.read(line).body))
        items = [_decode_item(item) for item in text[len(INSTRUCTION) + 1 :].split("\n")]
        return [(int(item.id), bytes(item.text)) for item in items]

    def inputs(self, body: bytes) -> int:
        return 0

    def read_lines(self, block: bytes) -> list[AnswerLine[Any]]:
        """The lines of a block that ends at a line's end."""
        return self._pack.read_lines(block)

    def judge(self, line: AnswerLine[Any], ordinals: Sequence[int]) -> Judged:
        whole = self._pack.judge(line)
        found: dict[int, Verdict] = {}
        foreign = duplicate = 0
        for name, part in self._parts(whole):
            ordinal = int(name) if name.isdecimal() and len(name) < _LONGEST else -1
            if ordinal not in ordinals:
                foreign += 1
                continue
            verdict = self._judge_part(part, whole)
            if ordinal in found:
                duplicate += 1
                # A valid answer comes before another, as it does among lines.
                if found[ordinal].outcome is Outcome.OK or verdict.outcome is not Outcome.OK:
                    continue
            found[ordinal] = verdict
        lost = _lost(whole, alone=len(ordinals) == 1)
        verdicts = [found.get(ordinal, lost) for ordinal in ordinals]
        return Judged([_paid(verdicts[0], whole), *verdicts[1:]], foreign, duplicate)

    def valid_answers(self, raw: bytes, ordinals: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        for line in self.read_lines(raw):
            judged = self.judge(line, ordinals)
            for ordinal, verdict in zip(ordinals, judged.verdicts, strict=True):
                if verdict.outcome is Outcome.OK and verdict.answer is not None:
                    yield ordinal, _encode(_Part(verdict.answer, verdict.model))

    def judge_carried(self, answers: Sequence[bytes]) -> list[Verdict]:
        parts = map(_decode_part, answers)
        return [
            self._judge_part(part.answer, Verdict(Outcome.OK, None, model=part.model))
            for part in parts
        ]

    def _judge_part(self, part: str, whole: Verdict) -> Verdict:
        """The verdict on the answer to one item."""
        outcome, message, value = Outcome.OK, None, None
        try:
            value = self._output.parse(part)
        except InvalidAnswer as error:
            outcome, message = Outcome.INVALID, shortened(str(error))
        return Verdict(
            outcome,
            failure_of(outcome),
            None,
            message,
            part,
            value,
            whole.model,
            whole.finish_reason,
        )

    def _parts(self, whole: Verdict) -> list[tuple[str, str]]:
        if whole.answer is None:
            return []
        try:
            return self._packed.split(whole.answer)
        except InvalidAnswer:
            return []


def endpoint_of(
    name: str,
    *,
    model: str,
    prompt: Prompt,
    output: Output,
    settings: Mapping[str, Any],
    rows_per_request: int = 1,
) -> Endpoint | Packs:
    """One inference's requests and answers at an endpoint, with so many items in a request.

    Raises DeclarationError for what the endpoint does not take, or cannot be packed.
    """
    if rows_per_request == 1:
        return compile_endpoint(name, model=model, prompt=prompt, output=output, settings=settings)
    return Packs(
        name, model=model, prompt=prompt, output=output, settings=settings, size=rows_per_request
    )


def packing_of(endpoint: "Endpoint | ReadyRequests | Packs") -> Packing:
    """How the items of that endpoint stand in its requests."""
    return endpoint if isinstance(endpoint, Packs) else OneEach(endpoint)


#: The one column that a pack's prompt reads.
_FIELD = "pack"

#: Digits of the longest ordinal.
_LONGEST = 19


class _Untouched(Output):
    """The packed output as it is asked for, its answer left as text to be taken apart."""

    kind = "json_schema"

    def __init__(self, packed: PackedOutput) -> None:
        self.name = packed.name
        self.schema = packed.schema
        self.arrow_type = pa.string()

    def parse(self, text: str) -> str:
        return text


def _lost(whole: Verdict, *, alone: bool) -> Verdict:
    """The verdict on an item that the answer to its pack has no answer for."""
    if whole.outcome is Outcome.OK:
        outcome = Outcome.INVALID if alone else Outcome.MISSING
        message: str | None = "the answer to its request has none for this item"
        failure: Failure | None = failure_of(outcome)
    else:
        outcome, failure, message = whole.outcome, whole.failure, whole.error_message
    if not alone and failure not in _OF_THE_CALL:
        failure = Failure.PACKED
    return Verdict(
        outcome,
        failure,
        whole.error_code,
        message,
        whole.answer if alone else None,
        None,
        whole.model,
        whole.finish_reason,
    )


def _paid(verdict: Verdict, whole: Verdict) -> Verdict:
    """The first item of a pack carries what the pack used, so that sums are what is paid for."""
    return verdict._replace(
        input_tokens=whole.input_tokens,
        cached_tokens=whole.cached_tokens,
        output_tokens=whole.output_tokens,
        reasoning_tokens=whole.reasoning_tokens,
        cache_write_tokens=whole.cache_write_tokens,
        cache_write_1h_tokens=whole.cache_write_1h_tokens,
        executions=whole.executions,
    )


class _Item(msgspec.Struct):
    id: str
    text: msgspec.Raw


class _Part(msgspec.Struct):
    """The answer to one item of a pack, as it is carried over."""

    answer: str
    model: str | None


_decode_part = msgspec.json.Decoder(_Part).decode
_decode_item = msgspec.json.Decoder(_Item).decode
