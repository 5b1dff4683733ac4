"""The chat completions endpoint: builds its requests and reads its answers.

Facts of the wire are OpenAI's (API reference, "Create chat completion"; guide "Batch API").
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pyarrow as pa

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.prompt.output import OutputType
from batch_assets.prompt.template import Prompt, Renderer

ENDPOINT = "/v1/chat/completions"

#: Settings of a chat completion that a user may give; a contract test holds them to the SDK's.
SETTINGS = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "safety_identifier",
        "seed",
        "stop",
        "store",
        "temperature",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
    }
)

#: Settings of the endpoint that are not the user's to give here, each with the reason.
RESERVED_SETTINGS: Mapping[str, str] = {
    "model": "it is declared as the inference's model",
    "messages": "they come from the prompt",
    "response_format": "it comes from the output type",
    "stream": "a batch does not stream",
    "stream_options": "a batch does not stream",
    "n": "an item has one answer",
    "service_tier": "a batch is a tier of its own",
    "audio": "an answer is text",
    "modalities": "an answer is text",
    "functions": "an answer is of the output type, and nobody is there to carry out a call",
    "function_call": "an answer is of the output type, and nobody is there to carry out a call",
    "tools": "an answer is of the output type, and nobody is there to carry out a call",
    "tool_choice": "an answer is of the output type, and nobody is there to carry out a call",
    "parallel_tool_calls": "an answer is of the output type, and nobody carries out a call",
    "prediction": "every item would be given the same one",
    "web_search_options": "a batch does not search the web",
    "moderation": "what it finds would have no place in the results",
}

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise DeclarationError for a setting that cannot be sent, naming it and the reason."""
    for name, value in settings.items():
        if name in RESERVED_SETTINGS:
            raise DeclarationError(f"setting {name!r} cannot be given: {RESERVED_SETTINGS[name]}")
        if name not in SETTINGS:
            raise DeclarationError(
                f"setting {name!r} is unknown to {ENDPOINT}; it knows {', '.join(sorted(SETTINGS))}"
            )
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise DeclarationError(
                f"setting {name!r} cannot be written as JSON ({error}): give it a plain value"
            ) from error


class ChatRequests:
    """Turns rows into chat completion requests of one shape.

    Everything that is the same for all rows is encoded once.
    """

    endpoint = ENDPOINT

    def __init__(
        self, *, model: str, prompt: Prompt, output: OutputType, settings: Mapping[str, Any]
    ) -> None:
        self._renderers: list[Renderer] = []
        #: Bytes before, between and after the texts that vary.
        self._constants = [b'{"model":' + _encode(model) + b',"messages":[']
        for role, source in (("system", prompt.system), ("user", prompt.user)):
            if source is not None:
                self._add_message(role, Renderer(source, role))
        # The order of a schema's fields is the order of the answer's; that of settings is nobody's.
        given = b"," + _encode_sorted(settings)[1:] if settings else b"}"
        self._constants[-1] += b'],"response_format":' + _encode(_response_format(output)) + given
        self.fields = tuple(sorted({name for each in self._renderers for name in each.fields}))
        self.constant_bytes = sum(len(part) for part in self._constants)
        shape = [ENDPOINT, *map(bytes.decode, self._constants), prompt.system, prompt.user]
        #: What determines every request of this shape: prompt, model, settings, schema.
        self.shape_digest = hashlib.sha256(_encode(shape)).hexdigest()

    def _add_message(self, role: str, template: Renderer) -> None:
        comma = b"" if self._constants[-1].endswith(b"[") else b","
        self._constants[-1] += comma + b'{"role":' + _encode(role) + b',"content":'
        if template.fields:
            self._renderers.append(template)
            self._constants.append(b"}")
        else:
            self._constants[-1] += _encode(template.constant_text()) + b"}"

    def bodies(self, rows: pa.RecordBatch, describe_row: Callable[[int], str]) -> Iterator[bytes]:
        """The JSON body of each row's request; `rows` has the columns of `fields`.

        Raises CorpusError where a row cannot be rendered.
        """
        columns = {name: _values(rows.column(name), name, describe_row) for name in self.fields}
        texts = [
            template.texts([columns[name] for name in template.fields], describe_row)
            for template in self._renderers
        ]
        constants = self._constants
        match texts:
            case []:
                yield from (constants[0] for _ in range(rows.num_rows))
            case [only]:
                head, tail = constants
                for text in only:
                    yield b"".join((head, _encode(text), tail))
            case _:
                for row in zip(*texts, strict=True):
                    yield b"".join(_interleave(constants, [_encode(text) for text in row]))

    def line(self, custom_id: str, body: bytes) -> bytes:
        """One line of a batch file."""
        return b"".join((_LINE_HEAD, custom_id.encode(), _LINE_MIDDLE, body, b"}\n"))


_LINE_HEAD = b'{"custom_id":"'
_LINE_MIDDLE = f'","method":"POST","url":"{ENDPOINT}","body":'.encode()


def _response_format(output: OutputType) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": output.name, "strict": True, "schema": output.schema},
    }


def _values(column: pa.Array, name: str, describe_row: Callable[[int], str]) -> list[Any]:
    """A column's values in Python. Raises CorpusError for one that Python has no value for."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's own type where nothing is lost, whether or not pandas is installed.
        with suppress(pa.ArrowInvalid):
            column = column.cast(pa.timestamp("us", column.type.tz))
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        for position, value in enumerate(column):
            _check_readable(value, name, describe_row(position))
        raise
    return values


def _check_readable(value: pa.Scalar, name: str, row: str) -> None:
    try:
        value.as_py()
    except (ValueError, OverflowError) as error:
        raise CorpusError(
            f"{row}: {name} cannot be read ({error}): correct the row, or write the column as text"
        ) from error


def _interleave(constants: Sequence[bytes], varying: Sequence[bytes]) -> Iterator[bytes]:
    for constant, text in zip(constants, varying, strict=False):
        yield constant
        yield text
    yield constants[-1]
