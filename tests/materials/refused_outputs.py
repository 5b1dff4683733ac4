"""What has no strict form: what we say to it, and what the provider would."""

import dataclasses
from functools import reduce
from typing import Annotated, Any

from pydantic import AnyUrl, BaseModel, ConfigDict, Field
from shapes import an_object

TEXT = {"type": "string"}
INTEGER = {"type": "integer"}

CLOSED = ConfigDict(extra="forbid")


def a_field(type_: Any) -> type[BaseModel]:
    """A model that strict mode would take, were it not for its one field."""
    return type("Answer", (BaseModel,), {"model_config": CLOSED, "__annotations__": {"x": type_}})


def a_list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def a_schema(**keywords: Any) -> dict[str, Any]:
    """A schema that strict mode would take, were it not for its one field."""
    return an_object(x=keywords)


MANY = {f"p{n}": TEXT for n in range(5_001)}
LONG = [f"{n:0100}" for n in range(251)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refused:
    declared: Any
    #: What we say before anything is sent.
    sentence: str
    #: What the provider would say to it as it is; None where it would take it.
    complaint: str | None


REFUSED: dict[str, Refused] = {
    "any": Refused(
        declared=a_field(Any),
        sentence="field x: it has no one type",
        complaint="schema must have a 'type' key",
    ),
    "dict": Refused(
        declared=a_field(dict[str, int]),
        sentence="field x: an open object",
        complaint="'additionalProperties' is required",
    ),
    "tuple": Refused(
        declared=a_field(tuple[int, str]),
        sentence="no prefixItems here; take an object with a field for each place",
        complaint="'maxItems' is not permitted|'prefixItems' is not permitted",
    ),
    "set": Refused(
        declared=a_field(set[str]),
        sentence="no uniqueItems here; take a list",
        complaint="'uniqueItems' is not permitted",
    ),
    "shortest text": Refused(
        declared=a_field(Annotated[str, Field(min_length=3)]),
        sentence=r"no minLength here; write it as a pattern such as",
        complaint="'minLength' is not permitted",
    ),
    "longest text": Refused(
        declared=a_field(Annotated[str, Field(max_length=3)]),
        sentence=r"no maxLength here; write it as a pattern such as",
        complaint="'maxLength' is not permitted",
    ),
    "bytes": Refused(
        declared=a_field(bytes),
        sentence="no format binary",
        complaint="'binary' is not a valid format",
    ),
    "url": Refused(
        declared=a_field(AnyUrl),
        sentence="field x: strict mode has no minLength",
        complaint="is not permitted|is not a valid format",
    ),
    "endless": Refused(
        declared=an_object(x={"$ref": "#/$defs/A"})
        | {"$defs": {"A": an_object(a={"$ref": "#/$defs/A"})}},
        sentence="A always contains itself, so no answer ever ends; let a field of it be null",
        complaint=None,
    ),
    "union of itself": Refused(
        declared=an_object(x={"$ref": "#/$defs/A"}, y=TEXT)
        | {"required": ["y"], "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}] * 40}}},
        sentence="A always contains itself",
        complaint="Missing 'x'",
    ),
    "reference to itself": Refused(
        declared=an_object(x={"$ref": "#/$defs/A"}) | {"$defs": {"A": {"$ref": "#/$defs/A"}}},
        sentence="A always contains itself",
        complaint=None,
    ),
    "too deep by far": Refused(
        declared=an_object(x=reduce(lambda inner, _: an_object(a=inner), range(2_000), TEXT)),
        sentence="deeper than can be read|levels of nesting are more",
        complaint="levels of nesting exceeds limit of 10",
    ),
    "union by the same field": Refused(
        declared=a_schema(anyOf=[an_object(a=TEXT), an_object(a=INTEGER, b=TEXT)]),
        sentence="both begin with the field a.* begin each with one of its own",
        complaint="must not share identical first keys",
    ),
    "lookahead": Refused(
        declared=a_schema(type="string", pattern="^(?!a)b"),
        sentence="look neither ahead nor behind",
        complaint=r"regex lookaround is not supported. Found at \$.properties.x.pattern",
    ),
    "open object": Refused(
        declared=a_schema(type="object", additionalProperties=True),
        sentence="field x: an open object",
        complaint="'additionalProperties' is required",
    ),
    "object of texts": Refused(
        declared=a_schema(type="object", additionalProperties=TEXT),
        sentence="use a list of key and value",
        complaint="'additionalProperties' is required",
    ),
    "pattern properties": Refused(
        declared=a_schema(**an_object(a=TEXT), patternProperties={"^b": TEXT}),
        sentence="no patternProperties here",
        complaint="'patternProperties' is not permitted",
    ),
    "no fields": Refused(
        declared=a_schema(**an_object()),
        sentence="field x: an object without fields",
        complaint=None,
    ),
    "required but not declared": Refused(
        declared=a_schema(**{**an_object(a=TEXT), "required": ["a", "b"]}),
        sentence="field x: it requires b, which it does not declare",
        complaint="Extra required key 'b' supplied",
    ),
    "list of anything": Refused(
        declared=a_schema(type="array"),
        sentence="does not say what it holds",
        complaint="array schema missing items",
    ),
    "old tuple": Refused(
        declared={
            "$schema": "http://json-schema.org/draft-07/schema#",
            **a_schema(type="array", items=[TEXT, INTEGER]),
        },
        sentence=r"field x\[\]: it has no one type",
        complaint="schema must be a JSON object",
    ),
    "all of two": Refused(
        declared=a_schema(allOf=[an_object(a=TEXT), an_object(b=TEXT)]),
        sentence="no allOf; write its parts as one object",
        complaint="'allOf' is not permitted",
    ),
    "not": Refused(
        declared=a_schema(**{"type": "string", "not": {"const": "a"}}),
        sentence="strict mode has no not here",
        complaint="'not' is not permitted",
    ),
    "condition": Refused(
        declared=a_schema(**{"type": "string", "if": {"const": "a"}, "then": True}),
        sentence="strict mode has no if, then here",
        complaint="'if' is not permitted",
    ),
    "nullable of OpenAPI": Refused(
        declared=a_schema(type="string", nullable=True),
        sentence="no nullable here; write the type as a list with null in it",
        complaint="'nullable' is not permitted",
    ),
    "other format": Refused(
        declared=a_schema(type="string", format="uri"),
        sentence="no format uri",
        complaint="'uri' is not a valid format",
    ),
    "enum of objects": Refused(
        declared=a_schema(enum=[{"a": 1}]),
        sentence="its enum holds something else than texts, numbers and booleans",
        complaint="schema must have a 'type' key",
    ),
    "list at the root": Refused(
        declared={"type": "array", "items": TEXT},
        sentence="the answer must be an object: put it into a field",
        complaint="schema must be a JSON Schema of 'type: \"object\"'",
    ),
    "union at the root": Refused(
        declared={"anyOf": [an_object(a=TEXT), an_object(b=TEXT)]},
        sentence="the answer must be an object: put it into a field",
        complaint="schema must be a JSON Schema of 'type: \"object\"'",
    ),
    "reference to elsewhere": Refused(
        declared=a_schema(**{"$ref": "https://example.com/a.json"}),
        sentence="the reference https://example.com/a.json leads to no definition",
        complaint="reference can only point to definitions",
    ),
    "reference into a field": Refused(
        declared=an_object(a=TEXT, b={"$ref": "#/properties/a"}),
        sentence="field b: the reference #/properties/a leads to no definition",
        complaint="reference can only point to definitions",
    ),
    "constraint beside a reference": Refused(
        declared=a_schema(**{"$ref": "#/$defs/A", "minimum": 3}) | {"$defs": {"A": INTEGER}},
        sentence="field x: strict mode has no minimum here",
        complaint=r"\$ref cannot have keywords {'minimum'}",
    ),
    "too many fields": Refused(
        declared=an_object(**MANY),
        sentence="5001 fields are more than strict mode's 5000",
        complaint="5001 parameters exceeds limit of 5000",
    ),
    "too many choices": Refused(
        declared=a_schema(type="string", enum=[f"{n}" for n in range(1_001)]),
        sentence="1001 choices are more than strict mode's 1000",
        complaint="Expected at most 1000 enum values",
    ),
    "too long choices": Refused(
        declared=a_schema(type="string", enum=LONG),
        sentence="25100 characters of 251 choices",
        complaint="Expected at most 15000 total characters",
    ),
    "too long names": Refused(
        declared=an_object(**{"n" * 120_001: TEXT}),
        sentence="120001 characters of names and choices",
        complaint="Expected at most 120000 total characters",
    ),
    "too deep": Refused(
        declared=an_object(x=reduce(lambda inner, _: a_list(inner), range(10), TEXT)),
        sentence="11 levels of nesting are more than strict mode's 10",
        complaint="11 levels of nesting exceeds limit of 10",
    ),
}
