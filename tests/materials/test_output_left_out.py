"""What an answer may leave out: strict mode asks for every field, and null leaves one out."""

import json
from typing import Annotated, Any, Literal

import pytest
from declared_models import Defaults, Node, Person, Pets
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BeforeValidator, create_model
from shapes import an_object

from batch_assets.prompt import JsonSchemaOutput, OutputType, output_of
from batch_assets.prompt.output import InvalidAnswer

LEFT_OUT = {
    "needed": "n",
    "optional": None,
    "counted": None,
    "words": None,
    "tone": None,
    "described": None,
    "nullable": None,
}


def test_a_null_of_a_field_with_a_default_means_the_default():
    assert OutputType(Defaults).parse(json.dumps(LEFT_OUT)) == {
        "needed": "n",
        "optional": None,
        "counted": 3,
        "words": [],
        "tone": "warm",
        "described": "-",
        "nullable": None,
    }


def test_a_value_of_a_field_with_a_default_is_the_value():
    answer = LEFT_OUT | {"counted": 0, "words": ["null"], "tone": "cold", "described": ""}

    found = OutputType(Defaults).parse(json.dumps(answer))

    assert (found["counted"], found["words"]) == (0, ["null"])
    assert (found["tone"], found["described"]) == ("cold", "")


def test_a_null_of_a_field_without_a_default_is_invalid():
    with pytest.raises(InvalidAnswer, match="needed: Input should be a valid string"):
        OutputType(Defaults).parse(json.dumps(LEFT_OUT | {"needed": None}))


def test_it_holds_at_every_depth():
    home = {"street": "s", "country": None}
    answer = {"name": "n", "home": home, "work": home, "others": [home, home]}

    found = OutputType(Person).parse(json.dumps(answer))

    expected = {"street": "s", "country": "DE"}
    assert found == {"name": "n", "home": expected, "work": expected, "others": [expected] * 2}


def test_it_holds_in_a_type_that_contains_itself():
    leaf = {"value": 2, "children": None}

    found = OutputType(Node).parse(json.dumps({"value": 1, "children": [leaf]}))

    assert found == {"value": 1, "children": [{"value": 2, "children": []}]}


def test_in_a_union_the_type_that_the_constant_names_decides():
    cat, dog = {"kind": "cat", "lives": None}, {"kind": "dog", "bark": None}

    found = OutputType(Pets).parse(json.dumps({"best": cat, "all": [dog, cat], "maybe": None}))

    assert found == {
        "best": '{"kind":"cat","lives":9}',
        "all": ['{"kind":"dog","bark":null}', '{"kind":"cat","lives":9}'],
        "maybe": None,
    }


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('{"a": 1, "b": null}', {"a": 1, "b": 5}),
        ('{"a": 1, "c": null, "d": null}', {"a": 1, "c": 6, "d": None}),
        ('{"a": 1, "c": null}', {"a": 1, "c": 6, "d": None}),
        ('{"b": null, "a": 1}', {"a": 1, "b": 5}),
    ],
)
def test_in_a_union_without_constants_the_type_with_the_fields_of_the_answer_decides(answer, found):
    """A provider that is not strict may leave out what strict mode asks for."""
    one = create_model("One", a=(int, ...), b=(int, 5))
    other = create_model("Other", c=(int, 6), a=(int, ...), d=(int | None, None))
    output = OutputType(create_model("Answer", x=(one | other, ...)))

    assert json.loads(output.parse(f'{{"x": {answer}}}')["x"]) == found


def test_a_validator_does_not_see_the_null():
    seen: list[Any] = []
    field = Annotated[int, BeforeValidator(lambda value: seen.append(value) or value)]
    output = OutputType(create_model("Answer", x=(field, 5)))

    assert output.parse('{"x": null}') == {"x": 5}
    assert seen == []


def test_what_stands_beside_a_null_stays_as_the_model_wrote_it():
    """Reading it again would make a float of a number with many digits."""
    output = OutputType(create_model("Answer", x=(int, 1), big=(int, ...), text=(str, ...)))

    found = output.parse('{"x": null, "big": 9007199254740993, "text": "\\u00e9 null"}')

    assert found == {"x": 1, "big": 9007199254740993, "text": "é null"}


@pytest.mark.parametrize("answer", ["null", '{"x": null', "[null]", '{"x": nul}', "\ud800null"])
def test_what_is_no_answer_is_invalid_all_the_same(answer):
    with pytest.raises(InvalidAnswer):
        OutputType(create_model("Answer", x=(int, 1))).parse(answer)


def test_nulls_below_a_hundred_levels_are_an_answer_or_invalid_and_nothing_else():
    answer = '{"value": 1, "children": [' * 5_000 + "null" + "]}" * 5_000

    with pytest.raises(InvalidAnswer):
        OutputType(Node).parse(answer)


def test_a_field_that_a_json_schema_does_not_require_may_be_left_out():
    output = JsonSchemaOutput({"type": "object", "properties": {"a": {"type": "string"}}})

    assert output.parse('{"a": null}') == {"a": None}
    assert output.parse("{}") == {"a": None}
    assert output.parse('{"a": "x"}') == {"a": "x"}


def test_the_default_of_a_json_schema_stands_in_for_what_is_left_out():
    a = {"type": "integer", "default": 7}
    output = JsonSchemaOutput(an_object(a=a) | {"required": []})

    assert output.parse('{"a": null}') == {"a": 7}


def test_a_null_that_the_type_itself_allows_stays():
    a = {"type": ["integer", "null"], "default": 7}
    output = JsonSchemaOutput(an_object(a=a) | {"required": []})

    assert output.parse('{"a": null}') == {"a": None}


def test_a_constant_with_a_default_is_asked_for():
    output = OutputType(create_model("Answer", kind=(Literal["a"], "a"), x=(int, 1)))

    assert output.schema["properties"]["kind"] == {
        "title": "Kind",
        "type": "string",
        "const": "a",
    }


@given(
    st.fixed_dictionaries(
        {
            "needed": st.text(),
            "optional": st.none() | st.integers(-(2**40), 2**40),
            "counted": st.integers(-(2**40), 2**40),
            "words": st.lists(st.text()),
            "tone": st.sampled_from(["warm", "cold"]),
            "described": st.text(),
            "nullable": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        }
    )
)
def test_every_answer_without_a_null_in_its_place_is_read_as_it_is(answer):
    assert output_of(Defaults).parse(json.dumps(answer)) == answer
