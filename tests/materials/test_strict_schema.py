"""Which models have a strict form, which form that is, and what is said of the others."""

import enum
import pathlib
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, RootModel, SecretStr, create_model
from shapes import SHAPES, a_model, a_reference, an_object

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import OutputType
from batch_assets.prompt.strict_schema import strict_schema
from batch_assets.sandbox.strict_schema import check_strict_schema


class Node(BaseModel):
    value: int
    children: list["Node"]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    a: int


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    a: int


class Empty(BaseModel):
    pass


def nested(levels: int) -> type[BaseModel]:
    """Lists inside each other, in a field."""
    type_: Any = int
    for _ in range(levels - 1):
        type_ = list[type_]
    return a_model(x=type_)


def untitled(schema: Any) -> Any:
    """A schema without the titles that Pydantic gives every field; a field `title` stays."""
    if isinstance(schema, list):
        return [untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: untitled(part)
        for key, part in schema.items()
        if not (key == "title" and isinstance(part, str))
    }


@pytest.mark.parametrize("name", SHAPES)
def test_a_field_has_its_strict_form(name):
    shape = SHAPES[name]

    schema = untitled(OutputType(a_model(x=shape.type)).schema)

    assert schema["properties"] == {"x": shape.schema}
    assert schema.get("$defs", {}) == shape.definitions
    assert (schema["required"], schema["additionalProperties"]) == (["x"], False)


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_declared_passes_the_providers_own_check(name):
    """Row 42: what the provider would refuse is refused before anything is sent."""
    schema = OutputType(a_model(x=SHAPES[name].type, y=list[str])).schema

    assert check_strict_schema(schema) is None


def test_all_shapes_together_are_one_schema():
    fields = {f"x{n}": shape.type for n, shape in enumerate(SHAPES.values())}

    assert check_strict_schema(OutputType(a_model(**fields)).schema) is None


def test_the_root_of_a_model_that_contains_itself_is_an_object():
    schema = untitled(OutputType(Node).schema)
    node = an_object(
        value={"type": "integer"}, children={"type": "array", "items": a_reference("Node")}
    )

    assert schema == {**node, "$defs": {"Node": node}}
    assert check_strict_schema(schema) is None


def test_a_closed_model_stays_closed():
    assert untitled(OutputType(Closed).schema) == an_object(a={"type": "integer"})


def test_a_default_is_asked_for_all_the_same():
    model = create_model("Answer", a=(int, 3), b=(list[str], []))

    assert OutputType(model).schema["required"] == ["a", "b"]


def test_a_field_may_be_called_like_a_word_of_json_schema():
    model = a_model(title=str, type=int, properties=list[str], required=bool, items=str)

    schema = OutputType(model).schema

    assert list(schema["properties"]) == ["title", "type", "properties", "required", "items"]
    assert check_strict_schema(schema) is None


REFUSED: dict[str, tuple[Callable[[], type[BaseModel]], str]] = {
    "anything": (lambda: a_model(x=Any), "field x: it has no one type"),
    "object": (lambda: a_model(x=object), "field x: it has no one type"),
    "list of anything": (lambda: a_model(x=list), r"field x\[\]: it has no one type"),
    "open dict": (lambda: a_model(x=dict[str, Any]), "field x: an open object"),
    "typed dict": (lambda: a_model(x=dict[str, int]), "field x: an open object"),
    "dict in a list": (lambda: a_model(x=list[dict[str, int]]), r"field x\[\]: an open object"),
    "tuple": (lambda: a_model(x=tuple[int, str]), "field x: strict mode has no prefixItems"),
    "set": (lambda: a_model(x=set[str]), "field x: strict mode has no uniqueItems"),
    "shortest text": (
        lambda: a_model(x=Annotated[str, Field(min_length=1)]),
        r"field x: strict mode has no minLength here; write it as a pattern such as \^\.\{3,\}\$",
    ),
    "longest text or null": (
        lambda: a_model(x=Annotated[str, Field(max_length=9)] | None),
        "field x: strict mode has no maxLength",
    ),
    "bytes": (lambda: a_model(x=bytes), "field x: strict mode has no format binary"),
    "url": (lambda: a_model(x=AnyUrl), "field x: strict mode has no"),
    "path": (lambda: a_model(x=pathlib.Path), "field x: strict mode has no format path"),
    "secret": (lambda: a_model(x=SecretStr), "field x: strict mode has no writeOnly"),
    "lookahead": (
        lambda: a_model(x=Annotated[str, Field(json_schema_extra={"pattern": "(?!a)"})]),
        "field x: strict mode's patterns look neither ahead nor behind",
    ),
    "own keyword": (
        lambda: a_model(x=Annotated[int, Field(json_schema_extra={"widget": "slider"})]),
        "field x: strict mode has no widget",
    ),
    "extra fields": (lambda: Open, "output Open: an open object"),
    "extra fields below": (lambda: a_model(x=Open), "field Open: an open object"),
    "no fields": (lambda: Empty, "output Empty: an object without fields"),
    "no fields below": (lambda: a_model(x=Empty), "field Empty: an object without fields"),
    "list at the root": (lambda: RootModel[list[str]], "the answer must be an object"),
    "union at the root": (lambda: RootModel[Node | Closed], "the answer must be an object"),
    "model behind a root": (lambda: RootModel[Node], "the answer must be an object"),
    "function": (lambda: a_model(x=Callable[[], int]), "output Answer has no JSON schema"),
    "unknown name": (
        lambda: create_model("Answer", x=("Nowhere", ...)),
        "output Answer has no JSON schema: .*define `Nowhere`",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_field_without_a_strict_form_is_named_with_a_way_out(name):
    make, sentence = REFUSED[name]

    with pytest.raises(DeclarationError, match=sentence):
        OutputType(make())


def test_the_field_is_named_down_to_where_it_stands():
    inner = a_model("Inner", y=list[dict[str, int]])

    with pytest.raises(DeclarationError, match=r"output Outer, field Inner\.y\[\]: "):
        OutputType(a_model("Outer", x=inner))


def test_the_lookahead_that_pydantic_gives_a_decimal_is_left_out():
    """Constrained sampling cannot follow it, and OpenAI answers with a 500."""
    members = [{"type": "number"}, {"type": "string", "pattern": r"^(?!^[-+.]*$)\d*$"}]
    schema = an_object(price={"anyOf": members})

    strict = strict_schema(schema, "Answer")

    assert strict["properties"]["price"] == {"anyOf": [{"type": "number"}, {"type": "string"}]}


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (lambda: a_model(**{f"f{n}": int for n in range(5_001)}), "5001 fields are more than"),
        (lambda: a_model(x=Literal[tuple(range(1_001))]), "1001 choices are more than"),
        (
            lambda: a_model(**{"f" * 60_001: int, "g" * 60_000: int}),
            "120001 characters of names and choices are more than",
        ),
        (
            lambda: a_model(x=enum.Enum("Long", {f"m{n}": f"{n:0100}" for n in range(251)})),
            "25100 characters of 251 choices are more than strict mode's 15000",
        ),
        (lambda: nested(11), "11 levels of nesting are more than strict mode's 10"),
    ],
    ids=["fields", "choices", "characters", "characters of many choices", "levels"],
)
def test_a_model_beyond_the_providers_size_is_refused(model, sentence):
    with pytest.raises(DeclarationError, match=sentence):
        OutputType(model())


def test_a_model_of_the_providers_size_is_taken():
    model = a_model(x=Literal[tuple(f"c{n}" for n in range(1_000))])

    assert check_strict_schema(OutputType(model).schema) is None
