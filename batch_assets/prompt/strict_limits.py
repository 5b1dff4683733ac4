"""What strict mode limits over a whole schema.

The numbers are OpenAI's (guide "Structured model outputs", section "Supported schemas"); that the
objects of a union are told apart by their first field is in the API's own 400 answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.json_schema import ROOT, choices_of, definition_name, resolved

_MOST_PROPERTIES = 5_000
_MOST_LEVELS = 10
_MOST_CHOICES = 1_000
#: Names, choices and constants together.
_MOST_CHARACTERS = 120_000
_MANY_CHOICES = 250
_MOST_CHARACTERS_OF_MANY_CHOICES = 15_000


def check_limits(strict: Mapping[str, Any], output_name: str) -> None:
    """Raise DeclarationError where a strict schema is more than the provider takes, or endless."""
    definitions = strict.get("$defs", {})
    names = [*definitions]
    choices: list[Any] = []
    properties = 0
    for part in _parts(strict):
        own = part.get("properties", {})
        properties += len(own)
        names += own
        choices += part.get("enum", ())
        names += [part["const"]] if "const" in part else []
        _check_many_choices(part.get("enum", ()), output_name)
        _check_first_fields(part.get("anyOf", ()), strict, output_name)
    _check_ends(strict, output_name)
    levels = max(_levels(part) for part in (strict, *definitions.values()))
    for what, count, most in (
        ("fields", properties, _MOST_PROPERTIES),
        ("levels of nesting", levels, _MOST_LEVELS),
        ("choices", len(choices), _MOST_CHOICES),
        ("characters of names and choices", _characters([*names, *choices]), _MOST_CHARACTERS),
    ):
        if count > most:
            raise DeclarationError(
                f"output {output_name}: {count} {what} are more than strict mode's {most}; "
                "ask for less at once"
            )


def _check_many_choices(choices: Sequence[Any], output_name: str) -> None:
    count, most = _characters(choices), _MOST_CHARACTERS_OF_MANY_CHOICES
    if len(choices) > _MANY_CHOICES and count > most:
        raise DeclarationError(
            f"output {output_name}: {count} characters of {len(choices)} choices are more than "
            f"strict mode's {most} of more than {_MANY_CHOICES}; shorten them"
        )


def _check_first_fields(
    members: Sequence[Mapping[str, Any]], root: Mapping[str, Any], output_name: str
) -> None:
    objects = [resolved(member, root).get("properties") or {} for member in members]
    for one, other in combinations(filter(None, objects), 2):
        first = next(iter(one))
        if first == next(iter(other)) and not _told_apart(one[first], other[first], root):
            raise DeclarationError(
                f"output {output_name}: two types of a union both begin with the field {first}, "
                "and strict mode tells them apart by the first field; begin each with one "
                'of its own, or with a constant: kind: Literal["a"]'
            )


def _told_apart(one: Mapping[str, Any], other: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    choices = [choices_of(resolved(part, root)) for part in (one, other)]
    return all(choices) and not any(choice in choices[1] for choice in choices[0])


def _check_ends(strict: Mapping[str, Any], output_name: str) -> None:
    """A model would write a type that always contains itself until its tokens are used up."""
    endless = {ROOT: strict, **strict.get("$defs", {})}
    while ending := {name for name, part in endless.items() if _ends(part, endless)}:
        endless = {name: part for name, part in endless.items() if name not in ending}
    if endless:
        # The root comes first, and is endless for the sake of what it holds.
        name = [*endless][-1]
        where = "the answer" if name == ROOT else name
        raise DeclarationError(
            f"output {output_name}: {where} always contains itself, so no answer ever ends; "
            "let a field of it be null, or a list"
        )


def _ends(schema: Mapping[str, Any], endless: Mapping[str, Any]) -> bool:
    if "$ref" in schema:
        return (definition_name(schema["$ref"]) or ROOT) not in endless
    if "anyOf" in schema:
        return any(_ends(member, endless) for member in schema["anyOf"])
    if schema.get("type") == "array":
        return not schema.get("minItems") or _ends(schema["items"], endless)
    return all(_ends(part, endless) for part in schema.get("properties", {}).values())


def _characters(values: Sequence[Any]) -> int:
    return sum(len(text) for text in values if isinstance(text, str))


def _levels(schema: Mapping[str, Any]) -> int:
    """Objects and arrays inside each other; a reference begins anew, as recursion must."""
    own = schema.get("type") in ("object", "array")
    return own + max(map(_levels, _children(schema)), default=0)


def _children(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from schema.get("properties", {}).values()
    yield from schema.get("anyOf", ())
    if "items" in schema:
        yield schema["items"]


def _parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    for child in (*_children(schema), *schema.get("$defs", {}).values()):
        yield from _parts(child)
