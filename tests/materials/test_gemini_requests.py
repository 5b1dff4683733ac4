"""What Gemini is asked, byte by byte where that matters."""

import base64
import json
from typing import Any

import pyarrow as pa
import pytest
from answer_lines import an_endpoint
from prompts import complaint, messages
from pydantic import BaseModel

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.prompt import Audio, File, Image, OutputType, Prompt
from batch_assets.prompt.endpoints.gemini import url_of
from batch_assets.prompt.output import JsonMode
from batch_assets.prompt.packs import endpoint_of, packing_of
from batch_assets.prompt.prompt import Example
from batch_assets.prompt.shown import most_output_tokens, prompt_text

MODEL = "gemini-2.5-flash"
PNG = b"\x89PNG\r\n\x1a\n-"
PDF = b"%PDF-1.7"
WAV = b"RIFF\x00\x00\x00\x00WAVE"


def contents(prompt: Prompt, **row: Any) -> Any:
    """The contents of a row's body; a system message stands behind them."""
    rows = pa.RecordBatch.from_pydict({name: [value] for name, value in row.items()})
    compiled = prompt.compiled("gemini")
    [found] = compiled.encoded(rows.select(compiled.fields), str)
    return json.loads(b'{"contents":' + found + b"}")


def gemini(**over: Any) -> Any:
    return an_endpoint("generate_content", **{"model": MODEL, **over})


def body_of(endpoint: Any, word: Any = "oak") -> Any:
    [body] = endpoint.bodies(pa.RecordBatch.from_pydict({"word": [word]}), lambda _: "row 0")
    return json.loads(body)


def a_user(*parts: Any) -> Any:
    return {"role": "user", "parts": list(parts)}


def test_a_line_has_the_key_and_the_request_and_no_model():
    """The model stands in the job's URL."""
    endpoint = gemini(prompt=Prompt(user="Word: {{ word }}"))
    [body] = endpoint.bodies(pa.RecordBatch.from_pydict({"word": ["oak"]}), str)

    assert endpoint.line("0123456789abcdef-7", body) == (
        b'{"key":"0123456789abcdef-7","request":{"contents":[{"role":"user","parts":'
        b'[{"text":"Word: oak"}]}]}}\n'
    )


@pytest.mark.parametrize(
    ("model", "url"),
    [
        (MODEL, f"/v1beta/models/{MODEL}:generateContent"),
        (f"models/{MODEL}", f"/v1beta/models/{MODEL}:generateContent"),
        ("tunedModels/mine", "/v1beta/tunedModels/mine:generateContent"),
    ],
)
def test_the_url_names_the_model(model, url):
    assert gemini(model=model).url == url == url_of(model)


@pytest.mark.parametrize("model", ["", "a b", "a/../b", "a?b", "a:b", "a#b"])
def test_what_can_be_no_name_of_a_model_is_refused(model):
    with pytest.raises(DeclarationError, match=r"gemini-2\.5-flash"):
        gemini(model=model)


def test_system_and_examples_come_before_the_item():
    prompt = Prompt(
        system="Be {{ how }}.",
        examples=[Example(user="elm", assistant={"label": "plant"})],
        user="{{ word }}",
    )

    assert contents(prompt, word="oak", how="brief") == {
        "contents": [
            a_user({"text": "elm"}),
            {"role": "model", "parts": [{"text": '{"label":"plant"}'}]},
            a_user({"text": "oak"}),
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }


def test_a_field_is_a_part_of_text():
    assert messages(Prompt(field="word"), "gemini", word="oak") == [a_user({"text": "oak"})]


@pytest.mark.parametrize(
    ("part", "value", "wanted"),
    [
        (Image(column="x"), PNG, ("image/png", PNG)),
        (Image(column="x", media_type="image/heic"), b"heic", ("image/heic", b"heic")),
        (File(column="x"), PDF, ("application/pdf", PDF)),
        (File(column="x", media_type="text/csv"), b"a,b", ("text/csv", b"a,b")),
        (Audio(column="x"), WAV, ("audio/wav", WAV)),
        (Audio(column="x"), b"ID3-", ("audio/mp3", b"ID3-")),
    ],
)
def test_bytes_are_inline_data(part, value, wanted):
    media_type, content = wanted
    data = {"mimeType": media_type, "data": base64.b64encode(content).decode()}

    [message] = messages(Prompt(user=["What is it?", part]), "gemini", x=value)

    assert message == a_user({"text": "What is it?"}, {"inlineData": data})


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (Image(url="{{ x }}"), "https://a.example/i.png"),
        (Image(file_id="{{ x }}"), "gs://bucket/i.png"),
        (File(file_id="{{ x }}"), "https://generativelanguage.googleapis.com/v1beta/files/abc"),
    ],
)
def test_an_address_is_file_data(part, value):
    [message] = messages(Prompt(user=[part]), "gemini", x=value)

    assert message == a_user({"fileData": {"fileUri": value}})


