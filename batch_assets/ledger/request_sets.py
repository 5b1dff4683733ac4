"""Request sets in the ledger: which one is a partition's current one, and which are resolved."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from batch_assets.domain.batch import RequestSet
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.rows import request_set_of
from batch_assets.ledger.statements import lock_partition

#: Databases limit the parameters of one statement.
_KEYS_PER_STATEMENT = 500


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A partition in the hands of a run, which is known to live until then."""

    holder: str
    until: datetime


class RequestSets:
    """The request sets of every partition of every inference."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._writing = writing(engine)
        self._clock = clock

    def open(self, inference: str, partition_key: str, digest: str) -> RequestSet:
        """The request set of that digest, made if it is new, and current from now on."""
        table = schema.request_set
        named = sa.and_(
            table.c.inference == inference,
            table.c.partition_key == partition_key,
        )
        with self._writing.begin() as connection:
            lock_partition(connection, inference, partition_key)
            connection.execute(
                table.update()
                .where(named, table.c.is_current, table.c.digest != digest)
                .values(is_current=False)
            )
            known = connection.execute(
                sa.select(table).where(named, table.c.digest == digest)
            ).one_or_none()
            if known is not None and not known.is_current:
                # The results in the store are another request set's by now: fold them again.
                connection.execute(
                    table.update()
                    .where(table.c.id == known.id)
                    .values(is_current=True, resolved_at=None)
                )
            if known is None:
                connection.execute(
                    table.insert().values(
                        inference=inference,
                        partition_key=partition_key,
                        digest=digest,
                        created_at=self._clock(),
                        is_current=True,
                        wave=0,
                    )
                )
            row = (
                connection.execute(sa.select(table).where(named, table.c.digest == digest))
                .mappings()
                .one()
            )
        return request_set_of(row)

    def current(self, inference: str, partition_key: str) -> RequestSet | None:
        """The request set that the partition's results are to come from, once it was submitted."""
        table = schema.request_set
        with self._engine.connect() as connection:
            row = (
                connection.execute(
                    sa.select(table).where(
                        table.c.inference == inference,
                        table.c.partition_key == partition_key,
                        table.c.is_current,
                    )
                )
                .mappings()
                .one_or_none()
            )
        return None if row is None else request_set_of(row)

    def hold(
        self, inference: str, partition_keys: Collection[str], *, holder: str, lease: timedelta
    ) -> None:
        """Say, and say again before the lease ends, that a live run has these partitions.

        A partition that another live run has stays that run's.
        """
        table, now = schema.request_set, self._clock()
        free = sa.or_(table.c.holder.is_(None), table.c.holder == holder, table.c.held_until < now)
        keys = sorted(partition_keys)
        with self._writing.begin() as connection:
            for start in range(0, len(keys), _KEYS_PER_STATEMENT):
                connection.execute(
                    table.update()
                    .where(
                        table.c.inference == inference,
                        table.c.partition_key.in_(keys[start : start + _KEYS_PER_STATEMENT]),
                        table.c.is_current,
                        free,
                    )
                    .values(holder=holder, held_until=now + lease)
                )

    def let_go(self, holder: str) -> None:
        """The run ends and has no partition any more."""
        table = schema.request_set
        with self._writing.begin() as connection:
            connection.execute(
                table.update().where(table.c.holder == holder).values(holder=None, held_until=None)
            )

    def holds(self, inference: str) -> Mapping[str, Hold]:
        """Who has each of the inference's partitions, dead holders included."""
        table = schema.request_set
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(table.c.partition_key, table.c.holder, table.c.held_until).where(
                    table.c.inference == inference, table.c.holder.is_not(None)
                )
            )
            return {
                row.partition_key: Hold(holder=row.holder, until=row.held_until) for row in rows
            }

    def resolve(self, request_set: RequestSet) -> None:
        """Every item of the request set has its final outcome, and the results are written."""
        table = schema.request_set
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.id == request_set.id, table.c.resolved_at.is_(None))
                .values(resolved_at=self._clock())
            )
