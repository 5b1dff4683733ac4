"""A JSON schema in the form that strict structured output takes.

The rules are OpenAI's (guide "Structured model outputs", section "Supported schemas"): the root is
an object and no union, every object is closed and requires all its properties, a reference stands
alone, and only some keywords are known. A field that may be left out becomes one that may be null;
`optional_fields` says what its null means. Answers are validated against the original, so the
strict form may say less than the original, and never says more than it has to.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.json_schema import (
    ROOT,
    SECTIONS,
    definition_name,
    definitions_of,
    optional_fields,
    resolved,
    types_of,
    union_members,
)
from batch_assets.prompt.strict_limits import check_limits

_ANNOTATIONS = ("title", "description")
_NUMBER = frozenset({"multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"})
_KEYWORDS: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"pattern", "format"}),
    "number": _NUMBER,
    "integer": _NUMBER,
    "boolean": frozenset(),
    "null": frozenset(),
}
#: What says nothing about the answer: left out.
_LEFT_OUT = frozenset(
    {"default", "examples", "deprecated", "$schema", "$id", "$comment", *SECTIONS}
)
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
#: Lookahead and lookbehind, which constrained sampling cannot follow.
_LOOKAROUND = re.compile(r"\(\?<?[=!]")

_TYPE_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}

_WAYS_OUT = {
    "minLength": "write it as a pattern such as ^.{3,}$, or check it in a validator instead",
    "maxLength": "write it as a pattern such as ^.{0,80}$, or check it in a validator instead",
    "prefixItems": "take an object with a field for each place",
    "uniqueItems": "take a list, and drop what repeats in a validator",
    "patternProperties": "declare the fields, or use a list of key and value",
    "propertyNames": "declare the fields, or use a list of key and value",
    "nullable": "write the type as a list with null in it",
    "contentEncoding": "use plain text",
}
_NULL = {"type": "null"}
_AS_A_FIELD = "the answer must be an object: put it into a field"


def strict_schema(schema: Mapping[str, Any], output_name: str) -> dict[str, Any]:
    """The strict form. Raises DeclarationError, naming the field, where there is none."""
    try:
        strict = _Transformation(schema, output_name).strict()
        check_limits(strict, output_name)
    except RecursionError as error:
        raise DeclarationError(
            f"output {output_name}: it is nested deeper than can be read; ask for less at once"
        ) from error
    return strict


class _Transformation:
    def __init__(self, root: Mapping[str, Any], output_name: str) -> None:
        self._root = root
        self._output_name = output_name
        self._definitions = definitions_of(root)
        #: The definitions that the strict form leads to.
        self._reached: dict[str, dict[str, Any]] = {}
        #: References that are being replaced by what they mean.
        self._inlined: list[str] = []

    def strict(self) -> dict[str, Any]:
        # The root of a model that contains itself is a reference, and strict mode wants the object.
        root = resolved(self._root, self._root)
        if union_members(root) is not None or types_of(root) != ["object"]:
            self._refuse("", _AS_A_FIELD)
        strict = self._part(root if "$ref" in self._root else self._root, "")
        if "$ref" in strict:
            strict = self._part(root, "")
        if self._reached:
            strict["$defs"] = {n: self._reached[n] for n in self._definitions if n in self._reached}
        return strict

    def _part(self, schema: Any, field: str) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            self._refuse(field, "it has no one type (Any?); give it a plain type")
        if "$ref" in schema:
            return self._reference(schema, field)
        if "allOf" in schema:
            return self._only_member(schema, field)
        annotations = {key: schema[key] for key in _ANNOTATIONS if key in schema}
        if (members := union_members(schema)) is not None:
            return {**annotations, "anyOf": self._union(schema, members, field)}
        if "const" in schema or "enum" in schema:
            return {**annotations, **self._choice(schema, field)}
        kinds = types_of(schema)
        if not kinds or not set(kinds) <= set(_KEYWORDS):
            self._refuse(field, self._no_type(schema))
        self._check_keywords(schema, _keywords_of(kinds), field)
        if len(kinds) > 1 and {"object", "array"} & set(kinds):
            members = [self._of_kind(schema, kind, field) for kind in kinds]
            return {**annotations, "anyOf": members}
        kind = kinds[0] if len(kinds) == 1 else kinds
        return {**annotations, **self._of_kind(schema, kind, field)}

    def _of_kind(self, schema: Mapping[str, Any], kind: str | list[str], field: str) -> Any:
        known = _keywords_of([kind] if isinstance(kind, str) else kind)
        strict = {"type": kind, **{key: schema[key] for key in schema if key in known}}
        if kind == "object":
            return self._closed(strict, schema, field)
        if kind == "array":
            if "items" not in schema:
                self._refuse(field, "the array does not say what it holds")
            strict["items"] = self._part(schema["items"], f"{field}[]")
        return strict

    def _reference(self, schema: Mapping[str, Any], field: str) -> dict[str, Any]:
        reference = schema["$ref"]
        name = definition_name(reference)
        target = self._root if reference == ROOT else self._definitions.get(name or "")
        if target is None:
            self._refuse(
                field,
                f"the reference {reference} leads to no definition of the schema; "
                "put what it means into $defs",
            )
        self._check_keywords(schema, frozenset({"$ref"}), field)
        if "description" in schema and reference not in self._inlined:
            # A reference stands alone. What it means can carry the field's description.
            self._inlined.append(reference)
            meant = resolved(schema, self._root)
            strict = self._part({**meant, "description": schema["description"]}, field)
            self._inlined.pop()
            return strict
        if name is None:
            return {"$ref": ROOT}
        if name not in self._reached:
            self._reached[name] = {}
            self._reached[name] = self._part(target, name)
        return {"$ref": f"#/$defs/{name.replace('~', '~0').replace('/', '~1')}"}

    def _only_member(self, schema: Mapping[str, Any], field: str) -> dict[str, Any]:
        if len(schema["allOf"]) != 1:
            self._refuse(field, "strict mode has no allOf; write its parts as one object")
        beside = {key: part for key, part in schema.items() if key != "allOf"}
        member = schema["allOf"][0]
        if set(beside) <= {*_ANNOTATIONS, *_LEFT_OUT}:
            return self._part({**member, **beside}, field)
        return self._refuse(field, "strict mode has no allOf beside other keywords; join them")

    def _union(
        self, schema: Mapping[str, Any], members: Sequence[Any], field: str
    ) -> list[dict[str, Any]]:
        """The types of a union. Exactly one of them is what validation sees to."""
        self._check_keywords(schema, frozenset({"anyOf", "oneOf", "discriminator"}), field)
        if not members or {"anyOf", "oneOf"} <= set(schema):
            self._refuse(field, "its union does not say what it holds")
        if any(isinstance(each, Mapping) and each.get("type") == "number" for each in members):
            # Some versions of Pydantic give a Decimal's text a pattern that looks ahead; the number
            # beside it is what a model answers.
            members = [_without_lookaround(member) for member in members]
        return [self._part(member, field) for member in members]

    def _choice(self, schema: Mapping[str, Any], field: str) -> dict[str, Any]:
        key = "const" if "const" in schema else "enum"
        values = [schema["const"]] if key == "const" else schema["enum"]
        self._check_keywords(schema, frozenset({key}), field)
        if not values or not all(type(value) in _TYPE_NAMES for value in values):
            self._refuse(field, f"its {key} holds something else than texts, numbers and booleans")
        names = sorted({_TYPE_NAMES[type(value)] for value in values})
        kind = names[0] if len(names) == 1 else names
        return {"type": kind, key: schema["const"] if key == "const" else list(values)}

    def _closed(
        self, strict: dict[str, Any], schema: Mapping[str, Any], field: str
    ) -> dict[str, Any]:
        properties = schema.get("properties")
        if schema.get("additionalProperties") not in (None, False):
            self._refuse(
                field,
                "an open object (dict, or extra='allow') has no strict form; "
                "declare its fields, or use a list of key and value",
            )
        if not properties:
            self._refuse(field, "an object without fields has no strict form")
        if unknown := sorted(set(schema.get("required", ())) - set(properties)):
            self._refuse(field, f"it requires {', '.join(unknown)}, which it does not declare")
        prefix = f"{field}." if field else ""
        optional = optional_fields(schema, self._root)
        strict["properties"] = {
            name: self._field(part, f"{prefix}{name}", is_optional=name in optional)
            for name, part in properties.items()
        }
        strict["required"] = list(properties)
        strict["additionalProperties"] = False
        return strict

    def _field(self, schema: Any, field: str, *, is_optional: bool) -> dict[str, Any]:
        strict = self._part(schema, field)
        if not is_optional:
            return strict
        annotations = {key: strict.pop(key) for key in _ANNOTATIONS if key in strict}
        members = strict.get("anyOf", [strict])
        return {**annotations, "anyOf": [*members, _NULL]}

    def _check_keywords(self, schema: Mapping[str, Any], known: frozenset[str], field: str) -> None:
        unknown = sorted(set(schema) - known - _LEFT_OUT - {*_ANNOTATIONS, "type"})
        if unknown:
            way_out = _WAYS_OUT.get(unknown[0], "check it in a validator instead")
            self._refuse(field, f"strict mode has no {', '.join(unknown)} here; {way_out}")
        if "format" in schema and schema["format"] not in _FORMATS:
            self._refuse(field, f"strict mode has no format {schema['format']}; use plain str")
        if _LOOKAROUND.search(schema.get("pattern", "")):
            self._refuse(
                field,
                "strict mode's patterns look neither ahead nor behind; "
                "check it in a validator instead",
            )

    def _no_type(self, schema: Mapping[str, Any]) -> str:
        if "not" in schema or "if" in schema:
            return "strict mode has no not and no if; check it in a validator instead"
        return "it has no one type (Any?); give it a plain type"

    def _refuse(self, field: str, why: str) -> NoReturn:
        where = f", field {field}" if field else ""
        raise DeclarationError(f"output {self._output_name}{where}: {why}")


def _keywords_of(kinds: Sequence[str]) -> frozenset[str]:
    return frozenset(keyword for kind in kinds for keyword in _KEYWORDS[kind])


def _without_lookaround(schema: Any) -> Any:
    if isinstance(schema, Mapping) and _LOOKAROUND.search(schema.get("pattern", "")):
        return {key: part for key, part in schema.items() if key != "pattern"}
    return schema
