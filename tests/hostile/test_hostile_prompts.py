"""Hostile rows through every way of asking and every kind of answer: data is never a template."""

import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from factories import a_corpus
from hostile_rows import ITEM_IDS, TEXTS, Row, table_of, thousand
from hostile_world import as_json, results_of
from pydantic import BaseModel, field_validator
from stage_world import World

from batch_assets import Prompt
from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import Labels
from batch_assets.prompt.prompt import Example

ROWS = thousand()
WORDS = Labels("animal", "plant", "place", "{{ label }}", 'a "quoted" one', "zwei\nZeilen", "=1+1")


class Said(BaseModel):
    """What was said."""

    text: str


class Kept(BaseModel):
    """What was said, by a type that takes some of it only."""

    text: str

    @field_validator("text")
    @classmethod
    def is_no_formula(cls, text: str) -> str:
        if text.startswith(("=", "+", "-", "@")):
            raise ValueError(f"a formula: {text}")
        return text


def as_text(text: str) -> str:
    return text


def as_messages(text: str, id: str) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": f"This is {id}."},
        {"role": "assistant", "content": text},
        {"role": "user", "content": text},
    ]


def as_body(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0.5}


PROMPTS = {
    "field": Prompt(field="text"),
    "template": Prompt(user="{{ text }}"),
    "system message of data": Prompt(system="{{ id }}{{ text }}", user="{{ text }}"),
    "examples of data": Prompt(
        examples=[Example(user="{{ text }}", assistant="{{ id }}")], user="{{ text }}"
    ),
    "function that gives a text": Prompt(call=as_text),
    "function that gives messages": Prompt(call=as_messages),
    "function that gives a body": Prompt(call=as_body),
}


@pytest.fixture
def hostile(tmp_path):
    """The thousand rows as one partition."""
    return a_corpus(tmp_path / "corpus", table_of(ROWS))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_what_a_row_says_reaches_the_model_as_it_is(prompt, world_of, hostile):
    world = world_of(hostile, prompt=PROMPTS[prompt])

    world.carry()

    results = results_of(world)
    assert results.column("item_id").to_pylist() == [row.id for row in ROWS]
    assert results.column("output").to_pylist() == [row.text for row in ROWS]


def test_a_template_puts_data_in_and_does_not_read_it(world_of, tmp_path):
    rows = [Row(f"{place}", text) for place, text in enumerate(TEXTS)]
    world = world_of(
        a_corpus(tmp_path / "corpus", table_of(rows)),
        user="<item id={{ id|tojson }}>{{ text }}</item>{% if text %} {{ text|length }}{% endif %}",
    )

    world.carry()

    assert world.column("output") == [
        f'<item id="{row.id}">{row.text}</item> {len(row.text)}' for row in rows
    ]


def test_structured_answers_hold_what_the_model_said(world_of, hostile, model):
    model.says = as_json
    world = world_of(hostile, output=Said)

    world.carry()

    results = results_of(world)
    assert results.column("output").to_pylist() == [{"text": row.text} for row in ROWS]
    assert results.column("answer").to_pylist() == [as_json(row.text) for row in ROWS]


def test_an_answer_that_is_refused_leaves_its_neighbours_alone(world_of, hostile, model):
    model.says = as_json
    world = world_of(hostile, output=Kept, max_waves=1)

    world.carry()

    results = results_of(world)
    expected = ["invalid" if row.text[0] in "=+-@" else "ok" for row in ROWS]
    assert results.column("outcome").to_pylist() == expected
    assert Counter(expected).keys() == {"ok", "invalid"}
    assert [row["text"] for row in results.column("output").to_pylist() if row] == [
        row.text for row, outcome in zip(ROWS, expected, strict=True) if outcome == "ok"
    ]


def test_free_text_where_a_structure_was_asked_for_is_invalid_and_kept(world_of, hostile):
    world = world_of(hostile, output=Said, max_waves=1)

    world.carry()

    results = results_of(world)
    assert set(results.column("outcome").to_pylist()) == {"invalid"}
    assert results.column("answer").to_pylist() == [row.text for row in ROWS]
    assert results.column("output").null_count == len(ROWS)
    # Reasons are for a person to read: a line each.
    reasons = results.column("error_message").to_pylist()
    assert not any(set(why) & set("\n\r\x00") for why in reasons)


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several labels"])
def test_hostile_labels_come_back_as_they_were_declared(several, world_of, hostile, model):
    labels = Labels(*WORDS.labels, several=several)
    said = {"label": WORDS.labels[-2]} if not several else {"labels": list(WORDS.labels)}
    model.says = lambda text: json.dumps(said)
    world = world_of(hostile, output=labels)

    world.carry()

    [(_, expected)] = said.items()
    assert results_of(world).column("output").to_pylist() == [expected] * len(ROWS)


