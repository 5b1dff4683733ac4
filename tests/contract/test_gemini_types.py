"""What goes to Gemini, held against google-genai's types and its own conversion."""

import json
import re
import types as builtin_types
import typing
from enum import EnumMeta
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pytest
from factories import Kind
from google import genai
from google.genai import _common, models, types

from batch_assets.prompt import OutputType, Prompt
from batch_assets.prompt.endpoints.catalogue import compile_endpoint
from batch_assets.prompt.endpoints.gemini_settings import RESERVED_SETTINGS, SETTINGS
from batch_assets.prompt.output import JsonMode, TextOutput
from batch_assets.prompt.prompt import Example

FIELDS = types.GenerateContentConfig.model_fields

#: What the Developer API does not take, and Vertex AI does.
VERTEX_ONLY = {"audio_timestamp", "model_armor_config"}


def test_every_setting_of_the_sdk_is_free_or_has_a_reason_not_to_be():
    """Row 44: what an endpoint takes is what the official SDK says it takes."""
    assert FIELDS.keys() == SETTINGS.keys() | RESERVED_SETTINGS.keys()
    assert not SETTINGS.keys() & RESERVED_SETTINGS.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_what_may_be_null_for_the_sdk_may_be_null(name):
    assert msgspec.convert(None, SETTINGS[name]) is None


def enums_in(hint: Any) -> set[str]:
    """The values of the enumerations that a type of the SDK's is made of."""
    if isinstance(hint, EnumMeta):
        return {member.value for member in hint}
    if isinstance(hint, type) and issubclass(hint, _common.BaseModel):
        return set().union(*(enums_in(field.annotation) for field in hint.model_fields.values()))
    return set().union(*(enums_in(part) for part in typing.get_args(hint)))


def literals_in(hint: Any) -> set[str]:
    """The values of the literals that one of our types is made of."""
    if typing.get_origin(hint) is Literal:
        return set(typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return set().union(*(literals_in(part) for part in typing.get_type_hints(hint).values()))
    return set().union(*(literals_in(part) for part in typing.get_args(hint)))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_value_that_the_sdk_names_is_taken(name):
    named = {
        value for value in enums_in(FIELDS[name].annotation) if not value.endswith("UNSPECIFIED")
    }

    assert literals_in(SETTINGS[name]) == named


SOME: dict[str, Any] = {
    "audio_timestamp": True,
    "cached_content": "cachedContents/abc",
    "enable_enhanced_civic_answers": True,
    "frequency_penalty": 0.5,
    "logprobs": 3,
    "max_output_tokens": 100,
    "media_resolution": "MEDIA_RESOLUTION_LOW",
    "model_armor_config": {"prompt_template_name": "a", "response_template_name": "b"},
    "presence_penalty": -0.5,
    "response_logprobs": True,
    "safety_settings": [
        {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"},
        {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "OFF"},
    ],
    "seed": 7,
    "stop_sequences": ["END"],
    "store": False,
    "temperature": 0.2,
    "thinking_config": {"include_thoughts": False, "thinking_budget": 512},
    "top_k": 40.0,
    "top_p": 0.9,
}

EXAMPLE = Example(user="elm", assistant={"label": "plant"})
SEVERAL = Prompt(system="Be brief.", user="{{ word }}", examples=[EXAMPLE])


def body_of(prompt: Prompt, output: Any, settings: dict[str, Any]) -> Any:
    made = compile_endpoint(
        "generate_content", model="m", prompt=prompt, output=output, settings=settings
    )
    [body] = made.bodies(pa.RecordBatch.from_pydict({"word": ["oak"]}), str)
    return json.loads(body)


def sent_by_the_sdk(contents: Any, config: dict[str, Any], *, vertexai: bool) -> Any:
    """The body that the SDK makes of the same."""
    convert = (
        models._GenerateContentParameters_to_vertex
        if vertexai
        else models._GenerateContentParameters_to_mldev
    )
    api = builtin_types.SimpleNamespace(vertexai=vertexai, project="p", location="l")
    asked = types._GenerateContentParameters(model="m", contents=contents, config=config)
    made = _common.convert_to_dict(convert(api, asked))
    made = _common.encode_unserializable_types(made)
    return _in_camel_case({name: made[name] for name in made if name not in ("_url", "config")})


def _in_camel_case(value: Any) -> Any:
    """Inside its settings the SDK writes its own names, which the API takes as well."""
    if isinstance(value, list):
        return [_in_camel_case(each) for each in value]
    if not isinstance(value, dict):
        return value
    named = {
        re.sub("_([a-z])", lambda found: found[1].upper(), name): value[name] for name in value
    }
    return {
        name: each if name == "responseJsonSchema" else _in_camel_case(each)
        for name, each in named.items()
        if each != {}
    }


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


def a_content(role: str, text: str) -> Any:
    return {"role": role, "parts": [{"text": text}]}


CONTENTS = [
    a_content("user", "elm"),
    a_content("model", '{"label":"plant"}'),
    a_content("user", "oak"),
]


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_setting_is_sent_as_the_sdk_would_send_it(name):
    """python-genai#1608: in a file the settings stand under generationConfig."""
    given = {name: SOME[name]}
    body = body_of(Prompt(user="{{ word }}"), TextOutput(), given)

    is_vertex = name in VERTEX_ONLY
    assert body == sent_by_the_sdk([a_content("user", "oak")], given, vertexai=is_vertex)


@pytest.mark.parametrize(
    ("output", "config"),
    [
        (TextOutput(), {}),
        (JsonMode(), {"response_mime_type": "application/json"}),
        (
            OutputType(Kind),
            {
                "response_mime_type": "application/json",
                "response_json_schema": OutputType(Kind).schema,
            },
        ),
    ],
)
def test_prompt_and_output_are_sent_as_the_sdk_would_send_them(output, config):
    prompt = (
        SEVERAL
        if output.demanded_word is None
        else Prompt(system="Be brief. JSON.", user="{{ word }}", examples=[EXAMPLE])
    )
    system = {"parts": [{"text": prompt.system}]}

    body = body_of(prompt, output, {})

    wanted = sent_by_the_sdk(CONTENTS, {"system_instruction": system, **config}, vertexai=False)
    assert body == wanted


def test_the_sdk_that_is_installed_is_the_one_the_facts_are_from():
    assert genai.__version__.startswith("3.")
