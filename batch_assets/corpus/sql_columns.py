"""Values of a database's driver as Arrow columns of one type each."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

import pyarrow as pa

#: The most digits an Arrow decimal has.
_MOST_DIGITS = 76


class UnfitValue(Exception):
    """A row's value is not of its column's type."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(row, why)
        #: Position in the batch, and what is wrong.
        self.row = row
        self.why = why


@dataclass(frozen=True, kw_only=True)
class SqlColumn:
    """What a column holds, by its first value that is no null.

    The drivers hand out a column's values in Python's own types, and few name a type beside them;
    SQLite has none to name. So the first value decides, and another kind of value is refused.
    """

    type: pa.DataType
    #: Python's types of its values, without None.
    kinds: frozenset[type]
    #: From a driver's value to one that Arrow takes.
    convert: Callable[[Any], Any] | None = None

    @classmethod
    def of(cls, values: Sequence[Any], *, digits: int | None, scale: int | None) -> Self | None:
        """The column of these values; None where all of them are null, or lists without a value.

        `digits` and `scale` are those of a declared decimal. Raises UnfitValue for values that have
        no Arrow type.
        """
        kinds = set(map(type, values)) - {type(None)}
        if kinds == {int, float}:
            return cls(type=pa.float64(), kinds=frozenset({int, float}))
        for row, value in enumerate(values):
            if value is None:
                continue
            if type(value) is not list:
                return cls._of_value(value, row, digits, scale)
            first = next((part for part in value if part is not None), None)
            if first is not None:
                return cls._of_list(first, row)
        return None

    @classmethod
    def without_values(cls, *, lists: bool) -> Self:
        """A column in which everything is null, or, of `lists`, an empty list."""
        if lists:
            return cls(type=pa.list_(pa.null()), kinds=frozenset({list}))
        return cls(type=pa.null(), kinds=frozenset())

    @classmethod
    def _of_list(cls, first: Any, row: int) -> Self:
        if type(first) is not list:
            item = cls._of_value(first, row, None, None)
            if item.convert is None:
                return cls(type=pa.list_(item.type), kinds=frozenset({list}))
        return cls(type=pa.string(), kinds=frozenset({list}), convert=_as_json)

    @classmethod
    def _of_value(cls, value: Any, row: int, digits: int | None, scale: int | None) -> Self:
        kind = type(value)
        if kind is Decimal and digits is not None and 0 < digits <= _MOST_DIGITS:
            exact = pa.decimal128 if digits <= 38 else pa.decimal256
            if scale is not None and 0 <= scale <= digits:
                return cls(type=exact(digits, scale), kinds=frozenset({Decimal}))
        if kind is datetime and value.tzinfo is not None:
            return cls(type=pa.timestamp("us", "UTC"), kinds=frozenset({datetime}))
        if kind is float:
            return cls(type=pa.float64(), kinds=frozenset({float, int}))
        if kind not in _PLAIN:
            raise UnfitValue(row, f"{_name(kind)} has no type here: CAST it to text in the query")
        type_, convert = _PLAIN[kind]
        return cls(type=type_, kinds=frozenset({kind}), convert=convert)

    def array(self, values: Sequence[Any]) -> pa.Array:
        """The values as an Arrow array. Raises UnfitValue for the first that is not of the type."""
        foreign = set(map(type, values)) - self.kinds - {type(None)}
        if foreign:
            row = next(row for row, value in enumerate(values) if type(value) in foreign)
            raise UnfitValue(
                row,
                f"{_name(type(values[row]))} in a column of {_name(*self.kinds)}: "
                "CAST it to one type in the query",
            )
        convert = self.convert
        if convert is not None:
            values = [None if value is None else convert(value) for value in values]
        try:
            return pa.array(values, self.type)
        except (pa.ArrowException, ValueError, OverflowError):
            for row, value in enumerate(values):
                self._check(row, value)
            raise

    def _check(self, row: int, value: Any) -> None:
        try:
            pa.array([value], self.type)
        except (pa.ArrowException, ValueError, OverflowError) as error:
            said = " ".join(str(error).split())
            raise UnfitValue(
                row, f"the value does not fit {self.type} ({said}): CAST it to text in the query"
            ) from error


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _name(*kinds: type) -> str:
    return " or ".join(sorted(kind.__name__ for kind in kinds))


_PLAIN: dict[type, tuple[pa.DataType, Callable[[Any], Any] | None]] = {
    bool: (pa.bool_(), None),
    int: (pa.int64(), None),
    str: (pa.string(), None),
    bytes: (pa.binary(), None),
    bytearray: (pa.binary(), bytes),
    memoryview: (pa.binary(), bytes),
    # A decimal that is declared without digits has as many as it needs in each row.
    Decimal: (pa.string(), str),
    UUID: (pa.string(), str),
    dict: (pa.string(), _as_json),
    date: (pa.date32(), None),
    datetime: (pa.timestamp("us"), None),
    time: (pa.time64("us"), None),
    timedelta: (pa.duration("us"), None),
}
