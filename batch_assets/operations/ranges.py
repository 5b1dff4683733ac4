"""Partitions in ranges, and runs over them, as Dagster's backfills make them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import dagster as dg

from batch_assets.operations.runs import PARTITION, RANGE_END, RANGE_START


def groups_of(
    order: Sequence[str], ready: Collection[str], *, passable: AbstractSet[str], widest: int
) -> Iterator[list[str]]:
    """The ready partitions in groups, one for each run.

    Dagster counts every partition between a run's first and last as the run's: it writes events
    for each, and paints it red where the run fails. So a run ranges over no more than a backfill's
    would, and passes over such partitions only as are on their way themselves.
    """
    group: list[str] = []
    begin = 0
    for position, partition_key in enumerate(order):
        too_wide = position - begin >= widest
        if group and (too_wide or partition_key not in passable):
            yield group
            group = []
        if partition_key in ready:
            begin = begin if group else position
            group.append(partition_key)
    if group:
        yield group


def range_request(
    job: str, partition_keys: Sequence[str], config: Mapping[str, Any] | None = None
) -> dg.RunRequest:
    """A run of the job from the first to the last of the partitions, which are in order."""
    first, last = partition_keys[0], partition_keys[-1]
    if first == last:
        # With its tag the key is taken as it is: Dagster would look each up by a query of its own.
        return dg.RunRequest(
            job_name=job, partition_key=first, run_config=config, tags={PARTITION: first}
        )
    return dg.RunRequest(
        job_name=job, run_config=config, tags={RANGE_START: first, RANGE_END: last}
    )
