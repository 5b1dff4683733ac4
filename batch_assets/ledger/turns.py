"""Whether a planned batch may take its share of the account's budget now, inside a transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from batch_assets.domain.batch import Account, Batch, BatchId, BatchState
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.domain.control import Pause, Scope, Waiting, WaitKind
from batch_assets.domain.queue import Demand, asked_before
from batch_assets.ledger import schema
from batch_assets.ledger.accounts import capacity_of
from batch_assets.ledger.approvals import has_approval, is_approved
from batch_assets.ledger.pauses import standing_pauses
from batch_assets.ledger.statements import (
    UNITS,
    held_by_origin,
    reservation_of,
    reservation_sums,
)

#: A planned batch counts among those that wait for their turn for so long after a live process last
#: wanted to send it: nobody waits for a code location that is gone.
DEMAND_LASTS = timedelta(minutes=5)

#: How often the wish to send a batch is written down anew.
WANTED_EVERY = timedelta(minutes=1)

_UNITS_IN_WORDS = {
    "batches": "batches",
    "tokens": "tokens",
    "requests": "requests",
    "inputs": "embedding inputs",
}


def wait_of(
    connection: sa.Connection, now: datetime, batch: Batch, budget: Budget
) -> Waiting | None:
    """Why the batch must wait; None where it may be sent. The account is locked by the caller."""
    pauses = standing_pauses(connection)
    if (ordered := _ordered_to_wait(batch, pauses)) is not None:
        return ordered
    if batch.request_set.needs_approval and not is_approved(connection, batch.request_set):
        return Waiting(
            kind=WaitKind.APPROVAL,
            reason=f"request set {batch.request_set.digest[:12]} of partition "
            f"{batch.request_set.partition_key} waits for an approval: the job approve_batches "
            "gives it",
        )
    held = held_by_origin(connection, batch.account)
    total = sum(held.values(), Reservation())
    if not budget.has_room(total, batch.reservation):
        return Waiting(kind=WaitKind.BUDGET, reason=_in_words(total, budget))
    capacity = capacity_of(connection, batch.account)
    if not capacity.allows(total, batch.reservation, now):
        return Waiting(
            kind=WaitKind.CAPACITY,
            reason=f"the provider has no more room for now: {capacity.reason}; more is offered "
            f"from {capacity.not_before:%Y-%m-%d %H:%M:%S} UTC on",
        )
    demands = _demands(connection, now, batch.account, budget, pauses)
    before = asked_before(batch, demands, held, budget)
    if not budget.has_room(total + before, batch.reservation):
        return Waiting(
            kind=WaitKind.TURN,
            reason=f"{before.batches} batches go first, of backfills or runs that hold less of "
            f"the account: {_in_words(total, budget)}",
        )
    return None


def write_down(connection: sa.Connection, now: datetime, batch: Batch, waiting: Waiting) -> None:
    """Say on the batch why it waits, and that somebody alive wants to send it."""
    table = schema.batch
    wanted = waiting.kind not in (WaitKind.PAUSED, WaitKind.STOPPED, WaitKind.APPROVAL)
    is_fresh = batch.reason and batch.wanted_at and now < batch.wanted_at + WANTED_EVERY
    if batch.reason == waiting.reason if not wanted else is_fresh:
        return
    values = {"reason": waiting.reason} | ({"wanted_at": now} if wanted else {})
    connection.execute(
        table.update()
        .where(table.c.id == batch.id, table.c.state == BatchState.PLANNED)
        .values(**values)
    )


def _ordered_to_wait(batch: Batch, pauses: Sequence[Pause]) -> Waiting | None:
    request_set = batch.request_set
    if request_set.cancelled_at is not None:
        return Waiting(kind=WaitKind.PAUSED, reason=f"{request_set.partition_key} is cancelled")
    for pause in sorted(pauses, key=lambda pause: not pause.is_stop):
        if pause.scope.covers(batch):
            kind = WaitKind.STOPPED if pause.is_stop else WaitKind.PAUSED
            return Waiting(kind=kind, reason=str(pause))
    return None


def in_line(now: datetime, account: Account, pauses: Sequence[Pause]) -> sa.ColumnElement[bool]:
    """Of batches beside their request sets: the planned ones that are sent when there is room.

    Those that nobody wanted to send for a while are not.
    """
    table, sets = schema.batch, schema.request_set
    return sa.and_(
        table.c.account == account,
        table.c.state == BatchState.PLANNED,
        table.c.wanted_at >= now - DEMAND_LASTS,
        sa.or_(table.c.not_before.is_(None), table.c.not_before <= now),
        sets.c.cancelled_at.is_(None),
        sa.or_(sa.not_(sets.c.needs_approval), has_approval(sets)),
        sa.not_(sa.or_(sa.false(), *(_is_of(pause.scope) for pause in pauses))),
    )


def _is_of(scope: Scope) -> sa.ColumnElement[bool]:
    """`Scope.covers` of batches beside their request sets."""
    table, sets = schema.batch, schema.request_set
    if scope.account is not None:
        return table.c.account == scope.account
    if scope.origin is not None:
        return sets.c.origin == scope.origin
    named = sets.c.inference == scope.inference
    if scope.partition_key is None:
        return named
    return sa.and_(named, sets.c.partition_key == scope.partition_key)


def _demands(
    connection: sa.Connection,
    now: datetime,
    account: Account,
    budget: Budget,
    pauses: Sequence[Pause],
) -> list[Demand]:
    """What each origin wants to send now, batches aside that never fit."""
    table, sets = schema.batch, schema.request_set
    limits = [
        table.c[unit] <= limit for unit in UNITS if (limit := getattr(budget, unit)) is not None
    ]
    rows = connection.execute(
        sa.select(
            sets.c.origin,
            sa.func.min(table.c.id),
            *reservation_sums(),
        )
        .join(sets, sets.c.id == table.c.request_set_id)
        .where(in_line(now, account, pauses), *limits)
        .group_by(sets.c.origin)
    )
    return [
        Demand(
            origin=origin,
            first=BatchId(first),
            asked=reservation_of(*sums),
        )
        for origin, first, *sums in rows
    ]


def _in_words(held: Reservation, budget: Budget) -> str:
    parts = [
        f"{getattr(held, unit):,} of {limit:,} {name}"
        for unit, name in _UNITS_IN_WORDS.items()
        if (limit := getattr(budget, unit)) is not None
    ]
    return f"the account holds {', '.join(parts)}; it is sent when there is room"
