"""A lane of a test's own: the real SDK against the sandbox, on a clock that sleeping moves."""

import threading
from collections.abc import Callable

from batch_assets.domain.budget import Budget
from batch_assets.domain.price import PriceList
from batch_assets.domain.shard import Limits
from batch_assets.resources.live import LiveLane
from batch_assets.resources.live.caller import Caller
from batch_assets.resources.live.openai_caller import openai_caller
from batch_assets.resources.live.pace import Pace
from batch_assets.sandbox import ManualClock

LIMITS = Limits(requests=50_000, bytes=200_000_000)


class SleptTime:
    """Seconds that pass by being slept through; the provider's clock goes with them."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._now = 0.0

    def now(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
        if self._clock is not None:
            self._clock.advance(seconds)


def a_lane(
    base_url: str,
    *,
    time: SleptTime | None = None,
    concurrency: int = 1,
    max_retries: int = 2,
    api_key: str = "sk-test-0123456789",
    caller: Callable[..., Caller] = openai_caller,
    limits: Limits = LIMITS,
    timeout_seconds: float = 10.0,
    price_list: PriceList | None = None,
    **rates: int,
) -> LiveLane:
    """A lane to the server at that address; close it."""
    time = time or SleptTime()
    return LiveLane(
        account="openai-live",
        limits=limits,
        budget=Budget(),
        caller=lambda: caller(
            api_key=api_key,
            key_variable="OPENAI_API_KEY",
            base_url=base_url,
            timeout_seconds=timeout_seconds,
        ),
        pace=lambda: Pace(concurrency=concurrency, clock=time.now, sleep=time.sleep, **rates),
        concurrency=concurrency,
        max_retries=max_retries,
        price_list=price_list,
        has_key=bool(api_key),
        key_variable="OPENAI_API_KEY",
        sdk="openai",
    )
