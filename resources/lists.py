"""Reads a list of batches or files as far back as something may stand in it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from batch_assets.domain.errors import ProviderUnavailable
from batch_assets.resources.replies import CursorGone, created_at

#: How far the provider's clock and ours may disagree. A page more of a list costs nothing, and a
#: batch that is overlooked is paid for twice.
CLOCK_SKEW = timedelta(hours=1)

#: How far a list from new to old may be out of order, as where servers write side by side.
DISORDER = timedelta(minutes=10)

#: The batches or files after a cursor, and the next cursor.
Page = Callable[[str, str | None], tuple[list[object], str | None]]


def read_back(call: str, since: datetime, page: Page, *, is_ordered: bool) -> Iterator[object]:
    """All batches or files created at `since` or later, and some older ones.

    Ends at the page that reaches back behind `since`, but only where the list is seen to run from
    new to old: one that does not, or shows one moment only, is read to its end, as is one whose
    server promises no order.
    """
    enough = (since - CLOCK_SKEW - DISORDER).timestamp()
    first: int | None = None
    lowest: int | None = None
    falling = is_ordered
    after: str | None = None
    while True:
        try:
            entries, after = page(call, after)
        except CursorGone as error:
            raise ProviderUnavailable(
                f"{call}: the list breaks off; it is read again the next time"
            ) from error
        yield from entries
        for time in filter(None, map(created_at, entries)):
            first = time if first is None else first
            lowest = time if lowest is None else lowest
            falling = falling and time <= lowest + DISORDER.total_seconds()
            lowest = min(lowest, time)
        if after is None:
            return
        if falling and first is not None and lowest is not None and lowest < min(first, enough):
            return


def may_be_since(entry: object, since: datetime) -> bool:
    """Whether it may have been created at `since` or later, by the provider's clock."""
    time = created_at(entry)
    return time is None or time >= (since - CLOCK_SKEW).timestamp()
