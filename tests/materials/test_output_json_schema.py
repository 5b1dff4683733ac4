"""A plain JSON schema as output: answers are held to the schema as it was given."""

import json
from typing import Any

import pyarrow as pa
import pytest
from declared_schemas import SCHEMAS
from hypothesis import given
from hypothesis import strategies as st
from shapes import an_object

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import JsonSchemaOutput
from batch_assets.prompt.output import InvalidAnswer

TEXT, INTEGER = {"type": "string"}, {"type": "integer"}


def a_schema(**keywords: Any) -> dict[str, Any]:
    return an_object(x=keywords)


def complaint(schema: dict[str, Any], answer: str) -> str:
    with pytest.raises(InvalidAnswer) as refused:
        JsonSchemaOutput(schema).parse(answer)
    return str(refused.value)


@pytest.mark.parametrize(
    ("keywords", "arrow", "answer", "value"),
    [
        ({"type": "string"}, pa.string(), '"é"', "é"),
        ({"type": "integer"}, pa.int64(), "7", 7),
        ({"type": "integer"}, pa.int64(), "7.0", 7),
        ({"type": "number"}, pa.float64(), "7", 7.0),
        ({"type": "boolean"}, pa.bool_(), "true", True),
        ({"type": ["string", "null"]}, pa.string(), "null", None),
        ({"type": ["string", "integer"]}, pa.string(), "3", "3"),
        ({"enum": ["a", None]}, pa.string(), '"a"', "a"),
        ({"const": 3}, pa.int64(), "3", 3),
        ({"type": "array", "items": INTEGER}, pa.list_(pa.int64()), "[1, 2]", [1, 2]),
        (an_object(a=TEXT), pa.struct([("a", pa.string())]), '{"a": "b"}', {"a": "b"}),
        ({"oneOf": [TEXT, INTEGER]}, pa.string(), '"a"', '"a"'),
        ({"anyOf": [INTEGER, {"type": "null"}]}, pa.int64(), "null", None),
    ],
)
def test_a_field_has_its_arrow_type_and_its_value(keywords, arrow, answer, value):
    output = JsonSchemaOutput(a_schema(**keywords))

    assert output.arrow_type == pa.struct([("x", arrow)])
    found = pa.array([output.parse(f'{{"x": {answer}}}')], output.arrow_type)[0].as_py()
    assert found == {"x": value}


@pytest.mark.parametrize(
    ("format_", "arrow", "answer", "value"),
    [
        ("date-time", pa.timestamp("us", "UTC"), "2026-01-01T02:00:00+02:00", "2026-01-01 00:00"),
        ("date-time", pa.timestamp("us", "UTC"), "2026-01-01T00:00:00.5Z", "2026-01-01 00:00"),
        ("date", pa.date32(), "2026-01-01", "2026-01-01"),
        ("uuid", pa.string(), "12345678-1234-5678-1234-567812345678", "12345678"),
    ],
)
def test_a_text_of_a_format_becomes_a_value_of_its_type(format_, arrow, answer, value):
    output = JsonSchemaOutput(a_schema(type="string", format=format_))

    assert output.arrow_type == pa.struct([("x", arrow)])
    assert str(output.parse(json.dumps({"x": answer}))["x"]).startswith(value)


def test_a_schema_that_contains_itself_is_json_text_below_the_root():
    output = JsonSchemaOutput(SCHEMAS["root-again"])

    found = output.parse('{"name": "a", "parts": [{"name": "b", "parts": []}]}')

    assert output.arrow_type == pa.struct([("name", pa.string()), ("parts", pa.list_(pa.string()))])
    assert found == {"name": "a", "parts": ['{"name":"b","parts":[]}']}


@pytest.mark.parametrize(
    ("keywords", "answer", "why"),
    [
        ({"type": "integer"}, '{"x": "1"}', 'x: the value is not of type "integer"'),
        ({"type": "integer"}, "{}", 'answer: "x" is a required property'),
        ({"type": "integer"}, "[]", 'answer: the value is not of type "object"'),
        ({"type": "integer"}, "", "answer: Invalid JSON"),
        ({"type": "integer"}, '{"x": 1} more', "answer: Invalid JSON"),
        ({"type": "string"}, '{"x": "\\ud800"}', "answer: Invalid JSON"),
        ({"type": "string"}, "[" * 100_000, "answer: Invalid JSON"),
        ({"type": "number"}, '{"x": NaN}', "answer: Invalid JSON"),
        ({"type": "integer", "minimum": 3}, '{"x": 2}', "x: the value is less than the minimum"),
        ({"type": "string", "pattern": "^a"}, '{"x": "b"}', "x: the value does not match"),
        ({"type": "string", "format": "date"}, '{"x": "b"}', 'x: the value is not a "date"'),
        ({"type": "array", "items": TEXT}, '{"x": [1]}', "x.0: the value is not of type"),
        ({"enum": ["a"]}, '{"x": "b"}', "x: the value is not one of"),
        ({"oneOf": [{"type": "number"}, INTEGER]}, '{"x": 1}', "x: the value is valid under more"),
        ({"type": "integer"}, '{"x": 1, "y": 2}', "answer: Additional properties are not allowed"),
        ({"type": "integer"}, f'{{"x": {2**63}}}', f"x: {2**63} does not fit a 64-bit"),
    ],
)
def test_an_answer_that_breaks_the_schema_is_invalid_and_says_where(keywords, answer, why):
    assert complaint(a_schema(**keywords), answer).startswith(why)


def test_the_original_decides_where_the_strict_form_says_less():
    schema = {"type": "object", "properties": {"a": {"oneOf": [{"type": "number"}, INTEGER]}}}
    output = JsonSchemaOutput(schema)

    assert output.schema["properties"]["a"]["anyOf"][-1] == {"type": "null"}
    assert output.parse('{"a": 1.5}') == {"a": "1.5"}
    assert complaint(schema, '{"a": 1}').startswith("a: the value is valid under more than one")


def test_what_the_model_wrote_is_not_repeated_in_the_complaint():
    secret = "the patient's name"

    assert secret not in complaint(a_schema(enum=["a"]), json.dumps({"x": secret}))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "text"}, "output answer is not a valid JSON schema: type: "),
        (a_schema(type="string", pattern="("), 'is not a valid JSON schema: .*not a "regex"'),
        (an_object(x={"type": "string", "minLength": "two"}), "is not a valid JSON schema: "),
        ({"title": "Kind", "type": "array"}, "output Kind: the answer must be an object"),
    ],
)
def test_a_schema_that_is_none_is_refused_with_the_place(schema, why):
    with pytest.raises(DeclarationError, match=why):
        JsonSchemaOutput(schema)


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (an_object(x=TEXT), "answer"),
        (an_object(x=TEXT) | {"title": "An answer: ü"}, "An_answer___"),
    ],
)
def test_the_provider_sees_the_title_as_the_name(schema, name):
    assert JsonSchemaOutput(schema).name == name


def test_the_schema_of_the_caller_is_left_as_it_was():
    schema = json.loads(json.dumps(SCHEMAS["reference-described"]))

    JsonSchemaOutput(schema).parse('{"a": {"b": "c"}, "b": {"b": "d"}}')

    assert schema == SCHEMAS["reference-described"]


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_no_text_is_refused_otherwise_than_as_an_invalid_answer(text):
    assert complaint(a_schema(type="integer"), text)
