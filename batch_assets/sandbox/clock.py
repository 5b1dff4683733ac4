"""Where the sandbox reads the time: nothing in it sleeps or looks at a clock of its own."""

import asyncio
import threading
import time
from abc import ABC, abstractmethod


class Clock(ABC):
    @abstractmethod
    def now(self) -> float:
        """Seconds since the Unix epoch."""

    async def pass_seconds(self, seconds: float) -> None:
        """Let so much time go by; a clock that others move does not."""
        return


class SystemClock(Clock):
    def now(self) -> float:
        return time.time()

    async def pass_seconds(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds)


class ManualClock(Clock):
    """A clock that moves only when it is told to; one test and many threads may share it."""

    def __init__(self, start: float = 1_760_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("a clock does not go back")
        with self._lock:
            self._now += seconds

    def restart(self, at: float) -> None:
        """Only for a sandbox that has just been emptied: its batches must not go back in time."""
        with self._lock:
            self._now = at
