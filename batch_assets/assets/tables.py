"""Tables that stand beside materializations and observations, in the order a person reads them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.stages.difference import Difference

#: Longest text of one table cell; the whole text is in the files.
_LONGEST_CELL = 300

_DIGEST = re.compile("[0-9a-f]{64}")

#: Batches of the account's queue that a table shows.
_QUEUE_SHOWN = 20


def table(rows: Iterable[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    """The rows, or the word none."""
    records = [dg.TableRecord(row) for row in rows]
    if not records:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.table(records)


def cell(value: Any) -> str:
    """The value as text, cut where it is long."""
    text = "" if value is None else str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


def difference_table(found: Difference) -> dg.MetadataValue[Any]:
    """Which items are other than before, and why; then each part of the shape that is."""
    kinds = {"new": found.new, "changed": found.changed, "gone": found.gone}
    items = [
        {
            "what": f"{name} items",
            "items": kind.items,
            "why": found.why if kind is found.changed else "",
            "before": "",
            "now": "",
            "examples": cell(", ".join(kind.examples)),
        }
        for name, kind in kinds.items()
        if kind.items
    ]
    parts = [
        {
            "what": part,
            "items": found.changed.items,
            "why": "",
            "before": _part(before),
            "now": _part(now),
            "examples": "",
        }
        for part, (before, now) in found.parts.items()
    ]
    return table([*items, *parts])


def _part(value: str) -> str:
    """A name as it is, a digest cut."""
    return value[:12] if _DIGEST.fullmatch(value) else cell(value)


def batches_table(batches: Sequence[Batch], now: datetime) -> dg.MetadataValue[Any]:
    """Each batch: where it stands, how old it is, and why it waits."""
    return table(
        {
            "batch": int(batch.id),
            "wave": batch.wave,
            "shard": batch.shard,
            "attempt": batch.attempt,
            "refusals": batch.refusals,
            "state": batch.state.value,
            "provider_status": batch.provider_status or "",
            "age": _age(batch, now),
            "requests": batch.reservation.requests,
            "prompt_tokens": batch.reservation.tokens,
            "provider_id": batch.provider_id or "",
            "reason": cell(_reason(batch, now)),
        }
        for batch in batches
    )


def queue_table(queue: Sequence[Batch]) -> dg.MetadataValue[Any]:
    """The order in which waiting batches of the account get room, next one first."""
    return table(
        {
            "place": place,
            "inference": batch.request_set.inference,
            "partition": batch.request_set.partition_key,
            "wave": batch.wave,
            "shard": batch.shard,
            "prompt_tokens": batch.reservation.tokens,
            "asked_by": batch.request_set.origin,
        }
        for place, batch in enumerate(queue[:_QUEUE_SHOWN], start=1)
    )


def _age(batch: Batch, now: datetime) -> str:
    """Time since it was planned; of one that has ended, until then."""
    until = batch.ended_at or now
    return str(timedelta(seconds=int((until - batch.created_at).total_seconds())))


def _reason(batch: Batch, now: datetime) -> str | None:
    if (
        batch.state is BatchState.PLANNED
        and batch.not_before is not None
        and batch.not_before > now
    ):
        until = f"not sent before {batch.not_before:%Y-%m-%d %H:%M:%S} UTC"
        return f"{until}: {batch.reason}" if batch.reason else until
    return batch.reason
