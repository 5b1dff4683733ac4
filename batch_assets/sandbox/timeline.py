"""How far a batch is, as a pure function of its dates, its latencies and the time now.

A tenth of the latency is validation, eight tenths are execution, the last tenth is finalizing.
Status names and timestamps are OpenAI's (API reference, Batch object).
"""

from dataclasses import dataclass

COMPLETION_WINDOW = 24 * 60 * 60
TERMINAL = frozenset({"failed", "completed", "expired", "cancelled"})
WITH_RESULTS = frozenset({"finalizing", "completed", "expired", "cancelled"})
STEPS = ("validating", "in_progress", "finalizing", "completed")


@dataclass(frozen=True, kw_only=True)
class Standing:
    status: str
    times: dict[str, int]
    """Unix seconds by field name (`in_progress_at`), for the statuses passed so far."""
    share: float
    """The part of the requests that has been executed, 0 to 1."""

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, kw_only=True)
class Timeline:
    created_at: float
    latency: float
    cancel_delay: float
    valid: bool
    cancelling_at: float | None = None
    stuck_in: str | None = None
    """The status that is never left, but by a cancel."""
    expiring: bool = False
    """Whether the window is shortened to the latency, at whose end the batch expires."""
    window: float = COMPLETION_WINDOW
    most: float = 1.0
    """The share that is never exceeded."""

    @property
    def expires_at(self) -> float:
        return self.created_at + (self.latency if self.expiring else self.window)

    @property
    def _validated_at(self) -> float:
        return self.created_at + self.latency / 10

    @property
    def _finalizing_at(self) -> float:
        return self.created_at + self.latency * 9 / 10

    def standing(self, now: float) -> Standing:
        if self.cancelling_at is None or now < self.cancelling_at:
            return self._undisturbed(now)
        before = self._undisturbed(self.cancelling_at)
        cancelled_at = self.cancelling_at + self.cancel_delay
        times = before.times | {"cancelling_at": int(self.cancelling_at)}
        if now < cancelled_at or self.stuck_in == "cancelling":
            return Standing(status="cancelling", times=times, share=before.share)
        times["cancelled_at"] = int(cancelled_at)
        return Standing(status="cancelled", times=times, share=before.share)

    def _undisturbed(self, now: float) -> Standing:
        passed = [(status, moment) for status, moment in self._steps() if moment <= now]
        return Standing(
            status=passed[-1][0] if passed else "validating",
            times={f"{status}_at": int(moment) for status, moment in passed},
            share=self._share(now) if any(s == "in_progress" for s, _ in passed) else 0.0,
        )

    def _steps(self) -> list[tuple[str, float]]:
        if not self.valid:
            steps = [("failed", self._validated_at)]
        elif self.expiring:
            return [("in_progress", self._validated_at), ("expired", self.expires_at)]
        else:
            steps = [
                ("in_progress", self._validated_at),
                ("finalizing", self._finalizing_at),
                ("completed", self.created_at + self.latency),
            ]
        if self.stuck_in in STEPS:
            return steps[: STEPS.index(self.stuck_in)]
        in_time = [step for step in steps if step[1] <= self.expires_at]
        return in_time if in_time == steps else [*in_time, ("expired", self.expires_at)]

    def _share(self, now: float) -> float:
        span = self._finalizing_at - self._validated_at
        worked = min(now, self.expires_at) - self._validated_at
        return min(self.most, worked / span) if span > 0 else self.most
