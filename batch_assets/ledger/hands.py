"""Batches that a process of ours carries out: in whose hands they are, and what it is to do."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from batch_assets.domain.batch import Account, Batch, BatchState
from batch_assets.domain.control import Pause
from batch_assets.domain.errors import StaleMove
from batch_assets.domain.lane import COMPLETED, Order
from batch_assets.domain.provider import ProviderBatch
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.pauses import standing_pauses
from batch_assets.ledger.queries import batch_select
from batch_assets.ledger.rows import batch_of, observed
from batch_assets.ledger.statements import lock_account, move


class Hands:
    """Who carries out which submitted batch of a lane.

    A holder is one process's one try at one batch, by a name that no other ever has: a lease that
    ran out is never taken for the one that another try of the same run has.
    """

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._writing = writing(engine)
        self._clock = clock

    def free(self, account: Account) -> Sequence[Batch]:
        """The account's batches that nobody has in hand, and that no pause keeps from going on."""
        table, sets = schema.batch, schema.request_set
        with self._engine.connect() as connection:
            pauses = standing_pauses(connection)
            rows = connection.execute(
                batch_select()
                .add_columns(sets.c.is_current)
                .where(
                    table.c.account == account,
                    table.c.state == BatchState.SUBMITTED,
                    _is_free(self._clock()),
                )
            ).mappings()
            found = [(batch_of(row), bool(row["is_current"])) for row in rows]
        return [
            batch
            for batch, is_current in found
            if _order_about(batch, is_current, pauses) is not Order.PAUSE
        ]

    def take(self, batch: Batch, *, holder: str, lease: timedelta) -> bool:
        """Make the batch the holder's to carry out. False where another has it, or it ended."""
        now = self._clock()
        return self._lease(batch, now + lease, _is_free(now), holder)

    def keep(self, batch: Batch, *, holder: str, lease: timedelta) -> bool:
        """Keep it in the holder's hands. False where it could not be kept.

        A database that is away for a moment is no error: the next renewal comes before the end.
        """
        with suppress(sa.exc.OperationalError):
            is_mine = schema.batch.c.lease_owner == holder
            return self._lease(batch, self._clock() + lease, is_mine, holder)
        return False

    def let_go(self, batch: Batch, *, holder: str) -> None:
        """Leave it to whoever comes next."""
        self._lease(batch, None, schema.batch.c.lease_owner == holder, None)

    def order(self, batch: Batch, *, holder: str) -> Order | None:
        """What the holder is to do now; None where the database does not say at this moment."""
        table, sets = schema.batch, schema.request_set
        with suppress(sa.exc.OperationalError), self._engine.connect() as connection:
            row = (
                connection.execute(
                    batch_select()
                    .add_columns(sets.c.is_current)
                    .where(table.c.id == batch.id, table.c.state == BatchState.SUBMITTED)
                )
                .mappings()
                .one_or_none()
            )
            if row is None or row["lease_owner"] != holder:
                return Order.LEAVE
            stands = batch_of(row)
            return _order_about(stands, bool(row["is_current"]), standing_pauses(connection))
        return None

    def report(self, batch: Batch, *, holder: str, completed: int, failed: int) -> None:
        """Say how far the holder is."""
        table = schema.batch
        with suppress(sa.exc.OperationalError), self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.id == batch.id, table.c.lease_owner == holder)
                .values(completed=completed, failed=failed, polled_at=self._clock(), reason=None)
            )

    def finish(self, batch: Batch, found: ProviderBatch, *, holder: str, owner: str) -> None:
        """The batch has ended, and what it brought lies in the store: both moves at once.

        Raises StaleMove where it is not in the holder's hands any more.
        """
        table, now = schema.batch, self._clock()
        is_withdrawn = found.status != COMPLETED
        with self._writing.begin() as connection:
            lock_account(connection, batch.account)
            row = connection.execute(batch_select().where(table.c.id == batch.id)).mappings().one()
            asked = _cancel_marks(batch_of(row), now) if is_withdrawn else {}
            mine = connection.execute(
                table.update()
                .where(table.c.id == batch.id, table.c.lease_owner == holder)
                .values(lease_owner=None, lease_until=None)
            )
            if mine.rowcount != 1:
                raise StaleMove(f"batch {batch.id} is in another process's hands by now")
            move(
                connection,
                now,
                batch,
                BatchState.ENDED,
                owner=owner,
                ended_at=now,
                polled_at=now,
                output_file_id=found.output_file_id,
                reason=None,
                # What was never asked may be asked again: it was we who withdrew it.
                **asked,
                **observed(found),
            )
            ended = replace(batch, state=BatchState.ENDED)
            move(connection, now, ended, BatchState.COLLECTED, owner=owner)

    def _lease(
        self,
        batch: Batch,
        until: datetime | None,
        condition: sa.ColumnElement[bool],
        holder: str | None,
    ) -> bool:
        table = schema.batch
        with self._writing.begin() as connection:
            leased = connection.execute(
                table.update()
                .where(table.c.id == batch.id, table.c.state == BatchState.SUBMITTED, condition)
                .values(lease_owner=holder, lease_until=until)
            )
        return leased.rowcount == 1


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    table = schema.batch
    return sa.or_(table.c.lease_owner.is_(None), table.c.lease_until < now)


def _cancel_marks(batch: Batch, now: datetime) -> dict[str, Any]:
    """For whose sake the rest of a batch is not asked."""
    request_set = batch.request_set
    is_rescued = request_set.is_overtaken(batch.wave) and request_set.cancelled_at is None
    return {"rescued_at" if is_rescued else "cancel_requested_at": now}


def _order_about(batch: Batch, is_current: bool, pauses: Sequence[Pause]) -> Order:
    request_set = batch.request_set
    is_cancelled = request_set.cancelled_at is not None and request_set.cancels_batches
    is_unwanted = not is_current or is_cancelled or request_set.is_overtaken(batch.wave)
    if is_unwanted or batch.cancel_requested_at is not None:
        return Order.END
    return Order.PAUSE if any(each.scope.covers(batch) for each in pauses) else Order.GO_ON
