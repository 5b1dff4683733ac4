"""What the endpoints send, held against the official SDK's request types."""

import json
import typing
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pytest
from factories import Kind
from openai.types import (
    completion_create_params,
    embedding_create_params,
    image_generate_params,
    moderation_create_params,
)
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from batch_assets.prompt import OutputType, Prompt
from batch_assets.prompt.endpoints.catalogue import ENDPOINTS, compile_endpoint
from batch_assets.prompt.output import JsonMode, TextOutput
from batch_assets.prompt.prompt import Example

#: The type of a request without a stream, and whether the SDK keeps `stream` out of it.
SDK_TYPES: dict[str, Any] = {
    "chat": chat_create_params.CompletionCreateParamsNonStreaming,
    "responses": response_create_params.ResponseCreateParamsNonStreaming,
    "embeddings": embedding_create_params.EmbeddingCreateParams,
    "moderations": moderation_create_params.ModerationCreateParams,
    "completions": completion_create_params.CompletionCreateParamsNonStreaming,
    "images": image_generate_params.ImageGenerateParamsNonStreaming,
}
MODELS = {"embeddings": "text-embedding-3-small"}
#: Values of the SDK's that we leave to `extra_body`, since they belong to tools.
LEFT_OUT = {"include"}


def hints(name: str) -> dict[str, Any]:
    return typing.get_type_hints(SDK_TYPES[name])


def choices(hint: Any) -> set[Any]:
    """The values of the literals at the top of a type: those of `Optional[Literal[...]]`."""
    if typing.get_origin(hint) is Literal:
        return set(typing.get_args(hint))
    return {value for part in typing.get_args(hint) for value in choices(part)}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_setting_of_the_sdk_is_free_or_has_a_reason_not_to_be(name):
    """Row 44: what an endpoint takes is what the official SDK says it takes."""
    kind = ENDPOINTS[name]

    assert hints(name).keys() == kind.known_settings.keys() | kind.reserved_settings.keys()
    assert not kind.known_settings.keys() & kind.reserved_settings.keys()
    assert not kind.known_settings.keys() & kind.own_settings.keys()


CHOICES = [
    (name, setting, value)
    for name, kind in ENDPOINTS.items()
    for setting in kind.known_settings.keys() - LEFT_OUT
    for value in choices(hints(name)[setting])
]


@pytest.mark.parametrize(("name", "setting", "value"), sorted(CHOICES, key=str))
def test_every_value_that_the_sdk_names_is_taken(name, setting, value):
    kind = ENDPOINTS[name].known_settings[setting]

    assert msgspec.convert(value, kind) == value


OPTIONAL = [
    (name, setting)
    for name, kind in ENDPOINTS.items()
    for setting in kind.known_settings
    if type(None) in typing.get_args(hints(name)[setting])
]


@pytest.mark.parametrize(("name", "setting"), OPTIONAL)
def test_what_may_be_null_for_the_sdk_may_be_null(name, setting):
    assert msgspec.convert(None, ENDPOINTS[name].known_settings[setting]) is None


def body_of(name: str, prompt: Prompt, output: Any, settings: dict[str, Any]) -> Any:
    made = compile_endpoint(
        name, model=MODELS.get(name, "m"), prompt=prompt, output=output, settings=settings
    )
    [body] = made.bodies(pa.RecordBatch.from_pydict({"word": ["oak"]}), str)
    return json.loads(body)


ONE = Prompt(user="{{ word }}")
EXAMPLE = Example(user="elm", assistant={"label": "plant"})
JSON = Prompt(user="JSON of {{ word }}")
SEVERAL = Prompt(system="Be brief.", user="{{ word }}", examples=[EXAMPLE])


@pytest.mark.parametrize(
    ("name", "prompt", "output", "settings"),
    [
        ("chat", ONE, TextOutput(), {"logprobs": True, "top_logprobs": 2}),
        ("chat", SEVERAL, OutputType(Kind), {"reasoning_effort": "low", "stop": "x"}),
        ("chat", JSON, JsonMode(), {"metadata": {"a": "b"}, "verbosity": "low"}),
        ("responses", ONE, TextOutput(), {"instructions": "Be brief.", "max_output_tokens": 16}),
        ("responses", SEVERAL, OutputType(Kind), {"reasoning": {"effort": "low"}}),
        ("responses", JSON, JsonMode(), {"text": {"verbosity": "low"}}),
        ("embeddings", ONE, TextOutput(), {"dimensions": 256, "encoding_format": "base64"}),
        ("embeddings", ONE, TextOutput(), {"several_inputs": True}),
        ("moderations", ONE, TextOutput(), {}),
        ("completions", ONE, TextOutput(), {"max_tokens": 100, "logprobs": 1}),
        ("images", ONE, TextOutput(), {"size": "1024x1024", "n": 2}),
    ],
)
def test_a_body_is_a_request_of_the_sdks_type(name, prompt, output, settings):
    body = body_of(name, prompt, output, settings)

    TypeAdapter(SDK_TYPES[name]).validate_python(body)
    assert body.keys() <= hints(name).keys()
