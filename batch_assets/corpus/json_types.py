"""Arrow types that hold every value of a field of JSON lines, and the values in them."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa

#: Integers up to here are exact as floating point numbers, too.
_EXACT = 2**53

_INT64 = range(-(2**63), 2**63)

#: An object with more names than this is a mapping rather than a structure.
_MOST_FIELDS = 256


@dataclass
class JsonType:
    """What kinds of values a field was seen to have."""

    kinds: set[type] = field(default_factory=set)
    #: The range of its integers.
    least: int = 0
    greatest: int = 0
    _items: "JsonType | None" = None
    _fields: "dict[str, JsonType]" = field(default_factory=dict)

    def take(self, values: Sequence[Any]) -> None:
        """Take in more values of the field."""
        kinds = set(map(type, values))
        kinds.discard(type(None))
        self.kinds |= kinds
        if int in kinds:
            integers = [value for value in values if type(value) is int]
            self.least = min(self.least, *integers)
            self.greatest = max(self.greatest, *integers)
        if list in kinds:
            self._items = self._items or JsonType()
            lists = (value for value in values if type(value) is list)
            self._items.take(list(chain.from_iterable(lists)))
        if dict in kinds and len(self._fields) <= _MOST_FIELDS:
            by_name = defaultdict(list)
            for value in values:
                if type(value) is dict:
                    for name, inner in value.items():
                        by_name[name].append(inner)
            for name, inners in by_name.items():
                self._fields.setdefault(name, JsonType()).take(inners)

    def arrow(self) -> pa.DataType:
        """The narrowest type that alters no value; text where there is no other."""
        if not self.kinds:
            return pa.null()
        if self.kinds == {bool}:
            return pa.bool_()
        if self.kinds == {int}:
            fits = self.least in _INT64 and self.greatest in _INT64
            return pa.int64() if fits else pa.string()
        if self.kinds == {float}:
            return pa.float64()
        if self.kinds == {int, float}:
            exact = self.least >= -_EXACT and self.greatest <= _EXACT
            return pa.float64() if exact else pa.string()
        if self.kinds == {list} and self._items is not None:
            return pa.list_(self._items.arrow())
        if self.kinds == {dict} and 0 < len(self._fields) <= _MOST_FIELDS:
            return pa.struct([(name, inner.arrow()) for name, inner in self._fields.items()])
        return pa.string()


def json_array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    """The values as an array of the type; what is no text becomes its JSON where text is wanted."""
    try:
        return pa.array(values, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([_fitted(value, type_) for value in values], type_)


def _fitted(value: Any, type_: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_list(type_):
        return [_fitted(item, type_.value_type) for item in value]
    if pa.types.is_struct(type_):
        return {inner.name: _fitted(value.get(inner.name), inner.type) for inner in type_}
    if pa.types.is_string(type_) and type(value) is not str:
        return json.dumps(value, ensure_ascii=False)
    return value
