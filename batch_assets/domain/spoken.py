"""Times, durations and lists as a person says them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

#: Units from the largest, each used from twice its size on.
_UNITS = (
    (timedelta(days=1), "days"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
)


def first_of(said: Iterable[str], most: int) -> list[str]:
    """The first of many clauses, and how many more there are."""
    clauses = list(said)
    more = len(clauses) - most
    return [*clauses[:most], f"and {more:,} more such"] if more > 0 else clauses


def spoken_age(age: timedelta) -> str:
    """How long: in seconds below two minutes, then in minutes, hours from two on, and days."""
    for unit, word in _UNITS:
        if age >= 2 * unit:
            return f"{age // unit} {word}"
    return f"{max(int(age.total_seconds()), 0)} s"


def spoken_time(at: datetime, now: datetime) -> str:
    """The time of the clock in UTC, with the day where it is not today's."""
    at = at.astimezone(UTC)
    is_today = at.date() == now.astimezone(UTC).date()
    return f"{at:%H:%M} UTC" if is_today else f"{at:%Y-%m-%d %H:%M} UTC"
