"""Values at the edges of what a setting takes, from its type."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

#: For types that say less than they take: any text, any mapping.
_A_TEXT = "a"


def edges(kind: Any) -> list[Any]:
    """Of a type of the settings' tables: bounds, choices, longest texts, and null where it may be.

    Each is checked to be of the type.
    """
    found = list(_edges(inspect.type_info(kind)))
    return [msgspec.to_builtins(msgspec.convert(value, kind)) for value in found]


def _edges(info: inspect.Type) -> Iterator[Any]:
    match info:
        case inspect.NoneType():
            yield None
        case inspect.BoolType():
            yield from (False, True)
        case inspect.IntType() | inspect.FloatType():
            yield info.ge if info.ge is not None else 0
            yield info.le if info.le is not None else 100_000
        case inspect.StrType(pattern=str()):
            yield from ("auto", "1024x1024")
        case inspect.StrType():
            yield _A_TEXT * (info.min_length or 1)
            yield _A_TEXT * (info.max_length or 1_000)
        case inspect.LiteralType():
            yield from info.values
        case _:
            yield from _edges_of_several(info)


def _edges_of_several(info: inspect.Type) -> Iterator[Any]:
    match info:
        case inspect.UnionType():
            for each in info.types:
                yield from _edges(each)
        case inspect.ListType():
            yield from ([value] for value in _edges(info.item_type))
            yield [next(_edges(info.item_type))] * (info.max_length or 1)
        case inspect.DictType(value_type=inspect.AnyType()):
            yield {}
        case inspect.DictType():
            for name in _edges(info.key_type):
                yield from ({name: value} for value in _edges(info.value_type))
            value = next(_edges(info.value_type))
            yield {f"{number}": value for number in range(info.max_length or 3)}
        case inspect.TypedDictType() | inspect.StructType():
            for field in info.fields:
                yield from ({field.encode_name: value} for value in _edges(field.type))
        case _:
            raise NotImplementedError(info)
