"""Classification: an answer is one of the labels, or several of them."""

import pyarrow as pa
import pytest

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import Labels
from batch_assets.prompt.output import InvalidAnswer
from batch_assets.sandbox.documents import DocumentMaker
from batch_assets.sandbox.strict_schema import check_strict_schema


def test_the_provider_is_asked_for_one_of_the_labels():
    assert Labels("spam", "not spam").schema == {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": ["spam", "not spam"]}},
        "required": ["label"],
        "additionalProperties": False,
    }


def test_the_column_is_the_label():
    output = Labels("spam", "ham")

    assert output.arrow_type == pa.string()
    assert output.parse('{"label": "ham"}') == "ham"


def test_several_labels_are_a_list_in_the_order_of_the_answer_each_once():
    output = Labels("red", "blue", "green", several=True)

    assert output.arrow_type == pa.list_(pa.string())
    assert output.parse('{"labels": ["green", "red", "green"]}') == ["green", "red"]
    assert output.parse('{"labels": []}') == []


@pytest.mark.parametrize("several", [False, True])
def test_the_providers_own_check_takes_them_and_answers_with_declared_ones(several):
    output = Labels("animal", "plant", several=several)
    document = DocumentMaker(output.schema).document("a genus of fish")

    assert check_strict_schema(output.schema) is None
    assert document == ({"labels": ["animal"]} if several else {"label": "animal"})


@pytest.mark.parametrize(
    ("several", "answer", "why"),
    [
        (False, '{"label": "eggs"}', "label: not a declared label"),
        (False, '{"label": "Spam"}', "label: not a declared label"),
        (False, '{"label": ["spam"]}', "answer: Expected `str`, got `array`"),
        (False, '{"labels": ["spam"]}', "answer: Object missing required field `label`"),
        (False, "spam", "answer: JSON is malformed"),
        (False, "", "answer: Input data was truncated"),
        (True, '{"labels": ["spam", "eggs"]}', "labels: not a declared label"),
        (True, '{"labels": null}', "answer: Expected `array`, got `null`"),
        (True, "[" * 100_000, "answer: "),
    ],
)
def test_an_answer_of_another_kind_is_invalid(several, answer, why):
    with pytest.raises(InvalidAnswer, match=f"^{why}"):
        Labels("spam", "ham", several=several).parse(answer)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([], "must be texts, and at least one"),
        (["a", ""], "must be texts, and at least one"),
        (["a", 3], "must be texts, and at least one"),
        (["a", "b", "a"], r"labels \['a'\] are given twice"),
        ([f"{n}" for n in range(1_001)], "1001 choices are more than strict mode's 1000"),
        ([f"{n:0100}" for n in range(251)], "25100 characters of 251 choices"),
    ],
)
def test_labels_that_the_provider_cannot_choose_from_are_refused(labels, why):
    with pytest.raises(DeclarationError, match=why):
        Labels(*labels)
