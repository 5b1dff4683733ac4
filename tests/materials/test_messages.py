"""The messages of a request: what a prompt says about a row, in the form each endpoint takes."""

import datetime as dt
import decimal
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import ResponseInputParam
from prompts import complaint, messages
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.prompt import Example, File, Image, Prompt

STRICT = ConfigDict(extra="forbid")
CHAT = TypeAdapter(list[ChatCompletionMessageParam], config=STRICT)
RESPONSES = TypeAdapter(ResponseInputParam, config=STRICT)

#: Rows that break what is careless, and must not break a neighbour.
HOSTILE = [
    "",
    "\x00",
    '"quoted" and \\ back',
    "line\nline\r\nline\u2028line",
    "{{ word }}",
    "{% for x in y %}{# #}",
    "=cmd()|' /C calc'!A1",
    "\u202eright to left",
    "👩‍👩‍👧‍👦 e\u0301",
    "\ufeff\uffff",
    "</s><|im_end|>",
]


class Verdict(BaseModel):
    """An example's answer."""

    label: str = Field(alias="kind")
    score: int | None = None


def test_a_template_is_the_user_message():
    assert messages(Prompt(user="Word: {{ word }}"), word="oak") == [
        {"role": "user", "content": "Word: oak"}
    ]


def test_a_field_is_the_user_message_as_it_is():
    assert messages(Prompt(field="my word"), **{"my word": "{{ oak }}"}) == [
        {"role": "user", "content": "{{ oak }}"}
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (0.5, "0.5"),
        (True, "True"),
        (decimal.Decimal("1.10"), "1.10"),
        (dt.date(2026, 11, 22), "2026-11-22"),
    ],
)
def test_a_field_that_is_no_text_is_printed_as_a_template_prints_it(value, text):
    assert messages(Prompt(field="n"), n=value) == messages(Prompt(user="{{ n }}"), n=value)
    assert messages(Prompt(field="n"), n=value)[0]["content"] == text


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "is null and is the whole prompt; fill it in"),
        (b"oak", "is binary and not text: decode it"),
        (["oak"], "is no single text: write a template"),
        ({"a": "oak"}, "is no single text: write a template"),
    ],
)
def test_a_field_that_cannot_be_a_message_is_named_with_its_row(value, why):
    assert f"row 0: word {why}" in complaint(Prompt(field="word"), word=value)


def test_messages_come_in_the_order_system_examples_item():
    prompt = Prompt(
        system="Sort {{ things }}.",
        examples=[
            Example(user="oak", assistant="plant"),
            Example(user="{{ other }}", assistant="It is {{ other }}."),
        ],
        user="{{ word }}",
    )

    assert messages(prompt, things="words", other="elk", word="ash") == [
        {"role": "system", "content": "Sort words."},
        {"role": "user", "content": "oak"},
        {"role": "assistant", "content": "plant"},
        {"role": "user", "content": "elk"},
        {"role": "assistant", "content": "It is elk."},
        {"role": "user", "content": "ash"},
    ]
    assert prompt.fields() == ("other", "things", "word")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"kind": "plant", "score": None}, '{"kind":"plant","score":null}'),
        (Verdict(kind="plant"), '{"kind":"plant","score":null}'),
        ([1, "{{ word }}"], '[1,"{{ word }}"]'),
        ({"day": dt.date(2026, 1, 2)}, '{"day":"2026-01-02"}'),
    ],
)
def test_an_examples_answer_that_is_no_text_is_shown_as_its_json(answer, text):
    """A model's fields have the names that its schema tells the provider."""
    prompt = Prompt(examples=[Example(user="oak", assistant=answer)], user="{{ word }}")

    assert messages(prompt, word="ash")[1] == {"role": "assistant", "content": text}


def test_an_answer_that_has_no_json_is_refused():
    prompt = Prompt(examples=[Example(user="oak", assistant={"a": object()})], user="{{ word }}")

    with pytest.raises(DeclarationError, match="the answer of example 0 cannot be written as JSON"):
        prompt.compiled("chat")


def test_what_is_the_same_for_all_rows_is_no_piece_that_varies():
    prompt = Prompt(system="Sort it.", examples=[Example(user="a", assistant="b")], user="{{ x }}")
    said = b'[{"role":"system","content":"Sort it."},{"role":"user","content":"a"},'
    said += b'{"role":"assistant","content":"b"},{"role":"user","content":}]'

    assert prompt.compiled("chat").constant_bytes == len(said)


