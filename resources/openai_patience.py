"""How long a caller can wait for the provider."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Patience:
    """Without end, except in a block that has so many seconds."""

    def __init__(self) -> None:
        self._deadline: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """A block inside another ends no later than that one."""
        outer = self._deadline
        own = time.monotonic() + seconds
        self._deadline = own if outer is None else min(own, outer)
        try:
            yield
        finally:
            self._deadline = outer

    @property
    def seconds_left(self) -> float | None:
        """Zero or less where the time is over; None without end."""
        return None if self._deadline is None else self._deadline - time.monotonic()
