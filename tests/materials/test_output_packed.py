"""Several items in one request: one strict schema, and each answer taken out on its own."""

import json

import pyarrow as pa
import pytest
from declared_models import MODELS
from declared_schemas import SCHEMAS
from factories import Kind
from hypothesis import given
from hypothesis import strategies as st
from shapes import an_object

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import JsonMode, JsonSchemaOutput, Labels, TextOutput, output_of
from batch_assets.prompt.output import InvalidAnswer
from batch_assets.prompt.packed import PackedOutput
from batch_assets.sandbox.documents import DocumentMaker
from batch_assets.sandbox.strict_schema import check_strict_schema

TEXT = {"type": "string"}
KINDS = PackedOutput(output_of(Kind))
TEXTS = PackedOutput(TextOutput())


def an_answer(id_: str = "a", label: str = "plant") -> dict:
    return {"id": id_, "answer": {"label": label, "words": [], "score": 1}}


def a_pack(*elements: object) -> str:
    return json.dumps({"answers": elements})


def test_free_text_is_a_text_for_each_id():
    element = an_object(id=TEXT, answer=TEXT)

    assert TEXTS.schema == an_object(answers={"type": "array", "items": element})
    assert (TEXTS.kind, TEXTS.name) == ("json_schema", "packed_text")


def test_the_definitions_of_the_answer_move_to_the_top():
    one = output_of(MODELS["nested"]).schema

    packed = PackedOutput(output_of(MODELS["nested"])).schema

    assert packed["$defs"] == one["$defs"]
    element = packed["properties"]["answers"]["items"]
    assert element["properties"]["answer"] == {k: v for k, v in one.items() if k != "$defs"}


def test_an_answer_that_contains_itself_still_contains_an_answer():
    packed = PackedOutput(JsonSchemaOutput(SCHEMAS["root-again"])).schema

    answer = {"$ref": "#/$defs/Answer_"}
    node = an_object(name=TEXT, parts={"type": "array", "items": answer})
    assert packed["$defs"] == {"Answer_": node}
    assert packed["properties"]["answers"]["items"]["properties"]["answer"] == answer


@pytest.mark.parametrize("declared", [*MODELS.values(), *SCHEMAS.values(), Labels("a", "b"), None])
def test_whatever_can_be_declared_can_be_packed(declared):
    """The provider's own check takes the pack, and each answer of it is an answer."""
    output = output_of(declared)
    packed = PackedOutput(output)
    document = DocumentMaker(packed.schema).document("a genus of fish")

    assert check_strict_schema(packed.schema) is None
    [(_, part)] = packed.split(json.dumps(document))
    assert pa.array([output.parse(part)], output.arrow_type)


def test_json_mode_cannot_be_packed():
    with pytest.raises(DeclarationError, match="leave rows_per_request at 1"):
        PackedOutput(JsonMode())


def test_an_answer_that_is_too_deep_for_a_pack_is_refused():
    schema = TEXT
    for _ in range(9):
        schema = an_object(a=schema)
    one = JsonSchemaOutput(schema)

    with pytest.raises(DeclarationError, match="output answer, packed: 12 levels of nesting"):
        PackedOutput(one)


def test_each_id_comes_with_the_text_of_its_answer():
    text = a_pack(an_answer("a", "plant"), an_answer("b", "animal"))

    split = KINDS.split(text)

    assert [id_ for id_, _ in split] == ["a", "b"]
    assert [KINDS.output.parse(part)["label"] for _, part in split] == ["plant", "animal"]


def test_the_whole_list_is_a_value_of_the_column_type():
    text = a_pack(an_answer("a", "plant"))

    stored = pa.array([KINDS.parse(text)], KINDS.arrow_type)[0].as_py()

    assert stored == [{"id": "a", "answer": {"label": "plant", "words": [], "score": 1}}]


def test_ids_may_come_twice_or_be_foreign_for_the_caller_to_judge():
    split = KINDS.split(a_pack(an_answer("a"), an_answer("a", "animal"), an_answer("z")))

    assert [id_ for id_, _ in split] == ["a", "a", "z"]


@pytest.mark.parametrize(
    "broken",
    [None, 3, "b", [], {}, {"id": "b"}, {"answer": "x"}, {"id": None, "answer": 1}, {"id": []}],
)
def test_a_broken_element_spoils_no_other(broken):
    split = KINDS.split(a_pack(an_answer("a"), broken, an_answer("c")))

    assert [id_ for id_, _ in split] == ["a", "c"]


def test_an_answer_of_another_kind_is_its_own_items_alone():
    split = KINDS.split(a_pack(an_answer("a"), {"id": "b", "answer": "stone"}, an_answer("c")))

    assert [id_ for id_, _ in split] == ["a", "b", "c"]
    with pytest.raises(InvalidAnswer, match="Input should be an object"):
        KINDS.output.parse(split[1][1])


def test_a_number_is_read_as_the_id_it_was_meant_to_be():
    assert [i for i, _ in KINDS.split(a_pack(an_answer("1") | {"id": 1}))] == ["1"]


def test_free_text_comes_without_its_quotes():
    text = a_pack({"id": "a", "answer": 'say "é"\n'}, {"id": "b", "answer": ["no text"]})

    assert TEXTS.split(text) == [("a", 'say "é"\n')]


@pytest.mark.parametrize("spaces", [None, 1])
@given(cut=st.integers(0, 400), count=st.integers(1, 4))
def test_of_a_document_that_ends_too_early_the_whole_elements_are_there(spaces, cut, count):
    whole = json.dumps({"answers": [an_answer(f"i{n}") for n in range(count)]}, indent=spaces)
    ends = [whole[: whole.index(f'"i{n}"')].count("}") for n in range(count)]
    text = whole[: min(cut, len(whole) - 1)]

    try:
        ids = [id_ for id_, _ in KINDS.split(text)]
    except InvalidAnswer:
        ids = []

    # An element is whole with its second closing bracket.
    assert ids == [f"i{n}" for n in range(count) if text.count("}") >= ends[n] + 2]


def test_what_comes_before_the_damage_is_there():
    text = '{"answers": [{"id": "a", "answer": "x"}, {"id": "b", "answer": nul}, {"id": "c"}]}'

    assert TEXTS.split(text) == [("a", "x")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain words",
        "[]",
        "{}",
        '{"answers": null}',
        '{"answers": {"id": "a"}}',
        '{"answers": [{"id": "a", "answ',
        '{"other": [{"id": "a", "answer": "x"}',
        "[" * 100_000,
        '{"answers": ' + "[" * 100_000,
    ],
)
def test_a_document_without_a_list_of_answers_is_invalid(text):
    with pytest.raises(InvalidAnswer, match="answers: no list of answers can be read"):
        TEXTS.split(text)


def test_an_empty_list_is_one_without_answers():
    assert TEXTS.split('{"answers": []}') == []


@given(st.text())
def test_no_text_is_refused_otherwise_than_as_an_invalid_answer(text):
    with pytest.raises(InvalidAnswer):
        KINDS.split(text)


@given(st.lists(st.tuples(st.text(), st.text())))
def test_every_text_comes_out_of_the_pack_as_it_went_in(pairs):
    text = json.dumps({"answers": [{"id": id_, "answer": answer} for id_, answer in pairs]})

    assert TEXTS.split(text) == pairs
