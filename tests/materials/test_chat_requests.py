"""The body of a chat completion request: exactly what was declared, for any row."""

import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest
from factories import Kind
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.errors import CorpusError
from batch_assets.prompt import OutputType, Prompt
from batch_assets.prompt.endpoints import Endpoint, compile_endpoint
from batch_assets.prompt.output import JsonMode, TextOutput

OUTPUT = OutputType(Kind)


def requests(user: str = "Word: {{ word }}", system: str | None = None, **over: Any) -> Endpoint:
    facts: dict[str, Any] = {"model": "gpt-5-mini", "output": OUTPUT, "settings": {}}
    return compile_endpoint("chat", prompt=Prompt(user=user, system=system), **facts | over)


def bodies(made: Endpoint, **columns: Any) -> list[Any]:
    rows = pa.RecordBatch.from_pydict(columns)
    return [json.loads(body) for body in made.bodies(rows, lambda position: f"row {position}")]


def contents(made: Endpoint, **columns: Any) -> list[tuple[str, ...]]:
    """The text of each message of each row."""
    found = (body["messages"] for body in bodies(made, **columns))
    return [tuple(message["content"] for message in messages) for messages in found]


def complaint(made: Endpoint, **columns: Any) -> str:
    with pytest.raises(CorpusError) as refused:
        bodies(made, **columns)
    return refused.value.message


def test_a_body_holds_what_was_declared_and_nothing_else():
    made = requests(system="Be brief.", settings={"temperature": 0.5, "seed": 7})

    assert bodies(made, word=["oak"]) == [
        {
            "model": "gpt-5-mini",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Word: oak"},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "Kind", "strict": True, "schema": OUTPUT.schema},
            },
            "seed": 7,
            "temperature": 0.5,
        }
    ]


def test_the_fields_of_an_answer_keep_their_order():
    """A model answers in the order of the schema: reasons first, then the verdict."""
    [body] = requests().bodies(pa.RecordBatch.from_pydict({"word": ["oak"]}), str)

    places = [body.index(f'"{name}":'.encode()) for name in ("label", "words", "score")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("system", "user", "expected"),
    [
        (None, "{{ a }}", [("1",), ("2",)]),
        ("s", "{{ a }}", [("s", "1"), ("s", "2")]),
        ("{{ b }}", "{{ a }}", [("x", "1"), ("y", "2")]),
        ("{{ a }}{{ b }}", "{{ b }}", [("1x", "x"), ("2y", "y")]),
        ("{{ b }}", "u", [("x", "u"), ("y", "u")]),
        ("s", "u", [("s", "u"), ("s", "u")]),
        (None, "u", [("u",), ("u",)]),
        ("", "{{ a }}", [("", "1"), ("", "2")]),
        ("{{ 'up' | upper }}\n", "{{ a }}\n", [("UP", "1"), ("UP", "2")]),
    ],
)
def test_each_message_is_constant_or_made_from_the_row(system, user, expected):
    assert contents(requests(user, system), a=["1", "2"], b=["x", "y"]) == expected


@given(st.text(), st.text(), st.text())
def test_any_text_arrives_as_it_is(constant, system, user):
    """Row 44: no text of a prompt or a row can bend the shape of a request."""
    quoted = "{% raw %}" + constant.replace("{", "").replace("}", "") + "{% endraw %}"
    made = requests("<{{ u }}>", quoted + "<{{ s }}>")

    [[first, second]] = contents(made, s=[system], u=[user])

    assert first.endswith(f"<{system}>")
    assert second == f"<{user}>"


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_a_body_is_one_line(texts):
    rows = pa.RecordBatch.from_pydict({"word": texts})

    for body in requests().bodies(rows, str):
        assert not set(body) & set(b"\n\r")


@pytest.mark.parametrize(
    "text", ["\x00system\x00", "\x00user\x00", '"\x00user\x00"', '","x":"', "\\"]
)
def test_no_text_of_the_prompt_is_taken_for_the_place_of_another(text):
    made = requests(f"{text}{{{{ word }}}}", f"{text}", settings={"stop": [text]})

    [body] = bodies(made, word=["oak"])

    assert [message["content"] for message in body["messages"]] == [text, f"{text}oak"]
    assert body["stop"] == [text]


def test_the_fields_are_those_of_both_messages_sorted():
    assert requests("{{ b }}{{ a }}", "{{ c }}{{ a }}").fields == ("a", "b", "c")


def test_columns_that_no_message_reads_do_not_matter():
    assert contents(requests(), other=[[1]], word=["oak"]) == [("Word: oak",)]


