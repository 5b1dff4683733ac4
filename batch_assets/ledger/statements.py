"""What several moves do inside their transaction."""

import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from batch_assets.domain.batch import HOLDING, Account, Batch, BatchState, check_move
from batch_assets.domain.budget import Reservation
from batch_assets.domain.errors import StaleMove
from batch_assets.ledger import schema

#: Columns of a batch that hold its share of the budget, as `Reservation` names them.
UNITS = ("requests", "tokens", "inputs")


#: Databases limit the parameters of one statement.
_PER_STATEMENT = 500

_Each = TypeVar("_Each")


def in_portions(values: Sequence[_Each]) -> Iterator[Sequence[_Each]]:
    """The values in as many statements as they take."""
    return (values[at : at + _PER_STATEMENT] for at in range(0, len(values), _PER_STATEMENT))


def insert_planned(
    connection: sa.Connection, now: datetime, *, owner: str, refusals: int = 0, **columns: Any
) -> None:
    """A planned batch with a key of its own, and the event that says so."""
    inserted = connection.execute(
        schema.batch.insert().values(
            refusals=refusals,
            problems=[],
            # Whoever plans it is about to send it.
            wanted_at=now,
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
    insert: Any = dialect.insert(table).values(name=account, refusals=0)
    connection.execute(insert.on_conflict_do_nothing())
    connection.execute(locked).one()


def is_overtaken() -> sa.ColumnElement[bool]:
    """`RequestSet.is_overtaken` of batches beside their request sets."""
    table, sets = schema.batch, schema.request_set
    return sa.and_(
        sets.c.rescued_at.is_not(None),
        sa.or_(sets.c.rescue_wave.is_(None), table.c.wave < sets.c.rescue_wave),
    )


def lock_by_name(connection: sa.Connection, name: str) -> None:
    """Let one process at a time into what goes by this name (SQLite's writer lock does already)."""
    if connection.dialect.name == "postgresql":
        key = sa.func.hashtextextended(name, 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def held_by(connection: sa.Connection, account: Account) -> Reservation:
    """What the account's batches hold of its budget."""
    return sum(held_by_origin(connection, account).values(), Reservation())


def held_by_origin(connection: sa.Connection, account: Account) -> dict[str, Reservation]:
    """What the account's batches hold of its budget, by who asked for them."""
    table, sets = schema.batch, schema.request_set
    rows = connection.execute(
        sa.select(sets.c.origin, *reservation_sums())
        .join(sets, sets.c.id == table.c.request_set_id)
        .where(table.c.account == account, table.c.state.in_(list(HOLDING)))
        .group_by(sets.c.origin)
    )
    return {origin: reservation_of(*sums) for origin, *sums in rows}


def reservation_sums() -> list[sa.ColumnElement[int]]:
    """Columns of a select over batches: what they reserve together."""
    return [sa.func.count(), *(sa.func.sum(schema.batch.c[unit]) for unit in UNITS)]


def reservation_of(batches: int, *sums: int) -> Reservation:
    """The reservation in a row of those columns."""
    # Postgres sums integers as decimals.
    return Reservation(batches=batches, **dict(zip(UNITS, map(int, sums), strict=True)))
