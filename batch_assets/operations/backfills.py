"""What Dagster's backfills say: which were cancelled, and which are about to collect.

Nothing more is sent of what a person cancelled. What the provider has of it finishes and is
collected, unless a person cancels that too.
"""

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet

import dagster as dg

from batch_assets.domain.batch import BatchState
from batch_assets.domain.control import Scope
from batch_assets.ledger import Ledger
from batch_assets.stages.control import pause

#: Statuses of a backfill that a person ended (dagster 1.13, _core/execution/backfill.py).
_CANCELLED = frozenset({"CANCELING", "CANCELED"})

#: The status of one that goes on launching runs.
_OPEN = "REQUESTED"

#: Runs per query.
_AT_ONCE = 500

#: A run's id is a UUID, a backfill's is shorter.
_RUN_ID_LENGTH = 36


def pause_cancelled(instance: dg.DagsterInstance, ledger: Ledger, *, owner: str) -> None:
    """Order that nothing more is sent of what was cancelled, once: a person may lift it."""
    origins = set(ledger.request_sets.waiting_origins())
    known = {order.scope.origin for order in ledger.pauses.standing()}
    for origin in sorted(_cancelled(instance, origins - known)):
        scope = Scope(origin=origin)
        if ledger.pauses.lifted_at(scope) is None:
            pause(ledger, scope, owner=owner, reason=_why(ledger, origin))


def _cancelled(instance: dg.DagsterInstance, origins: Collection[str]) -> Iterator[str]:
    runs = sorted(origin for origin in origins if len(origin) == _RUN_ID_LENGTH)
    ended = [dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED]
    for start in range(0, len(runs), _AT_ONCE):
        some = dg.RunsFilter(run_ids=runs[start : start + _AT_ONCE], statuses=ended)
        yield from (run.run_id for run in instance.get_runs(filters=some))
    for origin in set(origins) - set(runs):
        backfill = instance.get_backfill(origin)
        if backfill is not None and backfill.status.value in _CANCELLED:
            yield origin


def _why(ledger: Ledger, origin: str) -> str:
    batches = ledger.batches(origin=origin, states=set(BatchState) - {BatchState.ABANDONED})
    unsent = sum(batch.state is BatchState.PLANNED for batch in batches)
    return (
        f"it was cancelled in Dagster. {unsent} batches were not sent then; "
        f"{len(batches) - unsent} were, and finish and are collected. Materialize the batches of "
        f"its partitions, or resume_batches with the backfill {origin}, to go on; cancel_batches "
        "ends it"
    )


def left_to_backfills(
    instance: dg.DagsterInstance,
    partition_keys: Collection[str],
    origins: Mapping[str, str],
    assets: AbstractSet[dg.AssetKey],
) -> set[str]:
    """The partitions that an open backfill, which asked for them, is about to collect itself.

    A run of the sensor's for them would make the same again a moment before.
    """
    found = set()
    for origin in {origins[key] for key in partition_keys if len(origins[key]) != _RUN_ID_LENGTH}:
        backfill = instance.get_backfill(origin)
        if backfill is None or backfill.status.value != _OPEN:
            continue
        if assets & set(backfill.asset_selection or ()):
            found |= {key for key in partition_keys if origins[key] == origin}
    return found
