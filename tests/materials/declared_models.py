"""Models as people declare them; each has its golden file."""

import dataclasses
import datetime as dt
import enum
import uuid
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar

from pydantic import BaseModel, ConfigDict, Field, computed_field
from typing_extensions import TypedDict

T = TypeVar("T")


class Tone(enum.StrEnum):
    WARM = "warm"
    COLD = "cold"


class Plain(BaseModel):
    label: str
    score: float
    count: int
    sure: bool


class Defaults(BaseModel):
    """Every way to leave a field out."""

    needed: str
    optional: int | None = None
    counted: int = 3
    words: list[str] = Field(default_factory=list)
    tone: Tone = Tone.WARM
    described: str = Field(default="-", description="What it says.")
    nullable: float | None


class Address(BaseModel):
    street: str
    country: str = "DE"


class Person(BaseModel):
    name: str
    home: Address
    work: Address | None = None
    others: list[Address] = []


class Described(BaseModel):
    """What the model reads of the fields."""

    home: Address = Field(description="Where the person lives.")
    tone: Tone = Field(description="How it sounds.")


class Constrained(BaseModel):
    year: Annotated[int, Field(ge=1900, le=2100)]
    share: Annotated[float, Field(gt=0, lt=1)]
    even: Annotated[int, Field(multiple_of=2)]
    code: Annotated[str, Field(pattern=r"^[A-Z]{2}-\d+$")]
    names: Annotated[list[str], Field(min_length=1, max_length=3)]


class Times(BaseModel):
    moment: dt.datetime
    day: dt.date
    hour: dt.time
    length: dt.timedelta
    key: uuid.UUID


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: str | None = None


class Pets(BaseModel):
    best: Annotated[Cat | Dog, Field(discriminator="kind")]
    all: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    maybe: Cat | Dog | None = None


class Circle(BaseModel):
    shape: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    shape: Literal["square"] = "square"
    side: float


class Drawing(BaseModel):
    """Constants with a default tell the types apart all the same."""

    shapes: list[Circle | Square]


class Number(BaseModel):
    number: int


class Street(BaseModel):
    street: str


class Place(BaseModel):
    """A union whose types begin with fields of their own."""

    at: Number | Street | str


class Node(BaseModel):
    value: int
    children: list["Node"] = []


class Chain(BaseModel):
    text: str
    next: "Chain | None" = None


class Left(BaseModel):
    right: "Right | None"


class Right(BaseModel):
    left: Left | None = Field(description="Back again.")


class Boxed(BaseModel, Generic[T]):
    inside: T


class Aliased(BaseModel):
    first: int = Field(alias="firstName")
    second: int = Field(validation_alias="secondName")


class Documented(BaseModel):
    model_config = ConfigDict(title="An answer", json_schema_extra={"examples": [{"a": 1}]})

    a: int = Field(title="The A", examples=[1, 2], deprecated=True)


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")

    a: int

    @computed_field
    @property
    def twice(self) -> int:
        return 2 * self.a


class Words(BaseModel):
    """Fields called like words of JSON schema."""

    type: str
    title: str
    properties: list[str]
    required: bool
    default: int = 1


class Literals(BaseModel):
    one: Literal["only"]
    several: Literal["a", "b", 3]
    or_null: Literal["a", None] = None
    flags: list[Literal[True]]


class Deep(BaseModel):
    cells: list[list[list[Boxed[list[str]]]]]


@dataclasses.dataclass
class Pair:
    left: int
    right: str = "r"


class Keyed(TypedDict):
    here: int
    maybe: NotRequired[str]


MODELS: dict[str, Any] = {
    "plain": Plain,
    "defaults": Defaults,
    "nested": Person,
    "described": Described,
    "constrained": Constrained,
    "times": Times,
    "told-apart": Pets,
    "constants": Drawing,
    "union": Place,
    "tree": Node,
    "chain": Chain,
    "turns": Left,
    "generic": Boxed[list[Plain]],
    "aliased": Aliased,
    "documented": Documented,
    "forbidding": Forbidding,
    "words": Words,
    "literals": Literals,
    "deep": Deep,
    "dataclass": Pair,
    "typed-dict": Keyed,
}
