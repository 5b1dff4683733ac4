"""What the notifications read, and how far they told it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import dagster as dg

from batch_assets.operations import event_log
from batch_assets.operations.inference_events import InferenceEvent


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """How far everything was told."""

    #: Where the event log ended when the sensor was turned on.
    since: int
    #: Until when checks were read, in seconds of the epoch, by inference; "" stands for all.
    checks: Mapping[str, float]
    #: The last event that was read, by kind and inference.
    events: Mapping[str, int] = field(default_factory=dict)
    #: Stops and approvals that were told and still stand.
    standing: frozenset[str] = frozenset()

    @classmethod
    def of(cls, context: dg.SensorEvaluationContext) -> "Cursor":
        if not context.cursor:
            now = datetime.now(UTC).timestamp()
            return cls(since=event_log.newest_event(context.instance), checks={"": now})
        written = json.loads(context.cursor)
        return cls(**{**written, "standing": frozenset(written["standing"])})

    def __str__(self) -> str:
        return json.dumps({**vars(self), "standing": sorted(self.standing)})

    def event(self, name: str) -> int:
        """The last one that was read, by the name of what is told of it."""
        return self.events.get(name, self.since)

    def reached(self, name: str, event: int) -> "Cursor":
        """Never back: what is read again for another's sake was told."""
        return replace(self, events={**self.events, name: max(event, self.event(name))})


@dataclass(frozen=True, kw_only=True)
class News:
    """Something that was read: an event, or that there is none."""

    event: InferenceEvent | None
    #: The cursor once it is told.
    told: Callable[[Cursor], Cursor]
