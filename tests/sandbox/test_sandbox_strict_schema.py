"""The rules of OpenAI's guide "Structured Outputs", section "Supported schemas"."""

import pytest

from batch_assets.sandbox.strict_schema import SchemaRefused, check_strict_schema


def an_object(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def nested(levels):
    schema = an_object(leaf={"type": "string"})
    for _ in range(levels - 1):
        schema = an_object(inner=schema)
    return schema


TEXT = {"type": "string"}
CAT = an_object(kind={**TEXT, "const": "cat"}, name=TEXT)
DOG = an_object(kind={**TEXT, "enum": ["dog", "wolf"]}, name=TEXT)
FIRST_KEYS = "Objects provided via 'anyOf' must not share identical first keys."
ALLOWED = {
    "no property": an_object(),
    "every type": an_object(
        a={"type": "string"},
        b={"type": "number"},
        c={"type": "integer"},
        d={"type": "boolean"},
        e={"type": "null"},
        f={"type": "array", "items": TEXT},
    ),
    "nullable by a list of types": an_object(a={"type": ["string", "null"]}),
    "nullable by anyOf": an_object(a={"anyOf": [TEXT, {"type": "null"}]}),
    "titles and descriptions": {**an_object(a={**TEXT, "description": "d"}), "title": "t"},
    "string keywords": an_object(a={**TEXT, "pattern": "^a", "format": "date-time"}),
    "number keywords": an_object(
        a={"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.5},
        b={"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9},
    ),
    "array keywords": an_object(a={"type": "array", "items": TEXT, "minItems": 1, "maxItems": 2}),
    "enum and const": an_object(a={**TEXT, "enum": ["x"]}, b={**TEXT, "const": "y"}),
    "definitions": {**an_object(a={"$ref": "#/$defs/A"}), "$defs": {"A": an_object(b=TEXT)}},
    "recursion at the root": an_object(a={"anyOf": [{"$ref": "#"}, {"type": "null"}]}),
    "a union of objects that begin differently": an_object(
        a={"anyOf": [an_object(b=TEXT, c=TEXT), an_object(c=TEXT, b=TEXT), TEXT]}
    ),
    "a union of objects with a discriminator": an_object(a={"anyOf": [CAT, DOG]}),
    "a union of references with a discriminator": {
        **an_object(a={"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}),
        "$defs": {"A": CAT, "B": DOG},
    },
    "a pattern with groups": an_object(a={**TEXT, "pattern": "^(?:a|b)(?P<n>c)$"}),
    "ten levels": nested(10),
    "5,000 properties": an_object(**{f"p{n}": TEXT for n in range(5_000)}),
    "1,000 enum values": an_object(a={**TEXT, "enum": [f"{n}" for n in range(1_000)]}),
}
ADDITIONAL = "'additionalProperties' is required to be supplied and to be false."
REQUIRED = (
    "'required' is required to be supplied and to be an array including every key in properties."
)
REFUSED = {
    "an array at the root": ({"type": "array", "items": TEXT}, "got 'type: \"array\"'."),
    "anyOf at the root": ({"anyOf": [an_object()]}, "got 'type: \"None\"'."),
    "anyOf beside an object": (
        {**an_object(), "anyOf": [an_object()]},
        "'anyOf' is not permitted.",
    ),
    "open objects": ({**an_object(), "additionalProperties": True}, f"In context=(), {ADDITIONAL}"),
    "open objects below": (
        an_object(a={"type": "array", "items": {"type": "object"}}),
        f"In context=('properties', 'a', 'items'), {ADDITIONAL}",
    ),
    "open objects in a definition": (
        {**an_object(), "$defs": {"A": {"type": "object"}}},
        f"In context=('$defs', 'A'), {ADDITIONAL}",
    ),
    "optional properties": ({**an_object(a=TEXT), "required": []}, f"{REQUIRED} Missing 'a'."),
    "unknown required keys": (
        {**an_object(), "required": ["a"]},
        f"{REQUIRED} Extra required key 'a' supplied.",
    ),
    "a property without a type": (
        an_object(a={"description": "d"}),
        "In context=('properties', 'a'), schema must have a 'type' key.",
    ),
    "an array without items": (an_object(a={"type": "array"}), "array schema missing items."),
    "a default": (an_object(a={**TEXT, "default": "x"}), "'default' is not permitted."),
    "minLength": (an_object(a={**TEXT, "minLength": 1}), "'minLength' is not permitted."),
    "uniqueItems": (
        an_object(a={"type": "array", "items": TEXT, "uniqueItems": True}),
        "'uniqueItems' is not permitted.",
    ),
    "oneOf": (
        an_object(a={"anyOf": [{"oneOf": [TEXT]}]}),
        "In context=('properties', 'a', 'anyOf', '0'), 'oneOf' is not permitted.",
    ),
    "allOf": (an_object(a={"allOf": [TEXT]}), "'allOf' is not permitted."),
    "objects of a union that begin alike": (
        an_object(a={"anyOf": [an_object(b=TEXT), an_object(b=TEXT, c=TEXT)]}),
        FIRST_KEYS,
    ),
    "objects of a union with one discriminator for two": (
        an_object(a={"anyOf": [CAT, DOG, CAT]}),
        FIRST_KEYS,
    ),
    "references in a union that begin alike": (
        {
            **an_object(a={"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}),
            "$defs": {"A": an_object(b=TEXT), "B": an_object(b={"type": "integer"})},
        },
        FIRST_KEYS,
    ),
    "an empty union": (an_object(a={"anyOf": []}), "'anyOf' is required to be a non-empty array."),
    "lookahead": (
        an_object(a={"type": "array", "items": {**TEXT, "pattern": "^(?!b)a"}}),
        "regex lookaround is not supported. Found at $.properties.a.items.pattern.",
    ),
    "lookbehind": (
        an_object(a={**TEXT, "pattern": "a(?<=a)b"}),
        "regex lookaround is not supported. Found at $.properties.a.pattern.",
    ),
    "not": (an_object(a={**TEXT, "not": TEXT}), "'not' is not permitted."),
    "if": (an_object(a={**TEXT, "if": TEXT}), "'if' is not permitted."),
    "dependentRequired": (
        {**an_object(a=TEXT), "dependentRequired": {}},
        "'dependentRequired' is not permitted.",
    ),
    "dependentSchemas": (
        {**an_object(a=TEXT), "dependentSchemas": {}},
        "'dependentSchemas' is not permitted.",
    ),
    "prefixItems": (
        an_object(a={"type": "array", "items": TEXT, "prefixItems": [TEXT]}),
        "'prefixItems' is not permitted.",
    ),
    "patternProperties": (
        {**an_object(), "patternProperties": {}},
        "'patternProperties' is not permitted.",
    ),
    "other formats": (an_object(a={**TEXT, "format": "uri"}), "'uri' is not a valid format."),
    "other types": (an_object(a={"type": "text"}), "'text' is not a valid type."),
    "keywords beside a reference": (
        {**an_object(a={"$ref": "#/$defs/A", "description": "d"}), "$defs": {"A": TEXT}},
        "$ref cannot have keywords {'description'}.",
    ),
    "references into the schema": (
        an_object(a=TEXT, b={"$ref": "#/properties/a"}),
        "reference can only point to definitions defined at the top level of the schema.",
    ),
    "eleven levels": (nested(11), "11 levels of nesting exceeds limit of 10."),
    "a thousand levels": (nested(400), "levels of nesting exceeds limit of 10."),
    "5,001 properties": (
        an_object(**{f"p{n}": TEXT for n in range(5_001)}),
        "5001 parameters exceeds limit of 5000.",
    ),
    "1,001 enum values": (
        an_object(a={**TEXT, "enum": [f"{n}" for n in range(1_001)]}),
        "Expected at most 1000 enum values in total",
    ),
    "251 long enum values": (
        an_object(a={**TEXT, "enum": [f"{n:0100}" for n in range(251)]}),
        "Expected at most 15000 total characters across enum values",
    ),
    "120,001 characters of names": (
        an_object(**{"p" * 120_001: TEXT}),
        "Expected at most 120000 total characters",
    ),
}


@pytest.mark.parametrize("schema", ALLOWED.values(), ids=ALLOWED.keys())
def test_strict_mode_allows(schema):
    check_strict_schema(schema)


@pytest.mark.parametrize(("schema", "complaint"), REFUSED.values(), ids=REFUSED.keys())
def test_strict_mode_refuses(schema, complaint):
    with pytest.raises(SchemaRefused) as refused:
        check_strict_schema(schema)
    assert complaint in str(refused.value)
