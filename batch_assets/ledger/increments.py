"""Results that became readable together, numbered through an inference's whole life."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from batch_assets.domain.batch import RequestSet
from batch_assets.domain.errors import StaleMove
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.statements import lock_by_name


@dataclass(frozen=True, kw_only=True)
class Increment:
    """Rows of results that were final at one moment and had not been before."""

    partition_key: str
    #: Sequence number of its first row; the others follow without a gap.
    first_sequence: int
    rows: int
    #: Parquet file of the rows, below the store's root.
    path: str

    @property
    def last_sequence(self) -> int:
        return self.first_sequence + self.rows - 1


class Increments:
    """The increments of every inference.

    Numbers are given out and committed in one order, so that whoever read up to a number misses
    nothing by going on behind it.
    """

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._writing = writing(engine)
        self._clock = clock

    def mark(self, request_set: RequestSet) -> str | None:
        """How the request set stood when its last increment was taken."""
        table = schema.request_set
        with self._engine.connect() as connection:
            found: str | None = connection.scalar(
                sa.select(table.c.increment_mark).where(table.c.id == request_set.id)
            )
        return found

    def of(self, request_set: RequestSet) -> Sequence[Increment]:
        """The request set's increments, oldest first."""
        return self._select(schema.increment.c.request_set_id == request_set.id)

    def after(
        self, inference: str, sequence: int, *, partition_keys: Collection[str] | None = None
    ) -> Sequence[Increment]:
        """The inference's increments that have rows of higher numbers, in their order."""
        table = schema.increment
        found = self._select(
            table.c.inference == inference, table.c.first_sequence + table.c.rows > sequence + 1
        )
        wanted = None if partition_keys is None else set(partition_keys)
        return [each for each in found if wanted is None or each.partition_key in wanted]

    def add(
        self, request_set: RequestSet, *, before: str | None, mark: str, rows: int, path: str
    ) -> None:
        """Number the rows of a file, none where it has none, and keep how the set stands now.

        `before` is the mark that the rows were found behind. Raises StaleMove where another process
        took them first.
        """
        table, sets = schema.increment, schema.request_set
        with self._writing.begin() as connection:
            lock_by_name(connection, f"increment/{request_set.inference}")
            unchanged = (
                sets.c.increment_mark.is_(None)
                if before is None
                else sets.c.increment_mark == before
            )
            moved = connection.execute(
                sets.update()
                .where(sets.c.id == request_set.id, unchanged)
                .values(increment_mark=mark)
            )
            if moved.rowcount != 1:
                raise StaleMove(
                    f"another process took the increment of {request_set.partition_key}: read again"
                )
            if rows:
                last = connection.scalar(
                    sa.select(sa.func.max(table.c.first_sequence + table.c.rows)).where(
                        table.c.inference == request_set.inference
                    )
                )
                connection.execute(
                    table.insert().values(
                        request_set_id=request_set.id,
                        inference=request_set.inference,
                        first_sequence=last or 1,
                        rows=rows,
                        path=path,
                        at=self._clock(),
                    )
                )

    def _select(self, *conditions: sa.ColumnElement[bool]) -> Sequence[Increment]:
        table, sets = schema.increment, schema.request_set
        query = (
            sa.select(table, sets.c.partition_key)
            .join(sets, sets.c.id == table.c.request_set_id)
            .where(*conditions)
            .order_by(table.c.first_sequence)
        )
        with self._engine.connect() as connection:
            return [
                Increment(
                    partition_key=row.partition_key,
                    first_sequence=row.first_sequence,
                    rows=row.rows,
                    path=row.path,
                )
                for row in connection.execute(query)
            ]
