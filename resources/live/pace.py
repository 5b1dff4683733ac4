"""How fast an endpoint is asked: the rates that were declared, and what its refusals teach."""

import random
import threading
import time
from collections.abc import Callable

#: Longest sleep before orders are looked for again.
NAP = 0.5

#: Part of a minute's allowance that may be used at once.
_BURST = 0.1


class _Bucket:
    """An allowance that refills by itself; a large request may overdraw it."""

    def __init__(self, per_minute: int, now: float) -> None:
        self._rate = per_minute / 60
        self._most = max(per_minute * _BURST, 1.0)
        self.level = self._most
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until something may be taken."""
        self.level = min(self._most, self.level + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self.level > 0 else -self.level / self._rate + 1e-3


class Pace:
    """Shared by all who ask one endpoint.

    A refusal for the rate has all of them wait, and halves how many ask at once; each answer gives
    a part of that back, as TCP does.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._most = concurrency
        self._width = float(concurrency)
        self._asking = 0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._paused_until = clock()
        now = clock()
        self._requests = requests_per_minute and _Bucket(requests_per_minute, now)
        self._tokens = tokens_per_minute and _Bucket(tokens_per_minute, now)

    def now(self) -> float:
        return self._clock()

    def begin(self, tokens: int, goes_on: Callable[[], bool]) -> bool:
        """Wait for a turn to send a request of about so many tokens; False where none comes."""
        while goes_on():
            with self._lock:
                wait = self._wait()
                if wait <= 0:
                    self._take(1, tokens)
                    self._asking += 1
                    return True
            self._sleep(min(wait, NAP))
        return False

    def end(self, *, further_tokens: int = 0, answered: bool = False) -> None:
        """The request is not on its way any more; it took so many more tokens than were thought."""
        with self._lock:
            self._asking -= 1
            self._take(0, further_tokens)
            if answered:
                self._width = min(self._most, self._width + 1 / self._width)

    def rest(self, seconds: float) -> None:
        """Nobody asks for so long."""
        with self._lock:
            now = self._clock()
            if now >= self._paused_until:
                # Those that were on their way at once are refused at once, and count as one.
                self._width = max(1.0, self._width / 2)
            self._paused_until = max(self._paused_until, now + seconds)

    def wait(self, seconds: float, goes_on: Callable[[], bool]) -> bool:
        """Wait, of all who ask, alone; False where it is of no use any more."""
        until = self._clock() + seconds
        while goes_on():
            left = until - self._clock()
            if left <= 0:
                return True
            self._sleep(min(left, NAP))
        return False

    def _wait(self) -> float:
        now = self._clock()
        if now < self._paused_until:
            return self._paused_until - now
        if self._asking >= int(self._width):
            return NAP / 10
        return max((bucket.wait(now) for bucket in self._buckets()), default=0.0)

    def _take(self, requests: int, tokens: int) -> None:
        if self._requests:
            self._requests.level -= requests
        if self._tokens:
            self._tokens.level -= tokens

    def _buckets(self) -> list[_Bucket]:
        return [bucket for bucket in (self._requests, self._tokens) if bucket]


def backoff(failures: int, *, first: float = 1.0, longest: float = 30.0) -> float:
    """Seconds to wait after so many failures of a request, spread so that none come together."""
    wait: float = min(first * 2 ** min(failures - 1, 10), longest)
    return wait * random.uniform(0.75, 1.25)