def test_a_detail_of_one_image_is_refused_with_the_way_out():
    with pytest.raises(DeclarationError, match="media_resolution"):
        Prompt(user=[Image(column="x", detail="low")]).compiled("gemini")


def test_bytes_that_are_no_image_are_refused_with_their_row():
    assert "row 0: x" in complaint(Prompt(user=[Image(column="x")]), "gemini", x=b"none")


class Answer(BaseModel):
    zeta: int
    alpha: str


def test_the_output_type_stands_under_the_generation_config_in_its_own_order():
    """python-genai#1608: elsewhere it is ignored."""
    body = body_of(gemini(output=OutputType(Answer), temperature=0.5))

    config = body["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert list(config["responseJsonSchema"]["properties"]) == ["zeta", "alpha"]
    assert config["temperature"] == 0.5


def test_json_mode_asks_for_json_alone():
    body = body_of(gemini(output=JsonMode(), prompt=Prompt(user="JSON of {{ word }}")))

    assert body["generationConfig"] == {"responseMimeType": "application/json"}


class Tree(BaseModel):
    name: str
    children: list["Tree"]


def test_a_type_that_contains_itself_is_refused_with_the_way_out():
    with pytest.raises(DeclarationError, match=r"Tree.*contains itself.*ask for a list"):
        gemini(output=OutputType(Tree))


class Leaf(BaseModel):
    name: str


class Twig(BaseModel):
    first: Leaf
    second: Leaf


def test_a_type_that_holds_another_one_twice_does_not_contain_itself():
    schema = body_of(gemini(output=OutputType(Twig)))["generationConfig"]["responseJsonSchema"]

    assert schema["properties"]["second"] == {"$ref": "#/$defs/Leaf"}


def test_settings_are_sent_under_the_names_of_the_api():
    body = body_of(
        gemini(
            max_output_tokens=50,
            top_k=3,
            stop_sequences=["END"],
            thinking_config={"thinking_budget": 0},
            safety_settings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            cached_content="cachedContents/a",
            seed=None,
        )
    )

    assert body["generationConfig"] == {
        "maxOutputTokens": 50,
        "stopSequences": ["END"],
        "thinkingConfig": {"thinkingBudget": 0},
        "topK": 3,
    }
    assert body["safetySettings"][0]["threshold"] == "OFF"
    assert body["cachedContent"] == "cachedContents/a"


def test_what_only_the_server_knows_goes_into_extra_body():
    extra = {"generationConfig": {"newThing": {"a_b": 1}}, "labels": {"team": "x"}}
    body = body_of(gemini(temperature=1, extra_body=extra))

    assert body["generationConfig"] == {"newThing": {"a_b": 1}, "temperature": 1}
    assert body["labels"] == {"team": "x"}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"temprature": 1}, "'temprature' is unknown"),
        ({"temperature": 3}, "'temperature' cannot be 3"),
        ({"top_p": -1}, "'top_p' cannot be -1"),
        ({"seed": 2**31}, "'seed' cannot be"),
        ({"stop_sequences": list("abcdef")}, "'stop_sequences' cannot be"),
        ({"thinking_config": {"budget": 1}}, "'thinking_config' cannot be"),
        ({"safety_settings": [{"category": "RUDE", "threshold": "OFF"}]}, "'safety_settings'"),
        ({"tools": []}, "'tools' cannot be given: an answer is of the output type"),
        ({"candidate_count": 2}, "an item has one answer"),
        ({"response_schema": {}}, "it comes from the output type"),
        ({"system_instruction": "x"}, "the prompt's system message"),
        ({"labels": {}}, "whose a request is"),
        ({"extra_body": {"contents": []}}, "'contents', which stands in each body"),
        ({"extra_body": {"systemInstruction": {}}}, "'systemInstruction', which stands"),
        ({"extra_body": {"generationConfig": 1}}, "generationConfig must be a mapping"),
        (
            {"temperature": 1, "extra_body": {"generationConfig": {"temperature": 0}}},
            "'temperature', which stands in each body already",
        ),
        (
            {"top_k": 1, "extra_body": {"generationConfig": {"topK": 0}}},
            "'topK', which stands in each body already",
        ),
    ],
)
def test_a_setting_that_cannot_be_sent_is_refused_by_name(settings, names):
    with pytest.raises(DeclarationError, match=names):
        gemini(**settings)


