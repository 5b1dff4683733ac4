"""Every request that we can build, held against OpenAI's published description of its API.

What stands here, beside test_endpoint_types.py, which holds settings to the SDK's types: the whole
body, by the description's own bounds, for every endpoint, output, kind of prompt and setting.
"""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from factories import Kind
from published_requests import complaints_of_line
from pydantic import BaseModel
from setting_values import edges

from batch_assets.prompt import (
    Audio,
    Example,
    File,
    Image,
    JsonMode,
    JsonSchemaOutput,
    Labels,
    Output,
    OutputType,
    Prompt,
    TextOutput,
)
from batch_assets.prompt.endpoints.catalogue import ENDPOINTS
from batch_assets.prompt.packs import endpoint_of, packing_of

MODELS = {"embeddings": "text-embedding-3-small"}

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
ROW = {
    "word": "oak \U0001f333",
    "image": PNG,
    "pdf": b"%PDF-1.7",
    "wav": b"RIFF\x04\0\0\0WAVE",
}


def lines(
    name: str,
    *,
    model: str | None = None,
    prompt: Prompt | None = None,
    output: Output | None = None,
    settings: dict[str, Any] | None = None,
    rows_per_request: int = 1,
    rows: Sequence[dict[str, Any]] = (ROW,),
) -> list[bytes]:
    """The lines of a batch file over the rows."""
    packing = packing_of(
        endpoint_of(
            name,
            model=model or MODELS.get(name, "gpt-5-mini"),
            prompt=prompt or Prompt(user="JSON of {{ word }}"),
            output=output or TextOutput(),
            settings=settings or {},
            rows_per_request=rows_per_request,
        )
    )
    asks = list(enumerate(packing.asks(pa.RecordBatch.from_pylist(list(rows)), str)))
    packs = [asks[at : at + packing.size] for at in range(0, len(asks), packing.size)]
    return [packing.line(f"r-{pack[0][0]}", pack) for pack in packs]


def wrong(name: str, **declared: Any) -> list[str]:
    """What the description finds wrong with the one line of the row."""
    [line] = lines(name, **declared)
    return complaints_of_line(line)


class Answer(BaseModel):
    """With what a strict schema can hold: a choice, a list, an optional, an object."""

    kind: Kind
    others: list[Kind]
    note: str | None = None


def a_reply(word: str) -> str:
    return f"Say {word}."


def a_conversation(word: str) -> list[dict[str, Any]]:
    return [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": word},
        {"role": "assistant", "content": "Go on."},
        {"role": "user", "content": word},
    ]


def a_chat_body(word: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": word}], "temperature": 0.5}


def a_response_body(word: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": word}]
    return {"input": [{"role": "user", "content": content}], "max_output_tokens": 16}


def a_text_body(word: str) -> dict[str, Any]:
    return {"prompt": word, "user": "someone"}


SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["tree", "bird"], "type": "string"}},
    "required": ["label"],
    "additionalProperties": False,
}
OUTPUTS: dict[str, Output] = {
    "text": TextOutput(),
    "json": JsonMode(),
    "type": OutputType(Answer),
    "labels": Labels("tree", "bird"),
    "schema": JsonSchemaOutput(SCHEMA, name="Word"),
}
EXAMPLES = [Example(user="elm", assistant={"label": "tree"}), Example(user="owl", assistant="bird")]
MESSAGES: dict[str, Prompt] = {
    "template": Prompt(user="JSON of {{ word }}"),
    "field": Prompt(field="word", system="Answer in JSON."),
    "examples": Prompt(system="Answer in JSON.", user="{{ word }}", examples=EXAMPLES),
    "parts": Prompt(
        user=[
            "JSON of {{ word }}",
            Image(url="https://example.org/{{ word | length }}.png", detail="low"),
            Image(column="image"),
            Image(column="none", optional=True),
            File(column="pdf", filename="a.pdf"),
            File(file_id="file-1"),
        ],
        system="Answer in JSON.",
    ),
    "text of a call": Prompt(call=a_reply, system="Answer in JSON."),
    "messages of a call": Prompt(call=a_conversation, system="Answer in JSON."),
}
OF_ONE_ENDPOINT: dict[str, dict[str, Prompt]] = {
    "chat": {
        "audio": Prompt(user=["JSON of", Audio(column="wav")]),
        "body of a call": Prompt(call=a_chat_body),
    },
    "responses": {
        "address of a file": Prompt(user=["JSON of", File(url="https://example.org/a.pdf")]),
        "body of a call": Prompt(call=a_response_body),
    },
}
TEXTS: dict[str, Prompt] = {
    "template": Prompt(user="JSON of {{ word }}"),
    "field": Prompt(field="word"),
    "text of a call": Prompt(call=a_reply),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in ("chat", "responses") for kind in MESSAGES | OF_ONE_ENDPOINT[name]],
)
def test_messages_of_every_kind_with_every_output_are_requests_as_published(name, kind, output):
    prompt = (MESSAGES | OF_ONE_ENDPOINT[name])[kind]

    assert wrong(name, prompt=prompt, output=OUTPUTS[output], rows=[{**ROW, "none": None}]) == []


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", ["embeddings", "moderations", "completions", "images"])
def test_texts_of_every_kind_are_requests_as_published(name, kind):
    assert wrong(name, prompt=TEXTS[kind]) == []


