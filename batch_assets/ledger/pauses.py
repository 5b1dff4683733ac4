"""Orders to send nothing new: a person's pauses, and the stops of accounts the provider refuses."""

from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa

from batch_assets.domain.batch import Account
from batch_assets.domain.control import Pause, Scope
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.statements import lock_by_name


class Pauses:
    """Every pause and stop that stands; those that were lifted stay on record."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._writing = writing(engine)
        self._clock = clock

    def add(self, scope: Scope, *, owner: str, reason: str, is_stop: bool = False) -> None:
        """Send nothing new of the scope until it is lifted. Given again, it gets the new reason."""
        table, now = schema.pause, self._clock()
        with self._writing.begin() as connection:
            lock_by_name(connection, "pause")
            again = connection.execute(
                table.update()
                .where(_of(scope), table.c.lifted_at.is_(None), table.c.is_stop.is_(is_stop))
                .values(reason=reason, owner=owner)
            )
            if again.rowcount == 0:
                connection.execute(
                    table.insert().values(
                        account=scope.account,
                        inference=scope.inference,
                        partition_key=scope.partition_key,
                        origin=scope.origin,
                        since=now,
                        owner=owner,
                        reason=reason,
                        is_stop=is_stop,
                    )
                )

    def lift(self, scope: Scope, *, owner: str) -> int:
        """Take back what was ordered for just this scope; how many orders that were.

        An account's stop is lifted with its pause, and what was learned of the room that the
        provider has for it is forgotten.
        """
        table, now = schema.pause, self._clock()
        with self._writing.begin() as connection:
            lock_by_name(connection, "pause")
            lifted = connection.execute(
                table.update()
                .where(_of(scope), table.c.lifted_at.is_(None))
                .values(lifted_at=now, lifted_by=owner)
            )
            if scope.account is not None:
                connection.execute(
                    schema.account.update()
                    .where(schema.account.c.name == scope.account)
                    .values(believed_tokens=None, refusals=0, not_before=None, refusal=None)
                )
        return lifted.rowcount

    def lifted_at(self, scope: Scope) -> datetime | None:
        """When somebody lifted an order for just this scope last."""
        newest = sa.select(sa.func.max(schema.pause.c.lifted_at)).where(_of(scope))
        with self._engine.connect() as connection:
            found: datetime | None = connection.execute(newest).scalar_one()
        return found

    def standing(self) -> Sequence[Pause]:
        """The orders that nobody has lifted, oldest first."""
        with self._engine.connect() as connection:
            return standing_pauses(connection)


def standing_pauses(connection: sa.Connection) -> list[Pause]:
    """The orders that nobody has lifted, oldest first."""
    table = schema.pause
    rows = connection.execute(
        sa.select(table).where(table.c.lifted_at.is_(None)).order_by(table.c.id)
    )
    return [
        Pause(
            scope=Scope(
                account=None if row.account is None else Account(row.account),
                inference=row.inference,
                partition_key=row.partition_key,
                origin=row.origin,
            ),
            since=row.since,
            owner=row.owner,
            reason=row.reason,
            is_stop=row.is_stop,
        )
        for row in rows
    ]


def _of(scope: Scope) -> sa.ColumnElement[bool]:
    table = schema.pause
    return sa.and_(
        *(
            table.c[name].is_(None) if value is None else table.c[name] == value
            for name, value in (
                ("account", scope.account),
                ("inference", scope.inference),
                ("partition_key", scope.partition_key),
                ("origin", scope.origin),
            )
        )
    )
