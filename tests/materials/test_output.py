"""The output type: how it is declared, and how one answer is judged by it."""

import json
from typing import Annotated

import pytest
from factories import Kind
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, create_model, model_validator
from shapes import a_model
from typing_extensions import TypedDict

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import OutputType, output_of
from batch_assets.prompt.output import InvalidAnswer


class Consistent(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def _in_order(self) -> "Consistent":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def complaint(output: OutputType, answer: str) -> str:
    with pytest.raises(InvalidAnswer) as refused:
        output.parse(answer)
    return str(refused.value)


def test_a_model_is_found_by_its_import_path():
    assert output_of("factories:Kind").model is Kind


@pytest.mark.parametrize("path", ["", "factories", "factories:", ":Kind", ".factories:Kind"])
def test_what_is_no_import_path_is_refused_with_the_form_of_one(path):
    with pytest.raises(DeclarationError, match=r"write it as package\.module:Name"):
        output_of(path)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nowhere.at_all:Kind", "No module named 'nowhere'"),
        ("factories:Nothing", "has no attribute 'Nothing'"),
        ("factories:Kind.Inner", "has no attribute"),
    ],
)
def test_a_model_that_cannot_be_imported_is_refused_with_the_reason(path, why):
    with pytest.raises(DeclarationError, match=f"cannot be imported .*{why}"):
        output_of(path)


@pytest.mark.parametrize("path", ["factories:a_corpus", "factories:NOON", "json:JSONDecoder"])
def test_what_is_no_pydantic_model_is_refused(path):
    with pytest.raises(DeclarationError, match=f"{path!r} is not a Pydantic model"):
        output_of(path)


@pytest.mark.parametrize(
    ("model", "name"),
    [("Kind", "Kind"), ("Box[int]", "Box_int_"), ("Größe", "Gr__e"), ("x" * 80, "x" * 64)],
)
def test_the_provider_sees_a_name_that_it_takes(model, name):
    assert OutputType(create_model(model, a=(int, ...))).name == name


class Renamed(TypedDict):
    here: Annotated[int, Field(alias="there")]


def test_only_a_model_may_give_a_field_another_name():
    with pytest.raises(DeclarationError, match="output Renamed, field there: only a Pydantic"):
        OutputType(Renamed)


def test_a_valid_answer_is_read():
    answer = '{"label": "plant", "words": ["oak"], "score": 3}'

    assert OutputType(Kind).parse(answer) == {"label": "plant", "words": ["oak"], "score": 3}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "answer: Invalid JSON"),
        ("plant", "answer: Invalid JSON"),
        ('{"label": "plant"', "answer: Invalid JSON"),
        ('```json\n{"label": "plant"}\n```', "answer: Invalid JSON"),
        ('{"label": "plant"} and more', "answer: Invalid JSON"),
        ('{"label": "\\ud800"}', "answer: Invalid JSON"),
        ("[" * 10_000, "answer: Invalid JSON"),
        ("null", "answer: Input should be an object"),
        ("[]", "answer: Input should be an object"),
        ("{}", "label: Field required; words: Field required; score: Field required"),
        ('{"label": "stone", "words": [], "score": 1}', "label: Input should be 'animal', 'plant'"),
        ('{"label": "plant", "words": [1], "score": 1}', "words.0: Input should be a valid string"),
        ('{"label": "plant", "words": [], "score": "x"}', "score: Input should be a valid integer"),
        (
            '{"label": "plant", "words": [], "score": null}',
            "score: Input should be a valid integer",
        ),
    ],
)
def test_an_answer_of_another_kind_is_invalid_and_says_where(answer, why):
    assert complaint(OutputType(Kind), answer).startswith(why)


def test_the_first_problems_of_many_are_named():
    model = a_model(**{f"f{n}": int for n in range(20)})

    assert complaint(OutputType(model), "{}").count("Field required") == 3


def test_what_the_model_wrote_is_not_repeated_in_the_complaint():
    """It may be the corpus's text, and error columns are shown in more places than answers."""
    secret = "the patient's name"

    assert secret not in complaint(OutputType(Kind), f'{{"label": "{secret}", "words": []}}')


def test_the_models_own_rules_decide_too():
    assert complaint(OutputType(Consistent), '{"low": 2, "high": 1}') == (
        "answer: Value error, low is above high"
    )


@pytest.mark.parametrize(
    "rule",
    [
        lambda value: value.split(":")[1],
        lambda value: {}[value],
        lambda value: value.nothing,
        lambda value: value + 1,
        lambda value: 1 / 0,
    ],
    ids=["IndexError", "KeyError", "AttributeError", "TypeError", "ZeroDivisionError"],
)
def test_a_validator_that_stumbles_over_one_answer_spoils_no_other(rule):
    """Row 46: one bad line does not end the run."""
    output = OutputType(a_model(x=Annotated[str, AfterValidator(rule)]))

    assert complaint(output, '{"x": "a"}').startswith("a validator of Answer raised ")


def test_a_validator_may_change_the_value():
    output = OutputType(a_model(x=Annotated[str, AfterValidator(str.strip)]))

    assert output.parse('{"x": " a "}') == {"x": "a"}


def test_the_last_of_two_equal_keys_counts():
    assert OutputType(a_model(x=str)).parse('{"x": "a", "x": "b"}') == {"x": "b"}


def test_parsing_leaves_nothing_of_one_answer_in_the_next():
    output = OutputType(a_model(x=list[int]))
    first = output.parse('{"x": [1]}')

    first["x"].append(2)

    assert output.parse('{"x": [1]}') == {"x": [1]}


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_no_text_is_refused_otherwise_than_as_an_invalid_answer(text: str):
    assert complaint(OutputType(Kind), text)
