"""Tables that stand beside materializations and observations, in the order a person reads them.

An event is written for each partition and kept for ever, so what it says is bounded: long texts
are cut, long tables too, with how much of them is not shown.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import dagster as dg

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.plain_text import cell
from batch_assets.stages.difference import Difference

_DIGEST = re.compile("[0-9a-f]{64}")

#: Rows that a table shows.
MOST_ROWS = 20


def table(rows: Iterable[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    """The rows, or the word none."""
    records = [dg.TableRecord(row) for row in rows]
    if not records:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.table(records)


def first_rows(
    name: str, rows: Iterable[Mapping[str, Any]], *, most: int = MOST_ROWS
) -> Mapping[str, Any]:
    """The first rows as an entry of that name, and in a second one how many are not shown."""
    found = iter(rows)
    entries: dict[str, Any] = {name: table(islice(found, most))}
    if rest := sum(1 for _ in found):
        entries[f"{name}_not_shown"] = rest
    return entries


def link(url: str) -> dg.MetadataValue[Any]:
    """Where a file or folder lies."""
    return dg.MetadataValue.url(url) if "://" in url else dg.MetadataValue.path(url)


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


def batches_entries(batches: Sequence[Batch], now: datetime) -> Mapping[str, Any]:
    """The table of the batches as an entry, and in a second one how many it does not show."""
    entries: dict[str, Any] = {"batches": batches_table(batches, now)}
    if len(batches) > MOST_ROWS:
        entries["batches_not_shown"] = len(batches) - MOST_ROWS
    return entries


def batches_table(batches: Sequence[Batch], now: datetime) -> dg.MetadataValue[Any]:
    """Each batch: where it stands, how old it is, and why it waits.

    Of many, those that are not collected come first.
    """
    if len(batches) > MOST_ROWS:
        batches = sorted(batches, key=lambda batch: batch.state is BatchState.COLLECTED)
    return table(_batch_row(batch, now) for batch in batches[:MOST_ROWS])


def _batch_row(batch: Batch, now: datetime) -> Mapping[str, Any]:
    return {
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


def queue_table(queue: Sequence[Batch]) -> dg.MetadataValue[Any]:
    """The order in which waiting batches of the account get room, next one first."""
    return table(
        {
            "place": place,
            "inference": batch.request_set.inference,
            "partition": cell(batch.request_set.partition_key),
            "wave": batch.wave,
            "shard": batch.shard,
            "prompt_tokens": batch.reservation.tokens,
            "asked_by": batch.request_set.origin,
        }
        for place, batch in enumerate(queue[:MOST_ROWS], start=1)
    )


def whole_seconds(duration: timedelta) -> str:
    return str(timedelta(seconds=int(duration.total_seconds())))


def _age(batch: Batch, now: datetime) -> str:
    """Time since it was planned; of one that has ended, until then."""
    until = batch.ended_at or now
    return whole_seconds(until - batch.created_at)


def _reason(batch: Batch, now: datetime) -> str | None:
    if (
        batch.state is BatchState.PLANNED
        and batch.not_before is not None
        and batch.not_before > now
    ):
        until = f"not sent before {batch.not_before:%Y-%m-%d %H:%M:%S} UTC"
        return f"{until}: {batch.reason}" if batch.reason else until
    return batch.reason