def test_a_prompt_without_fields_is_the_same_for_every_row():
    rows = pa.RecordBatch.from_pydict({"word": ["oak", "ash"]}).select([])
    compiled = Prompt(user="Hello {{ 1 + 1 }}").compiled("chat")

    assert compiled.fields == ()
    assert list(compiled.encoded(rows, str)) == [b'[{"role":"user","content":"Hello 2"}]'] * 2


@pytest.mark.parametrize(
    "other",
    [
        Prompt(user="Word: {{ word }}!"),
        Prompt(user="Word: {{ word }}", system="Sort it."),
        Prompt(user="Word: {{ word }}", examples=[Example(user="a", assistant="b")]),
        Prompt(user="{{ word }}"),
        Prompt(user="{{ gloss }}"),
        Prompt(field="word"),
        Prompt(field="gloss"),
        Prompt(user=["Word: {{ word }}"]),
        Prompt(user=["{{ word }}", Image(column="a")]),
        Prompt(user=["{{ word }}", Image(column="a", detail="low")]),
        Prompt(user=["{{ word }}", Image(column="a", optional=True)]),
        Prompt(user=["{{ word }}", Image(column="b", optional=True)]),
        Prompt(user=["{{ word }}", Image(url="{{ a }}")]),
        Prompt(user=["{{ word }}", File(file_id="{{ a }}")]),
        Prompt(user=["{{ word }}", File(column="a", filename="a.pdf")]),
        Prompt(user=["{{ word }}", File(column="a", filename="b.pdf")]),
    ],
)
def test_the_shape_tells_prompts_apart(other):
    shapes = [Prompt(user="Word: {{ word }}").compiled("chat").shape, other.compiled("chat").shape]

    assert shapes[0] != shapes[1]
    assert shapes[1] == other.compiled("chat").shape != other.compiled("responses").shape


def test_the_shape_does_not_know_where_the_files_are(tmp_path):
    """A folder that moved gives the same requests."""
    shapes = [
        Prompt(user=[Image(path="{{ name }}", root=str(tmp_path / home))]).compiled("chat").shape
        for home in ("here", "there")
    ]

    assert shapes[0] == shapes[1]


EVERYTHING = [
    Prompt(user="{{ word }}"),
    Prompt(field="word", system="Sort it."),
    Prompt(user="{{ word }}", examples=[Example(user="a", assistant="b")]),
    Prompt(user=["{{ word }}", Image(url="https://x.org/{{ word }}.png", detail="low")]),
    Prompt(user=["{{ word }}", Image(column="png"), File(column="pdf"), Image(column="png")]),
    Prompt(user=[Image(column="png", optional=True), "{{ word }}"]),
    Prompt(user=["{{ word }}", File(file_id="file-{{ word }}")]),
    Prompt(
        user="{{ word }}",
        examples=[Example(user=["a", Image(url="https://x.org/a.png")], assistant={"b": 1})],
    ),
]


def whole(validated: Any) -> Any:
    """Pydantic validates what a type calls iterable only when somebody goes through it."""
    if isinstance(validated, dict):
        return {name: whole(value) for name, value in validated.items()}
    return validated if isinstance(validated, str) else [whole(each) for each in validated]