@pytest.mark.parametrize("name", ["completions", "images"])
def test_a_body_that_a_call_returns_for_one_text_is_a_request_as_published(name):
    assert wrong(name, prompt=Prompt(call=a_text_body)) == []


@pytest.mark.parametrize("name", ["embeddings", "moderations"])
@pytest.mark.parametrize("texts", [["a"], ["a", "b"], ["a"] * 2_048])
def test_several_texts_of_an_item_are_a_request_as_published(name, texts):
    asked = {"prompt": Prompt(field="words"), "settings": {"several_inputs": True}}

    assert wrong(name, **asked, rows=[{"words": texts}]) == []


@pytest.mark.parametrize("name", ["chat", "responses"])
@pytest.mark.parametrize("output", ["type", "labels"])
def test_a_pack_of_several_items_is_a_request_as_published(name, output):
    rows = [{"word": f"word {number}"} for number in range(5)]

    made = lines(name, output=OUTPUTS[output], rows_per_request=2, rows=rows)

    assert [complaints_of_line(line) for line in made] == [[], [], []]


#: What the official SDK (openai-python 3.54) has, and the description of August 2026 has not.
NOT_PUBLISHED: dict[tuple[str, str], Any] = {
    ("chat", "top_logprobs"): [None],
    ("responses", "top_logprobs"): [None],
    ("images", "complexity"): ["low", "medium", "high", None],
    ("images", "frame_count"): [2, 16, None],
    ("images", "frame_duration_ms"): [1, 655_350, None],
    ("images", "output_format"): ["gif", "svg"],
    ("images", "quality"): ["xhigh", "max"],
    ("images", "safety_identifier"): ["a", "a" * 64, None],
    ("images", "svg"): [{}, None],
}
SETTINGS = [
    (name, setting, value)
    for name, kind in ENDPOINTS.items()
    for setting, setting_kind in (kind.known_settings | kind.own_settings).items()
    for value in edges(setting_kind)
]


def wrong_with(name: str, setting: str, value: Any) -> list[str]:
    settings = {setting: value}
    if name == "embeddings" and setting not in ("dimensions", "vector_length"):
        settings["vector_length"] = 8
    return wrong(name, model="some-model", settings=settings)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [case for case in SETTINGS if case[2] not in NOT_PUBLISHED.get(case[:2], ())],
)
def test_a_setting_is_as_published_from_one_end_of_its_range_to_the_other(name, setting, value):
    assert wrong_with(name, setting, value) == []


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [(*place, value) for place, values in NOT_PUBLISHED.items() for value in values],
)
def test_what_is_said_not_to_be_published_is_not(name, setting, value):
    """Where this fails, the description has caught up: take the entry away."""
    assert wrong_with(name, setting, value) != []


WRONG: dict[str, tuple[str, Any, str]] = {
    "a name that is misspelt": ("temprature", 1, "'temprature' was unexpected"),
    "a number out of its range": ("temperature", 2.5, "not valid under any of the schemas"),
    "a role that there is not": ("messages", [{"role": "wizard", "content": "x"}], "not valid"),
    "a message without content": ("messages", [{"role": "user"}], "not valid"),
    "a part of another endpoint": (
        "messages",
        [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        "not valid",
    ),
    "no messages": ("messages", [], "less than 1 item"),
    "a format that there is not": ("response_format", {"type": "yaml"}, "not valid"),
    "a schema without a name": (
        "response_format",
        {"type": "json_schema", "json_schema": {"schema": {}}},
        "not valid",
    ),
    "too many stop texts": ("stop", list("abcde"), "not valid"),
    "metadata that is too long": ("metadata", {"a": 1}, "not valid"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_body_is_found_out(case):
    field, value, complaint = WRONG[case]
    [line] = lines("chat")
    request = json.loads(line)
    request["body"][field] = value

    found = complaints_of_line(json.dumps(request).encode())

    assert complaint in " ".join(found)


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("field", ["prompt_field", "model"])
def test_a_body_that_lacks_a_field_is_found_out(name, field):
    lacking = ENDPOINTS[name].prompt_field if field == "prompt_field" else field
    [line] = lines(name)
    request = json.loads(line)
    del request["body"][lacking]

    missed = complaints_of_line(json.dumps(request).encode())

    assert missed or lacking in OPTIONAL[name]


#: What the description lets a request go without: a response may go on from a stored prompt, and
#: moderations and images have a default model.
OPTIONAL = dict.fromkeys(ENDPOINTS, ()) | {
    "responses": ("input", "model"),
    "moderations": ("model",),
    "images": ("model",),
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("custom_id", "a b"),
        ("custom_id", "a" * 65),
        ("custom_id", None),
        ("method", "GET"),
        ("url", "/v1/audio/speech"),
        ("url", "/chat/completions"),
        ("body", []),
        ("priority", 1),
    ],
)
def test_a_wrong_line_is_found_out(field, value):
    [line] = lines("chat")

    assert complaints_of_line(json.dumps({**json.loads(line), field: value}).encode())
