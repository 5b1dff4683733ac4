"""Answers to a schema are valid under it, whatever the text."""

import json

import jsonschema
import pytest

from batch_assets.sandbox.documents import DocumentMaker
from batch_assets.sandbox.pattern_text import text_for_pattern
from batch_assets.sandbox.strict_schema import check_strict_schema

TEXTS = ["", "Word: oak\nDefinition: a deciduous tree", "ünïcode \u2028 " * 50]


def an_object(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def a_list(items, **bounds):
    return {"type": "array", "items": items, **bounds}


TEXT = {"type": "string"}
NULL = {"type": "null"}
NODE = {"$ref": "#/$defs/Node"}
STRICT = {
    "no property": an_object(),
    "plain types": an_object(
        a=TEXT, b={"type": "integer"}, c={"type": "number"}, d={"type": "boolean"}, e=NULL
    ),
    "types in a list": an_object(a={"type": ["null", "integer"]}, b={"type": ["string", "null"]}),
    "enums": an_object(
        a={"type": "string", "enum": ["x", "y"]},
        b={"type": "integer", "enum": [1, 2]},
        c={"type": ["string", "null"], "enum": ["x", None]},
        d={"type": "null", "enum": [None]},
    ),
    "const": an_object(a={"type": "string", "const": "k"}, b={"type": "integer", "const": 3}),
    "anyOf": an_object(a={"anyOf": [NULL, an_object(b=TEXT)]}),
    "arrays": an_object(
        a=a_list(TEXT),
        b=a_list(an_object(c=TEXT), minItems=3),
        c=a_list(TEXT, maxItems=0),
        d=a_list({"type": "integer", "minimum": 5}, minItems=2, maxItems=2),
    ),
    "integers": an_object(
        a={"type": "integer", "minimum": 3, "maximum": 3},
        b={"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2},
        c={"type": "integer", "maximum": -7},
        d={"type": "integer", "multipleOf": 7, "minimum": 50},
        e={"type": "integer", "minimum": 1.5, "maximum": 2.5},
    ),
    "numbers": an_object(
        a={"type": "number", "minimum": 0, "maximum": 1},
        b={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
        c={"type": "number", "exclusiveMinimum": 10},
        d={"type": "number", "multipleOf": 0.1, "minimum": 0.25, "maximum": 0.55},
        e={"type": "number", "minimum": -0.004, "maximum": -0.001},
    ),
    "formats": an_object(
        **{
            name: {"type": "string", "format": name}
            for name in ("date-time", "date", "time", "duration", "email", "hostname", "uuid")
        },
        ipv4={"type": "string", "format": "ipv4"},
        ipv6={"type": "string", "format": "ipv6"},
    ),
    "patterns": an_object(
        a={"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}$"},
        b={"type": "string", "pattern": "^(cat|dog)s?$"},
    ),
    "definitions": {
        **an_object(a={"$ref": "#/$defs/A"}, b=a_list({"$ref": "#/$defs/A"})),
        "$defs": {"A": an_object(c={"$ref": "#/$defs/B"}), "B": {"type": "integer", "minimum": 9}},
    },
    "a linked list": {
        **an_object(head=NODE),
        "$defs": {"Node": an_object(value=TEXT, next={"anyOf": [NODE, NULL]})},
    },
    "a tree of arrays": {
        **an_object(root=NODE),
        "$defs": {"Node": an_object(name=TEXT, children=a_list(NODE))},
    },
    "two types in turns": {
        **an_object(a={"$ref": "#/$defs/A"}),
        "$defs": {
            "A": an_object(b={"anyOf": [{"$ref": "#/$defs/B"}, NULL]}),
            "B": an_object(a={"$ref": "#/$defs/A"}, left={"anyOf": [{"$ref": "#/$defs/B"}, TEXT]}),
        },
    },
    "the root again": an_object(name=TEXT, parts=a_list({"$ref": "#"})),
    "ten levels": an_object(
        a=a_list(an_object(b=a_list(an_object(c=a_list(an_object(d=a_list(an_object())))))))
    ),
}
LOOSE = {
    "anything": {},
    "optional properties": {"type": "object", "properties": {"a": TEXT, "b": {"type": "integer"}}},
    "lengths": {"type": "string", "minLength": 30, "maxLength": 31},
    "allOf": {"allOf": [{**an_object(a=TEXT), "additionalProperties": True}, {"required": ["a"]}]},
    "oneOf": {"oneOf": [{"type": "integer"}, TEXT]},
    "properties without a type": {"properties": {"a": TEXT}, "required": ["a"]},
    "a number": {"type": "number"},
}


@pytest.mark.parametrize("text", TEXTS, ids=["empty", "gloss", "unicode"])
@pytest.mark.parametrize("schema", STRICT.values(), ids=STRICT.keys())
def test_a_strict_schema_gets_a_valid_document(schema, text):
    check_strict_schema(schema)
    jsonschema.validate(
        DocumentMaker(schema).document(text),
        schema,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


@pytest.mark.parametrize("schema", LOOSE.values(), ids=LOOSE.keys())
def test_a_loose_schema_gets_a_valid_document(schema):
    jsonschema.validate(DocumentMaker(schema).document(TEXTS[1]), schema)


@pytest.mark.parametrize("node", [an_object(next=NODE), a_list(NODE, minItems=2), NODE])
def test_a_schema_without_any_finite_document_still_gets_an_answer(node):
    schema = {**an_object(a=NODE), "$defs": {"Node": node}}
    assert json.dumps(DocumentMaker(schema).document("text"))


def test_a_reference_to_itself_is_left_by_the_other_branch():
    schema = {**an_object(a=NODE), "$defs": {"Node": {"anyOf": [NODE, TEXT]}}}
    assert DocumentMaker(schema).document("text") == {"a": "text"}


def test_properties_keep_the_order_of_the_schema():
    document = DocumentMaker(an_object(z=TEXT, a=TEXT, m=TEXT)).document("text")
    assert list(document) == ["z", "a", "m"]


def test_the_same_text_always_gets_the_same_document():
    maker = DocumentMaker(STRICT["numbers"])
    assert maker.document("text") == maker.document("text")


@pytest.mark.parametrize(
    ("pattern", "sample"),
    [
        ("^a+b?c*$", "a"),
        ("^[^a-z]$", "0"),
        ("^\\w{3}\\.\\d$", "aaa.0"),
        ("^(?:x|y){2}$", "xx"),
        ("^(?P<year>\\d{4})-[01]\\d$", "0000-00"),
        ("^\\u0041\\x42$", "AB"),
        ("^#(?=a)a.$", "#aa"),
        ("(unbalanced", None),
        ("^(?!a)a$", None),
    ],
)
def test_a_pattern_gets_a_text_that_matches_or_none(pattern, sample):
    assert text_for_pattern(pattern) == sample