def test_no_rows_make_no_requests():
    assert bodies(requests(), word=[]) == []


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["é"], pa.large_string()), "é"),
        (pa.array(["é"]).dictionary_encode(), "é"),
        (pa.array([1], pa.int8()), "1"),
        (pa.array([1.0]), "1.0"),
        (pa.array([True]), "True"),
        (pa.array([dt.date(2026, 1, 2)]), "2026-01-02"),
        (pa.array([dt.datetime(2026, 1, 2)], pa.timestamp("ms")), "2026-01-02 00:00:00"),
        (pa.array([dt.datetime(2026, 1, 2)], pa.timestamp("ns")), "2026-01-02 00:00:00"),
        (
            pa.array([dt.datetime(2026, 1, 2)], pa.timestamp("ns", "Europe/Berlin")),
            "2026-01-02 01:00:00+01:00",
        ),
        (pa.array([["a", 'b"']]), "['a', 'b\"']"),
        (pa.array([{"a": 1}]), "{'a': 1}"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_value_of_any_type_is_printed_as_python_prints_it(column, expected):
    assert contents(requests("{{ x }}"), x=column) == [(expected,)]


def test_a_row_that_cannot_be_rendered_is_named():
    made = requests("{{ word }}", "{{ language }}")

    message = complaint(made, word=["oak", None], language=["en", "en"])

    assert message.startswith("row 1: word is null and the template prints it")


def test_a_value_that_python_has_no_form_for_is_named_with_its_row():
    """A moment after the year 9999, as broken exports have them."""
    column = pa.array([0, 2**62], pa.timestamp("s"))

    message = complaint(requests("{{ moment }}"), moment=column)

    assert message.startswith("row 1: moment cannot be read (")
    assert message.endswith("correct the row, or write the column as text")


def test_a_line_of_a_batch_file_is_the_envelope_and_the_body():
    made = requests()
    [body] = made.bodies(pa.RecordBatch.from_pydict({"word": ["oak"]}), str)

    line = made.line("0123456789abcdef-7", body)

    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "custom_id": "0123456789abcdef-7",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": json.loads(body),
    }


def test_the_constant_bytes_are_those_that_no_row_changes():
    made = requests("{{ word }}", "Be brief.")

    [empty, longer] = made.bodies(pa.RecordBatch.from_pydict({"word": ["", "oak"]}), str)

    assert len(empty) == made.constant_bytes + len('""')
    assert len(longer) == made.constant_bytes + len('"oak"')


def test_the_digest_of_a_shape_is_that_of_everything_no_row_changes():
    shapes = [
        requests(),
        requests(model="gpt-5"),
        requests("word: {{ word }}"),
        requests(system="Be brief."),
        requests(system="{{ word }}"),
        requests(settings={"seed": 1}),
        requests(settings={"seed": 2}),
        requests(output=OutputType(type("Kind2", (Kind,), {}))),
    ]

    digests = [made.shape_digest for made in shapes]

    assert len(set(digests)) == len(digests)
    assert digests == [requests().shape_digest, *digests[1:]]


def test_the_order_of_settings_changes_nothing():
    settings = {"seed": 1, "metadata": {"a": "1", "b": "2"}, "top_p": 0.5}
    turned = {"top_p": 0.5, "metadata": {"b": "2", "a": "1"}, "seed": 1}
    rows = pa.RecordBatch.from_pydict({"word": ["oak"]})

    one, other = requests(settings=settings), requests(settings=turned)

    assert one.shape_digest == other.shape_digest
    assert list(one.bodies(rows, str)) == list(other.bodies(rows, str))


def test_free_text_has_no_format():
    [body] = bodies(requests(output=TextOutput()), word=["oak"])

    assert body.keys() == {"model", "messages"}


def test_json_mode_is_asked_for_as_such():
    [body] = bodies(requests("JSON of {{ word }}", output=JsonMode()), word=["oak"])

    assert body["response_format"] == {"type": "json_object"}


def a_whole_body(word: str) -> dict[str, Any]:
    """What a callable of the user's may return."""
    messages = [{"role": "user", "content": word}]
    return {"messages": messages, "temperature": 0.1} | FIELDS.get(word, {})


FIELDS: dict[str, dict[str, Any]] = {
    "hot": {"temperature": 9},
    "two": {"n": 2},
    "typo": {"temprature": 1},
    "other": {"response_format": {"type": "text"}},
}


def body_requests(**settings: Any) -> Endpoint:
    prompt = Prompt(call=a_whole_body)
    return compile_endpoint("chat", model="m", prompt=prompt, output=OUTPUT, settings=settings)


def test_a_whole_body_gets_the_model_and_the_format_and_keeps_its_own_settings():
    [body] = bodies(body_requests(temperature=0.9, seed=7), word=["oak"])

    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "oak"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "Kind", "strict": True, "schema": OUTPUT.schema},
        },
        "seed": 7,
        "temperature": 0.1,
    }


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("hot", "setting 'temperature' cannot be 9: Expected `float` <= 2.0"),
        ("two", "setting 'n' cannot be given: an item has one answer"),
        ("typo", "setting 'temprature' is unknown to /v1/chat/completions"),
        ("other", "'response_format' comes from the output type"),
    ],
)
def test_a_whole_body_may_set_what_a_user_may_set(word, why):
    message = complaint(body_requests(), word=["oak", word])

    assert message.startswith("row 1: the body that the prompt's call returned cannot be sent: ")
    assert why in message
