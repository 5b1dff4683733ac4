"""Reads a list of batches or files: to its end, or as far back as something may stand in it."""

from collections.abc import Callable, Iterator
from datetime import datetime

from batch_assets.domain.errors import ProviderUnavailable, RequestRefused
from batch_assets.domain.listing import CLOCK_SKEW, DISORDER
from batch_assets.domain.provider import ProviderBatch
from batch_assets.resources.replies import CursorGone, NotListed, created_at

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
    for entries in _pages(call, page, None):
        yield from entries
        for time in filter(None, map(created_at, entries)):
            first = time if first is None else first
            lowest = time if lowest is None else lowest
            falling = falling and time <= lowest + DISORDER.total_seconds()
            lowest = min(lowest, time)
        if falling and first is not None and lowest is not None and lowest < min(first, enough):
            return


def read_all(call: str, page: Page, *, after: str | None = None) -> Iterator[object]:
    """All batches or files, or those behind the one with the id `after`, in the server's order.

    Raises RequestRefused where the server has no such list, or none that goes on there.
    """
    try:
        for entries in _pages(call, page, after):
            yield from entries
    except NotListed as error:
        raise RequestRefused(f"{call}: {error}; ask for one by its id") from None


def behind(
    call: str, batches: Iterator[ProviderBatch], after: str | None
) -> Iterator[ProviderBatch]:
    """Those of a list that stand behind the one with that id, of a server that takes no cursor.

    Raises RequestRefused where none has it.
    """
    if after is not None and all(batch.id != after for batch in batches):
        raise RequestRefused(_no_place(call, after))
    yield from batches


def _pages(call: str, page: Page, after: str | None) -> Iterator[list[object]]:
    cursor = after
    while True:
        try:
            entries, cursor = page(call, cursor)
        except CursorGone as error:
            if after is not None and cursor == after:
                raise RequestRefused(_no_place(call, after)) from error
            raise ProviderUnavailable(
                f"{call}: the list breaks off; it is read again the next time"
            ) from error
        yield entries
        if cursor is None:
            return


def _no_place(call: str, after: str) -> str:
    return (
        f"{call}: the provider has no {after} in it to go on behind; take the id of one that it "
        "lists, or begin at the start"
    )


def may_be_since(entry: object, since: datetime) -> bool:
    """Whether it may have been created at `since` or later, by the provider's clock."""
    time = created_at(entry)
    return time is None or time >= (since - CLOCK_SKEW).timestamp()
