"""What several moves do inside their transaction."""

import secrets
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from batch_assets.domain.batch import HOLDING, Account, Batch, BatchState, check_move
from batch_assets.domain.budget import Reservation
from batch_assets.domain.errors import StaleMove
from batch_assets.ledger import schema


def insert_planned(
    connection: sa.Connection, now: datetime, *, owner: str, refusals: int = 0, **columns: Any
) -> None:
    """A planned batch with a key of its own, and the event that says so."""
    inserted = connection.execute(
        schema.batch.insert().values(
            refusals=refusals,
            state=BatchState.PLANNED,
            key=secrets.token_hex(16),
            created_at=now,
            **columns,
        )
    )
    assert inserted.inserted_primary_key is not None
    connection.execute(
        schema.event.insert().values(
            batch_id=inserted.inserted_primary_key.id,
            at=now,
            to_state=BatchState.PLANNED,
            owner=owner,
            reason=columns.get("reason"),
        )
    )


def move(
    connection: sa.Connection,
    now: datetime,
    batch: Batch,
    target: BatchState,
    *,
    owner: str,
    must_hold_lease: bool = False,
    **columns: Any,
) -> None:
    """Compare-and-set of the state, with its event.

    Raises IllegalMove for a move that the table does not have, StaleMove where the batch is no
    longer what the caller read, or no longer in the caller's hands.
    """
    check_move(batch.state, target)
    table = schema.batch
    conditions = [table.c.id == batch.id, table.c.state == batch.state]
    if must_hold_lease:
        # An owner that reserved it anew does not act for the one that let its lease run out.
        conditions += [table.c.lease_owner == owner, table.c.reserved_at == batch.reserved_at]
    moved = connection.execute(table.update().where(*conditions).values(state=target, **columns))
    if moved.rowcount != 1:
        raise StaleMove(
            f"batch {batch.id} is no longer {batch.state} in the hands of {owner}: "
            "another process moved it; read it again"
        )
    connection.execute(
        schema.event.insert().values(
            batch_id=batch.id,
            at=now,
            from_state=batch.state,
            to_state=target,
            owner=owner,
            reason=columns.get("reason"),
        )
    )


def lock_account(connection: sa.Connection, account: Account) -> None:
    """Let one process at a time count an account's budget (SQLite's writer lock does already)."""
    table = schema.account
    locked = sa.select(table.c.name).where(table.c.name == account).with_for_update()
    if connection.execute(locked).one_or_none() is not None:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert: Any = dialect.insert(table).values(name=account)
    connection.execute(insert.on_conflict_do_nothing())
    connection.execute(locked).one()


def lock_partition(connection: sa.Connection, inference: str, partition_key: str) -> None:
    """Let one process at a time say which request set is a partition's current one."""
    if connection.dialect.name == "postgresql":
        name = sa.func.hashtextextended(f"{inference}/{partition_key}", 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(name)))


def held_by(connection: sa.Connection, account: Account) -> Reservation:
    """What the account's batches hold of its budget."""
    table = schema.batch
    row = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(table.c.requests), 0),
            sa.func.coalesce(sa.func.sum(table.c.tokens), 0),
        ).where(table.c.account == account, table.c.state.in_(list(HOLDING)))
    ).one()
    return Reservation(batches=int(row[0]), requests=int(row[1]), tokens=int(row[2]))
