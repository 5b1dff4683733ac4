"""What the ledger keeps of an account: the room it was found to have, and its last sweep."""

from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from batch_assets.domain.batch import Account
from batch_assets.domain.capacity import Capacity
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.statements import held_by, lock_account


class Accounts:
    """Every account that a batch was ever planned for."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._writing = writing(engine)
        self._clock = clock

    def capacity(self, account: Account) -> Capacity:
        """What is believed of the room that the provider has for the account."""
        with self._engine.connect() as connection:
            return capacity_of(connection, account)

    def begin_sweep(self, account: Account, *, every: timedelta) -> datetime | None:
        """Take on the account's next sweep for orphaned uploads, where one is due.

        Gives the time of the sweep before, or that of the ledger's first batch. None where another
        process swept less than `every` ago, or nothing was ever planned for the account.
        """
        table, batches, now = schema.account, schema.batch, self._clock()
        with self._writing.begin() as connection:
            lock_account(connection, account)
            last: datetime | None = connection.scalar(
                sa.select(table.c.swept_at).where(table.c.name == account)
            )
            if last is not None and now < last + every:
                return None
            oldest: datetime | None = connection.scalar(
                sa.select(batches.c.created_at)
                .where(batches.c.account == account)
                .order_by(batches.c.id)
                .limit(1)
            )
            if oldest is None:
                return None
            connection.execute(table.update().where(table.c.name == account).values(swept_at=now))
        return last or oldest


def capacity_of(connection: sa.Connection, account: Account) -> Capacity:
    """What is believed of the account's room."""
    table = schema.account
    row = connection.execute(sa.select(table).where(table.c.name == account)).one_or_none()
    if row is None:
        return Capacity()
    return Capacity(
        believed_tokens=row.believed_tokens,
        refusals=row.refusals,
        not_before=row.not_before,
        reason=row.refusal,
    )


def note_refusal(connection: sa.Connection, now: datetime, account: Account, reason: str) -> None:
    """The provider had no room beside what is held now. The account is locked by the caller."""
    believed = capacity_of(connection, account)
    held = held_by(connection, account)
    _write(connection, account, believed.refused(held, now, account=account, reason=reason))


def note_acceptance(connection: sa.Connection, account: Account) -> None:
    """The provider had room for what is held now. The account is locked by the caller."""
    believed = capacity_of(connection, account)
    learned = believed.accepted(held_by(connection, account))
    if learned != believed:
        _write(connection, account, learned)


def _write(connection: sa.Connection, account: Account, capacity: Capacity) -> None:
    table = schema.account
    connection.execute(
        table.update()
        .where(table.c.name == account)
        .values(
            believed_tokens=capacity.believed_tokens,
            refusals=capacity.refusals,
            not_before=capacity.not_before,
            refusal=capacity.reason,
        )
    )
