"""Fields of answers: what each is to the provider, to Arrow, and from an answer to a value."""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, Field, RootModel, create_model
from typing_extensions import TypedDict

TEXT, INTEGER, NUMBER, NULL = ({"type": t} for t in ("string", "integer", "number", "null"))


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    NONE = 0
    SOME = 1


class Share(enum.Enum):
    HALF = 0.5


class Mixed(enum.Enum):
    WORD = "a"
    NUMBER = 1


class Part(BaseModel):
    size: int
    made: dt.datetime | None


class Leaf(BaseModel):
    name: str
    below: list["Leaf"]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: str


class Keyed(TypedDict):
    a: int


@dataclasses.dataclass(slots=True)
class Kept:
    color: Color


Names = RootModel[list[str]]
Count = RootModel[int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """One field of an answer."""

    type: Any
    #: The strict schema of the field, without its title.
    schema: dict[str, Any]
    arrow: pa.DataType
    #: What a model answers, as JSON, and the value that becomes of it.
    answer: str
    value: Any
    definitions: dict[str, Any] = dataclasses.field(default_factory=dict)


def an_object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def a_reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


PART = {"Part": an_object(size=INTEGER, made={"anyOf": [{**TEXT, "format": "date-time"}, NULL]})}
PART_TYPE = pa.struct([("size", pa.int64()), ("made", pa.timestamp("us", "UTC"))])
CAT_AND_DOG = {
    "Cat": an_object(kind={**TEXT, "const": "cat"}, lives=INTEGER),
    "Dog": an_object(kind={**TEXT, "const": "dog"}, bark=TEXT),
}
ID = "12345678-1234-5678-1234-567812345678"
NEW_YEAR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

SHAPES = {
    "text": Shape(type=str, schema=TEXT, arrow=pa.string(), answer='"é"', value="é"),
    "integer": Shape(type=int, schema=INTEGER, arrow=pa.int64(), answer="7", value=7),
    "number": Shape(type=float, schema=NUMBER, arrow=pa.float64(), answer="7", value=7.0),
    "boolean": Shape(
        type=bool, schema={"type": "boolean"}, arrow=pa.bool_(), answer="true", value=True
    ),
    "optional": Shape(
        type=int | None,
        schema={"anyOf": [INTEGER, NULL]},
        arrow=pa.int64(),
        answer="null",
        value=None,
    ),
    "described": Shape(
        type=Annotated[str, Field(description="Words.", examples=["a"], deprecated=True)],
        schema={**TEXT, "description": "Words."},
        arrow=pa.string(),
        answer='"a"',
        value="a",
    ),
    "constrained integer": Shape(
        type=Annotated[int, Field(ge=1, lt=9, multiple_of=2)],
        schema={**INTEGER, "minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2},
        arrow=pa.int64(),
        answer="4",
        value=4,
    ),
    "constrained number": Shape(
        type=Annotated[float, Field(gt=0, le=1)],
        schema={**NUMBER, "exclusiveMinimum": 0, "maximum": 1},
        arrow=pa.float64(),
        answer="0.5",
        value=0.5,
    ),
    "pattern": Shape(
        type=Annotated[str, Field(pattern="^[a-z]+$")],
        schema={**TEXT, "pattern": "^[a-z]+$"},
        arrow=pa.string(),
        answer='"abc"',
        value="abc",
    ),
    "choice": Shape(
        type=Literal["a", "b"],
        schema={**TEXT, "enum": ["a", "b"]},
        arrow=pa.string(),
        answer='"b"',
        value="b",
    ),
    "choice of integers": Shape(
        type=Literal[1, 2],
        schema={**INTEGER, "enum": [1, 2]},
        arrow=pa.int64(),
        answer="2",
        value=2,
    ),
    "choice or null": Shape(
        type=Literal["a", None],
        schema={"type": ["null", "string"], "enum": ["a", None]},
        arrow=pa.string(),
        answer="null",
        value=None,
    ),
    "one choice": Shape(
        type=Literal[True],
        schema={"type": "boolean", "const": True},
        arrow=pa.bool_(),
        answer="true",
        value=True,
    ),
    "enum": Shape(
        type=Color,
        schema=a_reference("Color"),
        definitions={"Color": {**TEXT, "enum": ["red", "blue"]}},
        arrow=pa.string(),
        answer='"blue"',
        value="blue",
    ),
    "enum of integers": Shape(
        type=Level,
        schema=a_reference("Level"),
        definitions={"Level": {**INTEGER, "enum": [0, 1]}},
        arrow=pa.int64(),
        answer="0",
        value=0,
    ),
    "enum of numbers": Shape(
        type=Share,
        schema=a_reference("Share"),
        definitions={"Share": {**NUMBER, "enum": [0.5]}},
        arrow=pa.float64(),
        answer="0.5",
        value=0.5,
    ),
    "enum of several types": Shape(
        type=Mixed,
        schema=a_reference("Mixed"),
        definitions={"Mixed": {"type": ["integer", "string"], "enum": ["a", 1]}},
        arrow=pa.string(),
        answer="1",
        value="1",
    ),
    "moment": Shape(
        type=dt.datetime,
        schema={**TEXT, "format": "date-time"},
        arrow=pa.timestamp("us", "UTC"),
        answer='"2026-01-01T02:00:00+02:00"',
        value=NEW_YEAR,
    ),
    "moment without a zone": Shape(
        type=dt.datetime,
        schema={**TEXT, "format": "date-time"},
        arrow=pa.timestamp("us", "UTC"),
        answer='"2026-01-01T00:00:00"',
        value=NEW_YEAR,
    ),
    "day": Shape(
        type=dt.date,
        schema={**TEXT, "format": "date"},
        arrow=pa.date32(),
        answer='"2026-01-01"',
        value=dt.date(2026, 1, 1),
    ),
    "time of day": Shape(
        type=dt.time,
        schema={**TEXT, "format": "time"},
        arrow=pa.string(),
        answer='"01:02:03"',
        value="01:02:03",
    ),
    "duration": Shape(
        type=dt.timedelta,
        schema={**TEXT, "format": "duration"},
        arrow=pa.string(),
        answer='"PT1H30M"',
        value="PT1H30M",
    ),
    "uuid": Shape(
        type=uuid.UUID,
        schema={**TEXT, "format": "uuid"},
        arrow=pa.string(),
        answer=f'"{ID}"',
        value=ID,
    ),
    "decimal": Shape(
        type=decimal.Decimal,
        schema={"anyOf": [NUMBER, TEXT]},
        arrow=pa.string(),
        answer="12.34",
        value="12.34",
    ),
    "list": Shape(
        type=list[int],
        schema={"type": "array", "items": INTEGER},
        arrow=pa.list_(pa.int64()),
        answer="[1, 2]",
        value=[1, 2],
    ),
    "list of a size": Shape(
        type=Annotated[list[str | None], Field(min_length=1, max_length=3)],
        schema={
            "type": "array",
            "items": {"anyOf": [TEXT, NULL]},
            "minItems": 1,
            "maxItems": 3,
        },
        arrow=pa.list_(pa.string()),
        answer='["a", null]',
        value=["a", None],
    ),
    "tuple of any length": Shape(
        type=tuple[Color, ...],
        schema={"type": "array", "items": a_reference("Color")},
        definitions={"Color": {**TEXT, "enum": ["red", "blue"]}},
        arrow=pa.list_(pa.string()),
        answer='["red"]',
        value=["red"],
    ),
    "model": Shape(
        type=Part,
        schema=a_reference("Part"),
        definitions=PART,
        arrow=PART_TYPE,
        answer='{"size": 1, "made": "2026-01-01T00:00:00Z"}',
        value={"size": 1, "made": NEW_YEAR},
    ),
    "described model": Shape(
        type=Annotated[Part, Field(description="It may not stand beside a reference.")],
        schema={**PART["Part"], "description": "It may not stand beside a reference."},
        arrow=PART_TYPE,
        answer='{"size": 1, "made": null}',
        value={"size": 1, "made": None},
    ),
    "optional model": Shape(
        type=Part | None,
        schema={"anyOf": [a_reference("Part"), NULL]},
        definitions=PART,
        arrow=PART_TYPE,
        answer="null",
        value=None,
    ),
    "list of models": Shape(
        type=list[Part],
        schema={"type": "array", "items": a_reference("Part")},
        definitions=PART,
        arrow=pa.list_(PART_TYPE),
        answer='[{"size": 1, "made": null}]',
        value=[{"size": 1, "made": None}],
    ),
    "model that contains itself": Shape(
        type=Leaf,
        schema=a_reference("Leaf"),
        definitions={
            "Leaf": an_object(name=TEXT, below={"type": "array", "items": a_reference("Leaf")})
        },
        arrow=pa.struct([("name", pa.string()), ("below", pa.list_(pa.string()))]),
        answer='{"name": "a", "below": [{"name": "é", "below": []}]}',
        value={"name": "a", "below": ['{"name":"é","below":[]}']},
    ),
    "union": Shape(
        type=int | str | None,
        schema={"anyOf": [INTEGER, TEXT, NULL]},
        arrow=pa.string(),
        answer='"7"',
        value='"7"',
    ),
    "union without a value": Shape(
        type=int | str | None,
        schema={"anyOf": [INTEGER, TEXT, NULL]},
        arrow=pa.string(),
        answer="null",
        value=None,
    ),
    "union of models": Shape(
        type=Cat | Dog,
        schema={"anyOf": [a_reference("Cat"), a_reference("Dog")]},
        definitions=CAT_AND_DOG,
        arrow=pa.string(),
        answer='{"kind": "cat", "lives": 9}',
        value='{"kind":"cat","lives":9}',
    ),
    "union told apart by a field": Shape(
        type=Annotated[Cat | Dog, Field(discriminator="kind")],
        schema={"anyOf": [a_reference("Cat"), a_reference("Dog")]},
        definitions=CAT_AND_DOG,
        arrow=pa.string(),
        answer='{"kind": "dog", "bark": "wau"}',
        value='{"kind":"dog","bark":"wau"}',
    ),
    "typed dict": Shape(
        type=Keyed,
        schema=a_reference("Keyed"),
        definitions={"Keyed": an_object(a=INTEGER)},
        arrow=pa.struct([("a", pa.int64())]),
        answer='{"a": 1}',
        value={"a": 1},
    ),
    "dataclass": Shape(
        type=Kept,
        schema=a_reference("Kept"),
        definitions={
            "Color": {**TEXT, "enum": ["red", "blue"]},
            "Kept": an_object(color=a_reference("Color")),
        },
        arrow=pa.struct([("color", pa.string())]),
        answer='{"color": "red"}',
        value={"color": "red"},
    ),
    "root model of a list": Shape(
        type=Names,
        schema=a_reference("RootModel_list_str__"),
        definitions={"RootModel_list_str__": {"type": "array", "items": TEXT}},
        arrow=pa.list_(pa.string()),
        answer='["a"]',
        value=["a"],
    ),
    "optional root model": Shape(
        type=Count | None,
        schema={"anyOf": [a_reference("RootModel_int_"), NULL]},
        definitions={"RootModel_int_": INTEGER},
        arrow=pa.int64(),
        answer="5",
        value=5,
    ),
}


def a_model(name: str = "Answer", **fields: Any) -> type[BaseModel]:
    """A model of required fields."""
    required: dict[str, Any] = {key: (type_, ...) for key, type_ in fields.items()}
    model: type[BaseModel] = create_model(name, **required)
    return model
