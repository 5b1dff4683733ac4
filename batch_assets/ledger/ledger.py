"""Reads and moves of the ledger. Every move is a compare-and-set that writes its event with it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from batch_assets.domain.batch import (
    Account,
    Batch,
    BatchId,
    BatchState,
    Event,
    RequestSet,
    RequestSetId,
)
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.domain.errors import LedgerError
from batch_assets.domain.provider import ProviderBatch
from batch_assets.domain.shard import Shard
from batch_assets.ledger import schema
from batch_assets.ledger.engine import open_engine, writing
from batch_assets.ledger.migrations import migrate
from batch_assets.ledger.request_sets import RequestSets
from batch_assets.ledger.rows import SET_PREFIX, batch_of, event_of, observed, why_it_failed
from batch_assets.ledger.statements import held_by, insert_planned, lock_account, move

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of a running deployment."""
    return datetime.now(UTC)


class Ledger:
    """The SQL record of request sets and batches, for one database.

    Several processes may use one ledger at once: what two of them do to one batch is decided by
    the database, and the loser gets StaleMove.
    """

    def __init__(self, engine: sa.Engine, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._writing = writing(engine)
        self.clock = clock
        try:
            with self._writing.begin() as connection:
                migrate(connection, clock())
        except BaseException:
            engine.dispose()
            raise
        self.request_sets = RequestSets(engine, clock)

    @classmethod
    def open(cls, url: str, clock: Clock = utc_now) -> "Ledger":
        """Open the ledger at a SQLAlchemy URL and bring its schema up to date."""
        return cls(open_engine(url), clock)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    # Batches

    def plan(
        self,
        request_set: RequestSet,
        shards: Iterable[Shard],
        *,
        wave: int,
        account: Account,
        endpoint: str,
        owner: str,
    ) -> None:
        """A planned batch for each shard that has no live one, and the wave is on its way."""
        sets, batches = schema.request_set, schema.batch
        with self._writing.begin() as connection:
            lock_account(connection, account)
            connection.execute(sa.select(sets).where(sets.c.id == request_set.id).with_for_update())
            connection.execute(
                sets.update()
                .where(sets.c.id == request_set.id, sets.c.wave < wave)
                .values(wave=wave, resolved_at=None)
            )
            offered = connection.execute(
                sa.select(batches.c.shard, batches.c.state, batches.c.attempt).where(
                    batches.c.request_set_id == request_set.id, batches.c.wave == wave
                )
            ).all()
            live = {row.shard for row in offered if row.state != BatchState.ABANDONED}
            attempts = Counter(row.shard for row in offered)
            for shard in shards:
                if shard.number not in live:
                    insert_planned(
                        connection,
                        self.clock(),
                        owner=owner,
                        request_set_id=request_set.id,
                        wave=wave,
                        shard=shard.number,
                        attempt=attempts[shard.number] + 1,
                        account=account,
                        endpoint=endpoint,
                        requests=shard.requests,
                        tokens=shard.tokens,
                    )

    def batches(
        self,
        *,
        request_set: RequestSetId | None = None,
        partition: tuple[str, str] | None = None,
        wave: int | None = None,
        account: Account | None = None,
        states: Collection[BatchState] | None = None,
    ) -> Sequence[Batch]:
        """The batches that fit every condition given, in the order they were planned.

        `partition` is an inference's name and a partition key.
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
        if states is not None:
            conditions.append(table.c.state.in_(list(states)))
        return self._select_batches(*conditions)

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

    def doubtful_batches(self, account: Account) -> Sequence[Batch]:
        """Reserved batches whose lease ran out: each may exist at the provider, or not."""
        table = schema.batch
        return self._select_batches(
            table.c.account == account,
            table.c.state == BatchState.RESERVED,
            table.c.lease_until < self.clock(),
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

    # Moves

    def reserve(
        self, batch: Batch, *, owner: str, lease: timedelta, budget: Budget
    ) -> Batch | None:
        """Take the batch and its share of the budget, before the provider is called.

        None where the account has no room for it now. Raises StaleMove where another process took
        the batch first.
        """
        now = self.clock()
        with self._writing.begin() as connection:
            lock_account(connection, batch.account)
            if not budget.has_room(held_by(connection, batch.account), batch.reservation):
                return None
            move(
                connection,
                self.clock(),
                batch,
                BatchState.RESERVED,
                owner=owner,
                lease_owner=owner,
                lease_until=now + lease,
                reserved_at=now,
                reason=None,
            )
        return self.batch(batch.id)

    def renew(self, batch: Batch, *, owner: str, lease: timedelta) -> bool:
        """Keep a reserved batch in the owner's hands. False where it could not be kept.

        A database that is away for a moment is no error: the next renewal comes before the end.
        """
        table = schema.batch
        renewal = (
            table.update()
            .where(
                table.c.id == batch.id,
                table.c.state == BatchState.RESERVED,
                table.c.lease_owner == owner,
            )
            .values(lease_until=self.clock() + lease)
        )
        with suppress(sa.exc.OperationalError), self._writing.begin() as connection:
            return connection.execute(renewal).rowcount == 1
        return False

    def take_over(self, batch: Batch, *, owner: str, lease: timedelta) -> bool:
        """Make a doubtful batch the owner's to decide on. False where another took it first."""
        table = schema.batch
        now = self.clock()
        with self._writing.begin() as connection:
            taken = connection.execute(
                table.update()
                .where(
                    table.c.id == batch.id,
                    table.c.state == BatchState.RESERVED,
                    table.c.lease_until < now,
                )
                .values(lease_owner=owner, lease_until=now + lease)
            )
        return taken.rowcount == 1

    def note(self, batch: Batch, reason: str) -> None:
        """Say for a person why the batch stays where it is, unless it is there no more."""
        table = schema.batch
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.id == batch.id, table.c.state == batch.state)
                .values(reason=reason)
            )

    def record(self, batch: Batch, found: ProviderBatch, *, owner: str) -> None:
        """The batch exists at the provider: created just now, or found there and adopted."""
        with self._writing.begin() as connection:
            move(
                connection,
                self.clock(),
                batch,
                BatchState.SUBMITTED,
                owner=owner,
                must_hold_lease=True,
                lease_owner=None,
                lease_until=None,
                submitted_at=self.clock(),
                provider_id=found.id,
                reason=None,
                **observed(found),
            )

    def release(
        self, batch: Batch, *, owner: str, reason: str, not_before: datetime | None = None
    ) -> None:
        """The batch is known not to exist at the provider: it may be offered again.

        `not_before` is given where the provider refused it for now, and the refusal is counted.
        """
        with self._writing.begin() as connection:
            move(
                connection,
                self.clock(),
                batch,
                BatchState.PLANNED,
                owner=owner,
                must_hold_lease=True,
                lease_owner=None,
                lease_until=None,
                reserved_at=None,
                reason=reason,
                not_before=not_before,
                refusals=batch.refusals + (not_before is not None),
            )

    def drop(self, batch: Batch, *, owner: str, reason: str) -> None:
        """A planned batch that nobody needs any more."""
        with self._writing.begin() as connection:
            move(
                connection,
                self.clock(),
                batch,
                BatchState.ABANDONED,
                owner=owner,
                reason=reason,
            )

    def give_up(self, batch: Batch, *, owner: str, reason: str) -> None:
        """The provider refused the batch for good, and nothing exists there."""
        with self._writing.begin() as connection:
            move(
                connection,
                self.clock(),
                batch,
                BatchState.ABANDONED,
                owner=owner,
                must_hold_lease=True,
                lease_owner=None,
                lease_until=None,
                reason=reason,
            )

    def observe(self, batch: Batch, found: ProviderBatch, *, reason: str | None = None) -> None:
        """Note what the provider said of a batch that it still works on."""
        table = schema.batch
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.id == batch.id, table.c.state == BatchState.SUBMITTED)
                .values(polled_at=self.clock(), reason=reason, **observed(found))
            )

    def end(self, batch: Batch, found: ProviderBatch, *, owner: str) -> None:
        """The provider reached a terminal status; its budget is free again."""
        problem = found.problems[0] if found.problems else None
        now = self.clock()
        with self._writing.begin() as connection:
            move(
                connection,
                self.clock(),
                batch,
                BatchState.ENDED,
                owner=owner,
                ended_at=now,
                polled_at=now,
                output_file_id=found.output_file_id,
                error_file_id=found.error_file_id,
                error_code=None if problem is None else problem.code,
                reason=why_it_failed(found),
                **observed(found),
            )

    def collect(self, batch: Batch, *, owner: str) -> None:
        """Everything the provider returned for the batch lies in the store."""
        with self._writing.begin() as connection:
            move(connection, self.clock(), batch, BatchState.COLLECTED, owner=owner)

    def reject(self, batch: Batch, *, owner: str, reason: str, not_before: datetime) -> None:
        """The offer failed as a whole for want of capacity and nothing ran: plan the next one."""
        with self._writing.begin() as connection:
            move(connection, self.clock(), batch, BatchState.ABANDONED, owner=owner, reason=reason)
            insert_planned(
                connection,
                self.clock(),
                owner=owner,
                request_set_id=batch.request_set.id,
                wave=batch.wave,
                shard=batch.shard,
                attempt=batch.attempt + 1,
                account=batch.account,
                endpoint=batch.endpoint,
                requests=batch.reservation.requests,
                tokens=batch.reservation.tokens,
                refusals=batch.refusals + 1,
                not_before=not_before,
                reason=reason,
            )

    def _select_batches(self, *conditions: sa.ColumnElement[bool]) -> Sequence[Batch]:
        sets, batches = schema.request_set, schema.batch
        query = (
            sa.select(batches, *(column.label(SET_PREFIX + column.name) for column in sets.c))
            .join(sets, sets.c.id == batches.c.request_set_id)
            .where(*conditions)
            .order_by(batches.c.id)
        )
        with self._engine.connect() as connection:
            return [batch_of(row) for row in connection.execute(query).mappings()]
