"""How long a caller can wait for the provider, and how often it may call."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from batch_assets.domain.errors import OutOfTime


@dataclass
class _Block:
    deadline: float
    #: None without end.
    calls: int | None


class Patience:
    """Without end, except in a block that has so many seconds and calls."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._blocks: list[_Block] = []
        self._slowest = 0.0

    @property
    def is_bounded(self) -> bool:
        """Whether the caller cannot wait, so that nothing is tried again."""
        return bool(self._blocks)

    @contextmanager
    def within(self, seconds: float, calls: int | None = None) -> Iterator[None]:
        """A block inside another has no more than that one has left."""
        self._blocks.append(_Block(deadline=self._clock() + seconds, calls=calls))
        try:
            yield
        finally:
            self._blocks.pop()
            if not self._blocks:
                self._slowest = 0.0

    def take(self, call: str) -> float | None:
        """The seconds that the call may take; None without end.

        Raises OutOfTime where none is left, or fewer than the slowest call so far took.
        """
        if not self._blocks:
            return None
        left = min(block.deadline for block in self._blocks) - self._clock()
        if left <= self._slowest or any(block.calls == 0 for block in self._blocks):
            raise OutOfTime(f"{call}: the time for it is over; it is tried again the next time")
        for block in self._blocks:
            if block.calls is not None:
                block.calls -= 1
        return left

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Notes how long the call in this block takes."""
        begin = self._clock()
        try:
            yield
        finally:
            if self._blocks:
                self._slowest = max(self._slowest, self._clock() - begin)
