"""JSON schemas as people declare them; each has its golden file."""

from typing import Any

from shapes import an_object

TEXT = {"type": "string"}
INTEGER = {"type": "integer"}

SCHEMAS: dict[str, dict[str, Any]] = {
    "closed-already": an_object(a=TEXT, b=INTEGER),
    "open-by-silence": {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
    "nothing-required": {"type": "object", "properties": {"a": TEXT, "b": INTEGER}},
    "a-default": {"type": "object", "properties": {"a": {**TEXT, "default": "x"}}},
    "nullable-by-types": an_object(a={"type": ["string", "null"]}),
    "optional-and-nullable": {
        "type": "object",
        "properties": {"a": {"type": ["integer", "null"], "minimum": 1}},
    },
    "several-types": an_object(a={"type": ["string", "integer", "boolean"], "pattern": "^a"}),
    "object-or-null": an_object(a={"type": ["object", "null"], "properties": {"b": TEXT}}),
    "list-or-text": an_object(a={"type": ["array", "string"], "items": INTEGER, "minItems": 1}),
    "types-left-out": {"properties": {"a": {"items": TEXT}, "b": {"properties": {"c": TEXT}}}},
    "one-of": an_object(a={"oneOf": [TEXT, INTEGER]}),
    "all-of-one": an_object(a={"allOf": [{"$ref": "#/$defs/A"}], "description": "An A."})
    | {"$defs": {"A": an_object(b=TEXT)}},
    "reference": an_object(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": an_object(b=TEXT)}},
    "reference-described": an_object(
        a={"$ref": "#/$defs/A", "description": "Beside."}, b={"$ref": "#/$defs/A"}
    )
    | {"$defs": {"A": an_object(b=TEXT)}},
    "reference-described-again": an_object(a={"$ref": "#/$defs/A", "description": "First."})
    | {
        "$defs": {
            "A": an_object(
                b={
                    "anyOf": [
                        {"$ref": "#/$defs/A", "description": "Again."},
                        {"type": "null", "description": "No more."},
                    ]
                }
            )
        }
    },
    "draft-7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Old form",
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/A"}},
        "definitions": {"A": {"type": "object", "properties": {"b": {"const": "c"}}}},
    },
    "odd-names": an_object(a={"$ref": "#/$defs/A~1b~0c"}, **{"b/ü": TEXT, "": INTEGER})
    | {"$defs": {"A/b~c": an_object(d=TEXT)}},
    "unused-definition": an_object(a=TEXT) | {"$defs": {"B": {"type": "object"}}},
    "root-again": an_object(name=TEXT, parts={"type": "array", "items": {"$ref": "#"}}),
    "root-by-reference": {"$ref": "#/$defs/A", "$defs": {"A": an_object(b=TEXT)}},
    "root-by-all-of": {"allOf": [an_object(a=TEXT)], "description": "Joined."},
    "enums": an_object(
        a={"enum": ["x", "y"]},
        b={"type": "integer", "enum": [1, 2]},
        c={"enum": ["x", 1, None]},
        d={"const": True},
        e={"type": "null"},
    ),
    "formats": an_object(
        **{
            name: {**TEXT, "format": name}
            for name in ("date-time", "date", "time", "duration", "email", "hostname", "uuid")
        },
        ipv4={**TEXT, "format": "ipv4"},
        ipv6={**TEXT, "format": "ipv6"},
    ),
    "numbers": an_object(
        a={"type": "number", "minimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.25},
        b={**INTEGER, "exclusiveMinimum": 0, "maximum": 9},
    ),
    "comments": {
        **an_object(a={**TEXT, "examples": ["x"], "$comment": "for people", "deprecated": True}),
        "$id": "https://example.com/answer",
    },
}
