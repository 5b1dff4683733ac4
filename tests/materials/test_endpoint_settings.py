"""Settings of every endpoint: known by name and by value, or refused before anything is sent."""

import json
from typing import Any

import pyarrow as pa
import pytest
from answer_lines import OUTPUT, an_endpoint

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import Prompt
from batch_assets.prompt.endpoints.catalogue import ENDPOINTS, compile_endpoint, endpoint_named
from batch_assets.prompt.output import Output, TextOutput

MODELS = {"embeddings": "text-embedding-3-small"}

#: A value that each setting takes, and one that it does not.
VALUES: dict[str, tuple[Any, Any]] = {
    "background": ("opaque", "red"),
    "best_of": (2, 21),
    "complexity": ("low", "none"),
    "dimensions": (256, 0),
    "echo": (True, 1),
    "encoding_format": ("base64", "hex"),
    "frame_count": (2, 1),
    "frame_duration_ms": (200, 0),
    "frequency_penalty": (-2, -2.1),
    "include": (["message.output_text.logprobs"], ["file_search_call.results"]),
    "instructions": ("Be brief.", 7),
    "logit_bias": ({"50256": -100}, {"50256": -101}),
    "max_completion_tokens": (1, 0),
    "max_output_tokens": (16, 15),
    "max_tokens": (1, 0),
    "metadata": ({"a": "b"}, {"a": 1}),
    "moderation": ("low", "high"),
    "n": (10, 11),
    "output_compression": (0, 101),
    "output_format": ("webp", "bmp"),
    "presence_penalty": (2, 2.5),
    "prompt_cache_key": ("a", ""),
    "prompt_cache_options": ({"ttl": "30m"}, "30m"),
    "prompt_cache_retention": ("24h", "48h"),
    "quality": ("high", "best"),
    "reasoning": ({"effort": "low"}, {"effort": "little"}),
    "reasoning_effort": ("minimal", "little"),
    "response_format": ("b64_json", "jpeg"),
    "safety_identifier": ("a" * 64, "a" * 65),
    "seed": (7, 7.5),
    "several_inputs": (True, "yes"),
    "size": ("1024x1024", "huge"),
    "stop": (["a", "b", "c", "d"], ["a", "b", "c", "d", "e"]),
    "store": (False, "no"),
    "style": ("vivid", "loud"),
    "suffix": ("end", 7),
    "svg": ({"model": "m"}, "m"),
    "temperature": (0, 2.1),
    "text": ({"verbosity": "low"}, {"format": {"type": "text"}}),
    "top_logprobs": (20, 21),
    "top_p": (1, 1.1),
    "truncation": ("auto", "on"),
    "user": ("u", 7),
    "vector_length": (1536, 0),
    "verbosity": ("high", "chatty"),
}
#: Where a name means something else.
OF_ENDPOINT: dict[tuple[str, str], tuple[Any, Any]] = {
    ("chat", "logprobs"): (True, 5),
    ("completions", "logprobs"): (5, 6),
}
KNOWN = [
    (name, setting)
    for name, kind in ENDPOINTS.items()
    for setting in {**kind.known_settings, **kind.own_settings}
]
RESERVED = [
    (name, setting) for name, kind in ENDPOINTS.items() for setting in kind.reserved_settings
]


def values(name: str, setting: str) -> tuple[Any, Any]:
    return OF_ENDPOINT.get((name, setting)) or VALUES[setting]


def declared(name: str, output: Output | None = None, **settings: Any) -> Any:
    return an_endpoint(name, model=MODELS.get(name, "m"), output=output, **settings)


def body_of(made: Any) -> Any:
    [body] = made.bodies(pa.RecordBatch.from_pydict({"word": ["oak"]}), str)
    return json.loads(body)


@pytest.mark.parametrize(("name", "setting"), KNOWN)
def test_a_setting_is_sent_as_it_is_unless_it_is_ours(name, setting):
    value, _ = values(name, setting)

    body = body_of(declared(name, **{setting: value}))

    assert body.get(setting) == (None if setting in ENDPOINTS[name].own_settings else value)


@pytest.mark.parametrize(("name", "setting"), KNOWN)
def test_a_value_that_the_api_would_refuse_is_refused_by_name(name, setting):
    _, wrong = values(name, setting)

    with pytest.raises(DeclarationError, match=rf"setting '{setting}' cannot be .*: "):
        declared(name, **{setting: wrong})


