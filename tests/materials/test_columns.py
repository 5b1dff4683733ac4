"""Which Arrow type a field has, and that every valid answer is a value of it."""

from typing import Annotated, Any, NotRequired

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    computed_field,
    create_model,
)
from pydantic.json_schema import SkipJsonSchema
from shapes import SHAPES, Part, a_model
from typing_extensions import TypedDict

from batch_assets.prompt import OutputType
from batch_assets.prompt.output import InvalidAnswer


class Named(BaseModel):
    """Every way to give a field another name."""

    a: int = Field(alias="A")
    b: int = Field(validation_alias="B")
    c: int = Field(serialization_alias="C")
    d: int = Field(validation_alias=AliasChoices("D", "dd"))
    e: int


class Shouting(BaseModel):
    model_config = ConfigDict(alias_generator=str.upper)

    inner: Part
    names: list[Named]


class Partly(TypedDict):
    there: int
    absent: NotRequired[int]


class Hidden(BaseModel):
    shown: int
    hidden: SkipJsonSchema[int] = 5

    @computed_field
    @property
    def computed(self) -> int:
        return 7


def as_stored(output: OutputType, answer: str) -> Any:
    """The answer on its way through Arrow."""
    return pa.array([output.parse(answer)], output.arrow_type)[0].as_py()


@pytest.mark.parametrize("name", SHAPES)
def test_a_field_has_its_arrow_type(name):
    shape = SHAPES[name]

    assert OutputType(a_model(x=shape.type)).arrow_type == pa.struct([("x", shape.arrow)])


@pytest.mark.parametrize("name", SHAPES)
def test_a_valid_answer_is_a_value_of_its_type(name):
    shape = SHAPES[name]
    output = OutputType(a_model(x=shape.type))

    assert as_stored(output, f'{{"x": {shape.answer}}}') == {"x": shape.value}


def test_every_shape_can_be_stored_and_read_again(tmp_path):
    output = OutputType(a_model(**{f"x{n}": s.type for n, s in enumerate(SHAPES.values())}))
    answer = ", ".join(f'"x{n}": {s.answer}' for n, s in enumerate(SHAPES.values()))
    values = pa.array([output.parse(f"{{{answer}}}"), None], output.arrow_type)

    pq.write_table(pa.table({"output": values}), tmp_path / "results.parquet")

    stored = pq.read_table(tmp_path / "results.parquet")["output"]
    assert stored.to_pylist() == values.to_pylist()


def test_columns_have_the_names_that_the_provider_sees():
    answer = '{"A": 1, "B": 2, "c": 3, "D": 4, "e": 5}'

    assert as_stored(OutputType(Named), answer) == {"A": 1, "B": 2, "c": 3, "D": 4, "e": 5}


def test_names_hold_at_every_depth():
    answer = (
        '{"INNER": {"size": 1, "made": null}, "NAMES": [{"A": 1, "B": 2, "c": 3, "D": 4, "e": 5}]}'
    )

    assert as_stored(OutputType(Shouting), answer) == {
        "INNER": {"size": 1, "made": None},
        "NAMES": [{"A": 1, "B": 2, "c": 3, "D": 4, "e": 5}],
    }


def test_only_what_the_provider_is_asked_for_is_a_column():
    output = OutputType(Hidden)

    assert output.arrow_type.names == ["shown"]
    assert output.parse('{"shown": 1}') == {"shown": 1}


def test_a_key_that_is_left_out_of_a_dict_is_null():
    assert as_stored(OutputType(a_model(x=Partly)), '{"x": {"there": 1}}') == {
        "x": {"there": 1, "absent": None}
    }


def test_a_default_stands_where_the_answer_leaves_a_field_out():
    model = create_model("Answer", x=(list[str], ["a"]))

    assert as_stored(OutputType(model), "{}") == {"x": ["a"]}


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_stored_exactly(number):
    assert as_stored(OutputType(a_model(x=int)), f'{{"x": {number}}}') == {"x": number}


@given(st.integers(2**63) | st.integers(max_value=-(2**63) - 1))
def test_an_integer_that_no_column_can_hold_is_an_invalid_answer(number):
    """A whole partition is not lost to one answer."""
    with pytest.raises(InvalidAnswer, match=f"x: {number} does not fit a 64-bit integer column"):
        OutputType(a_model(x=int)).parse(f'{{"x": {number}}}')


@pytest.mark.parametrize("answer", ["9" * 5_000, "-" + "9" * 5_000])
def test_an_integer_of_thousands_of_digits_is_an_invalid_answer(answer):
    with pytest.raises(InvalidAnswer, match="number out of range"):
        OutputType(a_model(x=int)).parse(f'{{"x": {answer}}}')


@pytest.mark.parametrize(
    ("type_", "answer"),
    [
        (Annotated[str, AfterValidator(str.split)], '"a b"'),
        (Annotated[int, AfterValidator(str)], "1"),
        (Annotated[float, AfterValidator(str)], "1"),
        (Annotated[bool, AfterValidator(str)], "true"),
        (list[Annotated[int, AfterValidator(str)]], "[1]"),
    ],
)
def test_a_value_that_a_validator_made_another_type_of_is_an_invalid_answer(type_, answer):
    with pytest.raises(InvalidAnswer, match=r"x: a validator made (str|list) of it"):
        OutputType(a_model(x=type_)).parse(f'{{"x": {answer}}}')


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_beyond_the_calendar_is_an_invalid_answer(moment):
    output = OutputType(a_model(x=SHAPES["moment"].type))

    with pytest.raises(InvalidAnswer, match="x: date value out of range"):
        output.parse(f'{{"x": "{moment}"}}')