def test_labels_that_the_data_name_are_no_labels(world_of, hostile, model):
    model.says = lambda text: json.dumps({"label": text})
    world = world_of(hostile, output=Labels("=1+1", "plant", "null"), max_waves=1)

    world.carry()

    expected = ["ok" if row.text in ("null",) else "invalid" for row in ROWS]
    assert world.column("outcome") == expected
    assert Counter(expected)["ok"] >= 1


def test_an_id_made_by_a_template_is_the_text_of_its_columns(world_of, tmp_path):
    rows = [Row(f"{id_}", TEXTS[place]) for place, id_ in enumerate(ITEM_IDS)]
    corpus = a_corpus(tmp_path / "corpus", table_of(rows))
    object.__setattr__(corpus, "item_id", "{{ id }}/{{ text }}")
    world = world_of(corpus)

    world.carry()

    assert world.column("item_id") == [f"{row.id}/{row.text}" for row in rows]


#: Names that mean something to Jinja, Python or SQL.
WORDS_OF_LANGUAGES = [
    "loop", "range", "namespace", "dict", "lipsum", "cycler", "joiner", "varargs", "kwargs",
    "environment", "context", "render", "l_0_text", "class", "def", "lambda", "async", "select",
    "order", "_", "__class__", "__init__", "_printable", "ünïcode", "名前", "resolve", "t_1",
]  # fmt: skip

#: Names that no template can spell; a field and a function can name them.
UNSPEAKABLE = [
    "a b", "a-b", "a.b", "a/b", "1st", "", " ", "a\nb", 'a"b', "a'b", "{{ a }}", "{% a %}", "a\\b",
    "=1+1", "👩‍👩‍👧", "e\u0301", "\u202ea", "a\x00b", "a,b", "x" * 1_000, "self", "caller", "super",
    "true", "None", "not", "if", "import",
]  # fmt: skip


def first_of(**fields: str) -> str:
    [(_, text)] = fields.items()
    return text


@pytest.fixture(scope="module")
def of_every_name(tmp_path_factory):
    """Two rows with columns of all hostile names; each says its own name, whatever that holds."""
    names = [*WORDS_OF_LANGUAGES, *UNSPEAKABLE]
    columns = {name: [f"{{{{ {name} }}}}", f"second {name}"] for name in names}
    return a_corpus(tmp_path_factory.mktemp("corpus"), pa.table({"id": ["1", "2"], **columns}))


def asked(world: World) -> list[str]:
    """The user messages that preparing wrote."""
    [shard] = world.prepare().shards
    lines = world.files.read(shard.path).split(b"\n")
    return [json.loads(line)["body"]["messages"][-1]["content"] for line in lines if line]


@pytest.mark.parametrize("name", WORDS_OF_LANGUAGES)
def test_a_template_names_a_column_whatever_the_word_means_elsewhere(name, world_of, of_every_name):
    world = world_of(of_every_name, user=f"{{{{ {name} }}}}")

    assert asked(world) == [f"{{{{ {name} }}}}", f"second {name}"]


@pytest.mark.parametrize("way", ["field", "call"])
@pytest.mark.parametrize("name", [*WORDS_OF_LANGUAGES, *UNSPEAKABLE])
def test_fields_and_functions_read_a_column_of_any_name(name, way, world_of, of_every_name):
    prompt = Prompt(field=name) if way == "field" else Prompt(call=first_of, columns=[name])
    world = world_of(of_every_name, prompt=prompt)

    assert asked(world) == [f"{{{{ {name} }}}}", f"second {name}"]


@pytest.mark.parametrize("name", ["self", "super", "caller"])
def test_a_word_that_jinja_keeps_for_itself_is_refused_by_name(name, world_of, tmp_path):
    corpus = a_corpus(tmp_path / "corpus", pa.table({"id": ["1"], name: ["a"]}))

    with pytest.raises(DeclarationError, match=f"{name} is a word of Jinja's: give the column"):
        world_of(corpus, user=f"{{{{ {name} }}}}")