@pytest.mark.parametrize("prompt", EVERYTHING)
@pytest.mark.parametrize(("dialect", "type_"), [("chat", CHAT), ("responses", RESPONSES)])
def test_messages_are_what_the_sdks_types_say(prompt, dialect, type_):
    row = {"word": "oak", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-1.7"}

    said = messages(prompt, dialect, **row)

    assert whole(type_.validate_python(said)) == said


def test_a_type_of_the_sdk_refuses_what_it_does_not_know():
    """The test above can fail."""
    wrong = [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]
    with pytest.raises(ValueError, match="validation error"):
        whole(CHAT.validate_python(wrong))
    with pytest.raises(ValueError, match="validation error"):
        whole(CHAT.validate_python([{"role": "user", "content": "a", "extra": "b"}]))
    with pytest.raises(ValueError, match="validation error"):
        RESPONSES.validate_python([{"role": "user", "content": [{"type": "text", "text": "a"}]}])


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (Prompt(user="Word: {{ word }}"), "Word: oak"),
        (Prompt(field="word"), "oak"),
        (Prompt(field="words"), ["oak", "ash"]),
        (Prompt(user="always"), "always"),
    ],
)
def test_an_endpoint_without_messages_takes_one_text_or_a_list_of_texts(prompt, expected):
    assert messages(prompt, "text", word="oak", words=["oak", "ash"]) == expected


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "is an empty list: leave the row out"),
        (["oak", None], "holds something else than text"),
        (None, "is null"),
    ],
)
def test_a_list_of_inputs_without_text_is_refused_with_its_row(words, why):
    rows = pa.RecordBatch.from_pydict({"words": pa.array([["a"], words], pa.list_(pa.string()))})
    texts = Prompt(field="words").compiled("text").encoded(rows, lambda at: f"p.parquet, row {at}")

    assert json.loads(next(texts)) == ["a"]
    with pytest.raises(CorpusError, match=f"p.parquet, row 1: words {why}"):
        next(texts)


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        (Prompt(user="{{ a }}", system="b"), "the prompt has a system message"),
        (Prompt(user="{{ a }}", examples=[Example(user="a", assistant="b")]), "has examples"),
        (Prompt(user=["{{ a }}"]), "has parts"),
    ],
)
def test_an_endpoint_without_messages_refuses_what_is_more_than_a_text(prompt, why):
    with pytest.raises(DeclarationError, match=why):
        prompt.compiled("text")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "neither field, user nor call"),
        ({"field": "a", "user": "b"}, "has field and user"),
        ({"user": "a", "call": "json:dumps"}, "has user and call"),
        ({"user": "a", "columns": ["a"]}, "has columns, which are for a call"),
        ({"call": "json:dumps", "columns": "obj"}, r"write \['obj'\]"),
        ({"user": []}, "a user message without parts"),
        ({"user": ["a", {"type": "text"}]}, "a part of type dict"),
        ({"user": "a", "examples": [("a", "b")]}, r"type tuple: write Example\("),
        ({"user": "a", "examples": [Example(user=[1], assistant="b")]}, "a part of type int"),
    ],
)
def test_a_prompt_is_given_in_exactly_one_way(given: dict[str, Any], why):
    with pytest.raises(DeclarationError, match=why):
        Prompt(**given)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"user": "{{"}, "the user template"),
        ({"user": "a", "system": "{{"}, "the system template"),
        ({"user": ["a", "{{"]}, "the user template"),
        ({"user": ["a", Image(url="{{")]}, "the image's url template"),
        ({"user": "a", "examples": [Example(user="{{", assistant="b")]}, "the user of example 0"),
        ({"user": "a", "examples": [Example(user="a", assistant="{{")]}, "assistant of example 0"),
    ],
)
def test_the_template_that_cannot_be_compiled_is_named(given: dict[str, Any], where):
    for compiling in (Prompt(**given).fields, lambda: Prompt(**given).compiled("chat")):
        with pytest.raises(DeclarationError, match=f"{where} .*cannot be compiled"):
            compiling()


def test_half_a_character_that_a_template_makes_is_named_with_its_row():
    """Text of the corpus has whole characters only; a template can still break one."""
    prompt = Prompt(user="{% if n == 1 %}{{ '\\ud83d' }}{% endif %}{{ n }}")

    rows = pa.RecordBatch.from_pydict({"n": [0, 1]})
    texts = prompt.compiled("chat").encoded(rows, lambda at: f"row {at}")

    next(texts)
    with pytest.raises(CorpusError, match="row 1: the text of the user template has half a"):
        next(texts)


@pytest.mark.parametrize("dialect", ["chat", "responses", "text"])
@pytest.mark.parametrize("prompt", [Prompt(user="<{{ word }}>"), Prompt(field="word")])
@given(words=st.lists(st.text(), min_size=1, max_size=30))
@example(words=HOSTILE)
@settings(max_examples=40)
def test_a_hostile_row_is_text_and_breaks_no_neighbour(prompt, dialect, words):
    around = ("<", ">") if prompt.field is None else ("", "")
    rows = pa.RecordBatch.from_pydict({"word": pa.array(words, pa.string())})

    said = [json.loads(each) for each in prompt.compiled(dialect).encoded(rows, str)]

    texts = [each if dialect == "text" else each[0]["content"] for each in said]
    assert texts == [f"{around[0]}{word}{around[1]}" for word in words]


def test_five_megabytes_of_text_are_a_message():
    word = "ü" * 2_500_000

    assert messages(Prompt(user="Word: {{ word }}"), word=word)[0]["content"] == f"Word: {word}"


def test_rows_are_not_rendered_before_they_are_asked_for():
    rows = pa.RecordBatch.from_pydict({"word": ["oak", None]})

    assert json.loads(next(Prompt(user="{{ word }}").compiled("chat").encoded(rows, str)))
