"""What is read of the ledger's batches."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from batch_assets.domain.batch import Account, Batch, BatchId, BatchState, Event, RequestSetId
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.domain.errors import LedgerError
from batch_assets.domain.queue import in_order
from batch_assets.ledger import schema
from batch_assets.ledger.pauses import standing_pauses
from batch_assets.ledger.rows import SET_PREFIX, batch_of, event_of
from batch_assets.ledger.statements import (
    held_by,
    held_by_origin,
    in_portions,
    is_overtaken,
)
from batch_assets.ledger.turns import in_line

#: Owner of the lease on a doubtful batch between two looks at it.
NOBODY = "nobody"


class BatchQueries:
    """Reads of batches; each is one consistent look."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self.clock = clock

    def batches(
        self,
        *,
        request_set: RequestSetId | None = None,
        partition: tuple[str, str] | None = None,
        wave: int | None = None,
        account: Account | None = None,
        origin: str | None = None,
        states: Collection[BatchState] | None = None,
    ) -> Sequence[Batch]:
        """The batches that fit every condition given, in the order they were planned.

        `partition` is an inference's name and a partition key, `origin` who asked for them last.
        """
        table, sets = schema.batch, schema.request_set
        conditions: list[sa.ColumnElement[bool]] = []
        if partition is not None:
            conditions += [sets.c.inference == partition[0], sets.c.partition_key == partition[1]]
        if request_set is not None:
            conditions.append(table.c.request_set_id == request_set)
        if wave is not None:
            conditions.append(table.c.wave == wave)
        if account is not None:
            conditions.append(table.c.account == account)
        if origin is not None:
            conditions.append(sets.c.origin == origin)
        if states is not None:
            conditions.append(table.c.state.in_(list(states)))
        return self._select_batches(*conditions)

    def provider_ids(self, account: Account, *, since: datetime) -> Collection[str]:
        """The provider's ids of the account's batches that were submitted at `since` or later."""
        table = schema.batch
        found = sa.select(table.c.provider_id).where(
            table.c.account == account, table.c.submitted_at >= since
        )
        with self._engine.connect() as connection:
            return set(connection.scalars(found))

    def batches_of_unresolved(self) -> Sequence[Batch]:
        """The batches of the wave on its way of every partition that waits for its results."""
        table, sets = schema.batch, schema.request_set
        return self._select_batches(
            sets.c.is_current, sets.c.resolved_at.is_(None), table.c.wave == sets.c.wave
        )

    def batch(self, batch_id: BatchId) -> Batch:
        """The batch of that id as it stands now. Raises LedgerError where there is none."""
        for found in self._select_batches(schema.batch.c.id == batch_id):
            return found
        raise LedgerError(f"the ledger has no batch {batch_id}")

    def batches_by_key(self, keys: Sequence[str]) -> Mapping[str, Batch]:
        """The batches of these keys; a key that the ledger does not know is left out."""
        table = schema.batch
        return {
            batch.key: batch
            for some in in_portions(keys)
            for batch in self._select_batches(table.c.key.in_(some))
        }

    def batches_by_provider_id(self, account: Account, ids: Sequence[str]) -> Mapping[str, Batch]:
        """The account's batches of these ids of the provider's; one that no row has is left out."""
        table = schema.batch
        return {
            str(batch.provider_id): batch
            for some in in_portions(ids)
            for batch in self._select_batches(
                table.c.account == account, table.c.provider_id.in_(some)
            )
        }

    def doubtful_batches(self, account: Account) -> Sequence[Batch]:
        """Reserved batches that no live process has: each may exist at the provider, or not."""
        table = schema.batch
        return self._select_batches(
            table.c.account == account,
            table.c.state == BatchState.RESERVED,
            sa.or_(table.c.lease_until < self.clock(), table.c.lease_owner == NOBODY),
        )

    def held(self, account: Account) -> Reservation:
        """What the account's reserved and submitted batches hold of its budget."""
        with self._engine.connect() as connection:
            return held_by(connection, account)

    def events(self, batch_id: BatchId) -> Sequence[Event]:
        """Every move of a batch, oldest first."""
        table = schema.event
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(table).where(table.c.batch_id == batch_id).order_by(table.c.id)
            ).mappings()
            return [event_of(row) for row in rows]

    def queue(self, account: Account, budget: Budget) -> Sequence[Batch]:
        """The account's planned batches that may be sent when there is room, next one first.

        Those that nobody wanted to send for a while are left out.
        """
        with self._engine.connect() as connection:
            pauses = standing_pauses(connection)
            held = held_by_origin(connection, account)
        planned = self._select_batches(in_line(self.clock(), account, pauses))
        return in_order(planned, held, budget)

    def batches_to_cancel(self, account: Account) -> Sequence[Batch]:
        """Batches at the provider that it was not told to cancel yet: those that a person
        cancelled, and those whose stragglers are to be asked live.
        """
        table, sets = schema.batch, schema.request_set
        by_person = sa.and_(table.c.cancel_requested_at.is_(None), sets.c.cancels_batches)
        by_rescue = sa.and_(
            table.c.rescued_at.is_(None),
            table.c.cancel_requested_at.is_(None),
            sets.c.is_current,
            sets.c.cancelled_at.is_(None),
            is_overtaken(),
        )
        return self._select_batches(
            table.c.account == account,
            table.c.state == BatchState.SUBMITTED,
            sa.or_(by_person, by_rescue),
        )

    def _select_batches(self, *conditions: sa.ColumnElement[bool]) -> Sequence[Batch]:
        with self._engine.connect() as connection:
            rows = connection.execute(batch_select().where(*conditions)).mappings()
            return [batch_of(row) for row in rows]


def batch_select() -> sa.Select[Any]:
    """Batches in the order they were planned, each beside its request set."""
    sets, batches = schema.request_set, schema.batch
    return (
        sa.select(batches, *(column.label(SET_PREFIX + column.name) for column in sets.c))
        .join(sets, sets.c.id == batches.c.request_set_id)
        .order_by(batches.c.id)
    )
