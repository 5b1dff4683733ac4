"""The clock and the waiting of a command: others in a test."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Time:
    """The real time, where nothing else is given."""

    now: Callable[[], datetime] = _utc_now
    #: Waits so many seconds.
    sleep: Callable[[float], None] = time.sleep
