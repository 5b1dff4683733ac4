"""read_back: a provider's list as far back as a time, where it is seen to run from new to old."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from batch_assets.domain.listing import CLOCK_SKEW, DISORDER
from batch_assets.domain.provider import ProviderBatch, RemoteFile

#: Entries of a list behind the time that is read back to, after which it has shown its order.
BEHIND = 200

Listed = TypeVar("Listed", ProviderBatch, RemoteFile)


def read_back(listed: Iterable[Listed], since: datetime) -> Iterator[Listed]:
    """Those created at `since` or later, and older ones.

    Ends behind them only where the list is seen to run from new to old: one that does not is read
    to its end.
    """
    enough = since - CLOCK_SKEW - DISORDER
    first = lowest = None
    is_falling, behind = True, 0
    for each in listed:
        yield each
        time = each.created_at
        if time is None:
            continue
        first, lowest = first or time, lowest or time
        is_falling = is_falling and time <= lowest + DISORDER
        lowest = min(lowest, time)
        behind = behind + 1 if time < enough else 0
        if is_falling and behind >= BEHIND and lowest < first - DISORDER:
            return
