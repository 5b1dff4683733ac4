"""The chat completions endpoint: builds its requests and reads its answers.

Facts of the wire are OpenAI's (API reference, "Create chat completion"; guide "Batch API").
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.output import OutputType
from batch_assets.prompt.template import Prompt, constant_text, renderer

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
}

#: Splits a specimen body into its constant parts: control characters that JSON never leaves bare.
_MARKERS = ("\x00system\x00", "\x00user\x00")

_encode_text = msgspec.json.Encoder().encode


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise DeclarationError for a setting that the endpoint does not know or that is not free."""
    for name in settings:
        if name in RESERVED_SETTINGS:
            raise DeclarationError(f"setting {name!r} cannot be given: {RESERVED_SETTINGS[name]}")
        if name not in SETTINGS:
            raise DeclarationError(
                f"setting {name!r} is unknown to {ENDPOINT}; it knows {', '.join(sorted(SETTINGS))}"
            )


class ChatRequests:
    """Turns rows into chat completion requests of one shape.

    Everything that is the same for all rows is encoded once.
    """

    endpoint = ENDPOINT

    def __init__(
        self, *, model: str, prompt: Prompt, output: OutputType, settings: Mapping[str, Any]
    ) -> None:
        self.fields = prompt.fields()
        self._renderers = []
        contents = []
        for role, source, marker in (
            ("system", prompt.system, _MARKERS[0]),
            ("user", prompt.user, _MARKERS[1]),
        ):
            if source is None:
                continue
            template = renderer(source)
            contents.append((role, constant_text(source) if template is None else marker))
            if template is not None:
                self._renderers.append(template)
        specimen = _body(model, contents, output, settings)
        self._constants = _split(msgspec.json.encode(specimen))
        self.constant_bytes = sum(len(part) for part in self._constants)
        sources = json.dumps([ENDPOINT, specimen, prompt.system, prompt.user], sort_keys=True)
        #: What determines every request of this shape: prompt, model, settings, schema.
        self.shape_digest = hashlib.sha256(sources.encode()).hexdigest()

    def bodies(self, rows: pa.RecordBatch, describe_row: Callable[[int], str]) -> Iterator[bytes]:
        """The JSON body of each row's request; `rows` has the columns of `fields`.

        Raises CorpusError where a row cannot be rendered.
        """
        columns = {name: rows.column(name).to_pylist() for name in self.fields}
        texts = [
            template.texts([columns[name] for name in template.fields], describe_row)
            for template in self._renderers
        ]
        constants = self._constants
        if len(texts) == 1:
            head, tail = constants
            for text in texts[0]:
                yield b"".join((head, _encode_text(text), tail))
            return
        for row in zip(*texts, strict=True):
            yield b"".join(_interleave(constants, [_encode_text(text) for text in row]))

    def line(self, custom_id: str, body: bytes) -> bytes:
        """One line of a batch file."""
        return b"".join((_LINE_HEAD, custom_id.encode(), _LINE_MIDDLE, body, b"}\n"))


_LINE_HEAD = b'{"custom_id":"'
_LINE_MIDDLE = f'","method":"POST","url":"{ENDPOINT}","body":'.encode()


def _body(
    model: str,
    contents: Sequence[tuple[str, str]],
    output: OutputType,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": role, "content": content} for role, content in contents],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": output.name, "strict": True, "schema": output.schema},
        },
        **settings,
    }


def _split(specimen: bytes) -> list[bytes]:
    parts = [specimen]
    for marker in _MARKERS:
        parts = parts[:-1] + parts[-1].split(_encode_text(marker))
    return parts


def _interleave(constants: Sequence[bytes], varying: Sequence[bytes]) -> Iterator[bytes]:
    for constant, text in zip(constants, varying, strict=False):
        yield constant
        yield text
    yield constants[-1]


def system_prompt_of(prompt: Prompt) -> str:
    """The constant text of a request, for counting its tokens."""
    return "" if prompt.system is None else prompt.system