@pytest.mark.parametrize(("name", "setting"), RESERVED)
def test_a_setting_that_is_not_free_is_refused_with_the_reason(name, setting):
    reason = ENDPOINTS[name].reserved_settings[setting]

    with pytest.raises(DeclarationError, match=f"{setting!r} cannot be given: {reason}"):
        compile_endpoint(
            name,
            model="text-embedding-3-small",
            prompt=Prompt(user="{{ word }}"),
            output=TextOutput(),
            settings={setting: 1},
        )


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_unknown_setting_is_refused_beside_those_that_are_known(name):
    with pytest.raises(DeclarationError, match=r"'temprature' is unknown to /v1/.* extra_body"):
        declared(name, temprature=1)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, {"a": object()}, "\ud83d"])
def test_a_setting_that_is_no_json_is_refused(value):
    with pytest.raises(DeclarationError, match="'seed' cannot be written as JSON"):
        declared("chat", seed=value)


def test_an_endpoint_is_found_by_its_url_too():
    assert all(endpoint_named(kind.url) is kind for kind in ENDPOINTS.values())


def test_an_unknown_endpoint_is_refused_beside_those_that_are_known():
    with pytest.raises(DeclarationError, match="endpoint 'audio' is unknown: give one of chat, "):
        endpoint_named("audio")


def test_the_extra_body_goes_into_each_body_unchecked():
    """What only a compatible server knows, or what a batch of one's own may have after all."""
    extra = {"guided_choice": ["a", "b"], "service_tier": "flex", "temperature": 9}

    body = body_of(declared("chat", extra_body=extra, seed=1))

    assert {name: body[name] for name in extra} == extra
    assert body["seed"] == 1


@pytest.mark.parametrize("name", ["model", "messages", "stream", "response_format", "seed"])
def test_the_extra_body_cannot_take_what_stands_in_the_body_already(name):
    with pytest.raises(DeclarationError, match=f"'extra_body' cannot have '{name}'"):
        declared("chat", output=OUTPUT, seed=1, extra_body={name: 1})


@pytest.mark.parametrize("extra", [[], "a", {1: 2}])
def test_the_extra_body_is_a_mapping(extra):
    with pytest.raises(DeclarationError, match="'extra_body' must be a mapping"):
        declared("chat", extra_body=extra)


def test_the_extra_body_changes_the_shape():
    shapes = {declared("chat", extra_body=extra).shape_digest for extra in ({}, {"a": 1})}

    assert len(shapes) == 2


@pytest.mark.parametrize("name", ["embeddings", "moderations", "completions", "images"])
def test_an_endpoint_without_a_schema_refuses_a_typed_output(name):
    with pytest.raises(DeclarationError, match=r"output Kind cannot be asked of /v1/"):
        declared(name, output=OUTPUT)


@pytest.mark.parametrize(
    ("model", "settings", "length"),
    [
        ("text-embedding-3-small", {}, 1536),
        ("text-embedding-3-large", {}, 3072),
        ("text-embedding-ada-002", {}, 1536),
        ("text-embedding-3-large", {"dimensions": 256}, 256),
        ("bge-m3", {"dimensions": 1024}, 1024),
        ("bge-m3", {"vector_length": 1024}, 1024),
        ("bge-m3", {"vector_length": 8, "dimensions": 8}, 8),
    ],
)
def test_the_length_of_a_vector_is_known_before_anything_is_sent(model, settings, length):
    made = an_endpoint("embeddings", model=model, **settings)

    assert made.arrow_type == pa.list_(pa.float32(), length)


@pytest.mark.parametrize(
    ("model", "settings", "why"),
    [
        ("bge-m3", {}, "length of bge-m3's vectors is not known: give it as setting 'dimensions'"),
        ("text-embedding-ada-002", {"dimensions": 5}, "text-embedding-ada-002 has a fixed length"),
        ("text-embedding-3-small", {"dimensions": 1537}, "text-embedding-3-small has 1536 at most"),
        ("bge-m3", {"vector_length": 8, "dimensions": 9}, "bge-m3's vectors have 9 numbers"),
        ("text-embedding-3-small", {"vector_length": 8}, "small's vectors have 1536 numbers"),
    ],
)
def test_a_length_that_cannot_be_is_refused(model, settings, why):
    with pytest.raises(DeclarationError, match=why):
        an_endpoint("embeddings", model=model, **settings)
