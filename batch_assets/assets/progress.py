"""What is observed of partitions that are on their way: at each change of state and each quarter.

What a person was told last stands in the ledger, so that the sensor and the runs that wait tell
nothing twice, and a restart forgets nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from batch_assets.domain.progress import Progress, WaveProgress
from batch_assets.ledger import Ledger
from batch_assets.stages.expected import Expected

#: An observation costs Dagster 15 ms, and up to 200 where runs write at the same time: a tick tells
#: of so many partitions, and the next one of the others.
TOLD_AT_ONCE = 40


def news_of(
    ledger: Ledger, inferences: Collection[str], *, most: int = TOLD_AT_ONCE
) -> Sequence[WaveProgress]:
    """The partitions of which something is to be told, the oldest request set first.

    They count as told from now on.
    """
    found = ledger.polls.progress(inferences)
    begun = [each for each in found if each.told is None and each.begins]
    news = [each for each in found if each.is_news][:most]
    ledger.polls.tell({each.request_set: each.stage for each in [*begun, *news]})
    return news


def observation_of(
    batches: dg.AssetKey, progress: WaveProgress, expected: Expected, now: datetime
) -> dg.AssetObservation:
    """How far a partition is, as an observation on its inference's `batches`."""
    return dg.AssetObservation(
        asset_key=batches,
        partition=progress.partition_key,
        metadata=progress_metadata(progress, expected, now),
    )


def batch_counts(shards: Progress) -> Mapping[str, Any]:
    """The batches of a wave by where they stand."""
    return {
        "batches_waiting": shards.planned,
        "batches_open": shards.open,
        "batches_ended": shards.ended,
        "batches_collected": shards.collected,
        "batches_refused": shards.stopped,
    }


def progress_metadata(
    progress: WaveProgress, expected: Expected, now: datetime
) -> Mapping[str, Any]:
    """Numbers that the UI plots over time, and when the wave usually ends."""
    shards = progress.shards
    metadata: dict[str, Any] = {
        "progress": str(shards),
        "wave": progress.wave,
        "completed": progress.completed,
        "failed": progress.failed,
        "total": progress.requests,
        "share": progress.share,
        **batch_counts(shards),
    }
    if progress.submitted_at is not None:
        metadata["age_hours"] = (now - progress.submitted_at).total_seconds() / 3600
    ends = [
        end
        for endpoint, since in progress.open_since
        if (end := expected.end(progress.inference, endpoint, since)) is not None
    ]
    if ends:
        metadata["expected_finish"] = dg.MetadataValue.timestamp(max(ends))
    return metadata
