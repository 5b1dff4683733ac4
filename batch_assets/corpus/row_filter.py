"""Which rows of a file belong to a partition that a column's values make."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.corpus.column_text import as_text


class UnfitTime(Exception):
    """A value that is no time: its row in the batch, and why."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row = row


class RowFilter(ABC):
    """A rule over the values of one column."""

    column: str

    @abstractmethod
    def mask(self, values: pa.Array) -> pa.Array:
        """Which of the values belong; a null does not. Raises UnfitTime."""

    @abstractmethod
    def may_hold(self, least: Any, greatest: Any) -> bool:
        """Whether a value between the two can belong; True where that cannot be known."""


@dataclass(frozen=True, kw_only=True)
class OneValue(RowFilter):
    """Rows whose column has this value, as text."""

    column: str
    value: str

    def mask(self, values: pa.Array) -> pa.Array:
        """Which of the values are this one."""
        return pc.fill_null(pc.equal(as_text(values), self.value), False)

    def may_hold(self, least: Any, greatest: Any) -> bool:
        """Whether texts, numbers or days from least to greatest can be this value."""
        if isinstance(least, str):
            return bool(least <= self.value <= greatest)
        if isinstance(least, date) and not isinstance(least, datetime):
            return bool(least.isoformat() <= self.value <= greatest.isoformat())
        if isinstance(least, int) and not isinstance(least, bool):
            return not _is_integer(self.value) or least <= int(self.value) <= greatest
        return True


@dataclass(frozen=True, kw_only=True)
class Within(RowFilter):
    """Rows whose column is a time in a window; its end is outside.

    Times without a zone are in the window's own.
    """

    column: str
    start: datetime
    end: datetime

    def mask(self, values: pa.Array) -> pa.Array:
        """Which of the times are in the window."""
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
            zoned = getattr(values.type, "tz", None)
            type_ = pa.timestamp("us", "UTC" if zoned else None)
            times = pc.cast(values, type_, safe=False)
            start, end = (
                pa.scalar(self._naive(time) if not zoned else time, type_)
                for time in (self.start, self.end)
            )
            inside = pc.and_(pc.greater_equal(times, start), pc.less(times, end))
            return pc.fill_null(inside, False)
        return pa.array(
            [self._is_inside(row, value) for row, value in enumerate(values.to_pylist())],
            pa.bool_(),
        )

    def may_hold(self, least: Any, greatest: Any) -> bool:
        """Whether times from least to greatest can be in the window."""
        if not isinstance(least, date):
            return True
        return self._time(least) < self.end and self._time(greatest) >= self.start

    def _is_inside(self, row: int, value: Any) -> bool:
        if value is None or value == "":
            return False
        try:
            time = datetime.fromisoformat(value)
        except (TypeError, ValueError) as error:
            raise UnfitTime(row, f"{value!r} is no time like 2026-01-31T23:59:00Z") from error
        return self.start <= self._time(time) < self.end

    def _time(self, value: date) -> datetime:
        if not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        return value if value.tzinfo else value.replace(tzinfo=self.start.tzinfo)

    @staticmethod
    def _naive(time: datetime) -> datetime:
        return time.replace(tzinfo=None)


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit()
