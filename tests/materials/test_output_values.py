"""Answers keep their values on the way through Parquet, whichever way their type is declared."""

import datetime as dt
import enum
import uuid
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from batch_assets.prompt import JsonSchemaOutput, Output, OutputType


class Tone(enum.StrEnum):
    WARM = "warm"
    COLD = "cold"


class Inner(BaseModel):
    text: str
    number: float | None
    days: list[dt.date]


class Everything(BaseModel):
    text: str
    integer: int
    number: float
    sure: bool
    maybe: int | None
    tone: Tone
    level: Literal[1, 2]
    moment: dt.datetime
    day: dt.date
    key: uuid.UUID
    inner: Inner
    inners: list[Inner | None]
    table: list[list[int]]


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]))


def inners() -> st.SearchStrategy[Inner]:
    numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
    return st.builds(Inner, text=texts(), number=numbers, days=st.lists(st.dates(), max_size=3))


def answers() -> st.SearchStrategy[Everything]:
    int64 = st.integers(-(2**63), 2**63 - 1)
    return st.builds(
        Everything,
        text=texts(),
        integer=int64,
        number=st.floats(allow_nan=False, allow_infinity=False),
        maybe=st.none() | int64,
        moment=st.datetimes(timezones=st.just(dt.UTC)),
        inner=inners(),
        inners=st.lists(st.none() | inners(), max_size=3),
        table=st.lists(st.lists(int64, max_size=3), max_size=3),
    )


def through_parquet(output: Output, answers: list[Everything]) -> list[Any]:
    values = [output.parse(answer.model_dump_json()) for answer in answers]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"output": pa.array(values, output.arrow_type)}), sink)
    found: list[Any] = pq.read_table(pa.BufferReader(sink.getvalue()))["output"].to_pylist()
    return found


def as_stored(answer: Everything) -> dict[str, Any]:
    return answer.model_dump() | {"tone": answer.tone.value, "key": str(answer.key)}


TYPED = OutputType(Everything)
PLAIN = JsonSchemaOutput(Everything.model_json_schema())


def test_a_model_and_its_json_schema_have_the_same_columns_and_strict_form():
    assert PLAIN.arrow_type == TYPED.arrow_type
    assert PLAIN.schema == TYPED.schema


@given(st.lists(answers(), max_size=4))
def test_a_models_answers_come_back_as_they_were(many):
    assert through_parquet(TYPED, many) == [as_stored(answer) for answer in many]


@given(st.lists(answers(), max_size=4))
def test_the_answers_to_a_json_schema_come_back_as_they_were(many):
    assert through_parquet(PLAIN, many) == [as_stored(answer) for answer in many]