def say(word: str) -> Any:
    return word


def test_a_text_that_a_call_returns_is_a_user_message():
    assert messages(Prompt(call=say), "gemini", word="oak") == [a_user({"text": "oak"})]


def converse(word: str) -> Any:
    return [
        a_user({"text": "Hi"}),
        {"role": "model", "parts": [{"text": word}]},
        a_user({"text": "?"}),
    ]


def test_messages_that_a_call_returns_are_gemini_s_own():
    assert messages(Prompt(call=converse), "gemini", word="oak") == converse("oak")


def chat(word: str) -> Any:
    return [{"role": "user", "content": word}]


def hollow(word: str) -> Any:
    return [a_user({"thing": word})]


@pytest.mark.parametrize(
    ("call", "why"), [(chat, "parts"), (hollow, "neither text, inlineData nor fileData")]
)
def test_messages_of_another_form_are_refused_with_their_row(call, why):
    assert why in complaint(Prompt(call=call), "gemini", word="oak")


def whole(word: str) -> Any:
    return {
        "contents": [a_user({"text": word})],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"temperature": 0, "thinkingConfig": {"thinkingBudget": 1}},
    }


def test_a_whole_body_of_a_call_has_its_settings_for_this_item():
    body = body_of(gemini(prompt=Prompt(call=whole), temperature=1, top_k=5))

    assert body == whole("oak") | {
        "generationConfig": {"temperature": 0, "topK": 5, "thinkingConfig": {"thinkingBudget": 1}}
    }


def with_tools(word: str) -> Any:
    return whole(word) | {"tools": []}


def with_format(word: str) -> Any:
    return whole(word) | {"generationConfig": {"responseMimeType": "text/plain"}}


def without_contents(word: str) -> Any:
    return {"messages": [word]}


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (with_tools, "nobody is there to carry out a call"),
        (with_format, "comes from the output type"),
        (without_contents, "a body without a list of contents"),
    ],
)
def test_a_whole_body_that_cannot_be_sent_is_refused_with_its_row(call, why):
    endpoint = gemini(prompt=Prompt(call=call), output=OutputType(Answer))

    with pytest.raises(CorpusError, match=f"row 0.*{why}"):
        body_of(endpoint)


def test_items_that_share_a_request_are_told_apart_again():
    packs = packing_of(
        endpoint_of(
            "generate_content",
            model=MODEL,
            prompt=Prompt(system="Sort.", user="Word: {{ word }}"),
            output=OutputType(Answer),
            settings={},
            rows_per_request=3,
        )
    )
    asks = list(packs.asks(pa.RecordBatch.from_pydict({"word": ["oak", 'a"b\n']}), str))

    line = packs.line("0123456789abcdef-0", list(enumerate(asks)))

    assert packs.asks_in(line, 0) == list(enumerate(asks))


def test_a_person_sees_the_prompt_and_the_most_that_may_be_written():
    prompt = Prompt(system="Be brief.", user=["What?", Image(column="word")])
    body = body_of(gemini(prompt=prompt, max_output_tokens=7), PNG)

    assert prompt_text(body) == "Be brief.\nuser: What?\n[inlineData]"
    assert most_output_tokens(body) == 7
