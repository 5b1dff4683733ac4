"""Which request sets of an inference may have requests in common, whatever partition they are of.

A sketch is a few of a request set's fingerprints, chosen the same way from each: two that have a
good part of their requests in common have some of them in common (bottom-k sketches; A. Broder, "On
the resemblance and containment of documents", 1997).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from batch_assets.domain.batch import BatchState, RequestSet, RequestSetId
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.rows import request_set_of
from batch_assets.ledger.statements import lock_by_name

_ON_ITS_WAY = frozenset(BatchState) - {BatchState.COLLECTED, BatchState.ABANDONED}


@dataclass(frozen=True, kw_only=True)
class Relative:
    """A request set that may have requests in common with another."""

    request_set: RequestSet
    #: Whether answers of its may still come.
    is_open: bool


class Sketches:
    """The sketches of every request set."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writing = writing(engine)

    def add(self, request_set: RequestSet, fingerprints: Collection[int]) -> None:
        """Note the sketch of a request set, if it is not there yet."""
        table = schema.sketch
        with self._writing.begin() as connection:
            # Of two that begin the same request set at once the second finds the first's.
            lock_by_name(connection, f"sketch {request_set.id}")
            known = connection.execute(
                sa.select(table.c.request_set_id)
                .where(table.c.request_set_id == request_set.id)
                .limit(1)
            ).first()
            if known is None and fingerprints:
                connection.execute(
                    table.insert(),
                    [
                        {"request_set_id": request_set.id, "fingerprint": each}
                        for each in set(fingerprints)
                    ],
                )

    def relatives(
        self,
        inference: str,
        partition_key: str,
        fingerprints: Collection[int],
        *,
        besides: str,
        before: RequestSet | None,
    ) -> Sequence[Relative]:
        """The request sets of a partition besides that of a digest, and those of other partitions
        that have one of the fingerprints in their sketch; newest first.

        Of two that are both about to look for answers, the older is open to the younger only:
        `before` is the one that looks, None for a look without consequence.
        """
        sets, sketches = schema.request_set, schema.sketch
        alike = sa.select(sketches.c.request_set_id).where(
            sketches.c.fingerprint.in_(list(fingerprints))
        )
        is_of_partition = sets.c.partition_key == partition_key
        is_older = sa.true() if before is None else sets.c.id < before.id
        # A batch of an earlier request set of the partition that was not sent is never sent.
        is_open = sa.or_(
            _has_batches(sets, _ON_ITS_WAY - {BatchState.PLANNED}),
            sa.and_(~is_of_partition, _has_batches(sets, {BatchState.PLANNED})),
            sa.and_(~is_of_partition, _will_begin(sets), is_older),
            sa.and_(~is_of_partition, _has_canary(sets)),
        )
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(sets, is_open.label("is_open"))
                .where(sets.c.inference == inference)
                .where(sa.or_(is_of_partition, sets.c.id.in_(alike)))
                .where(~sa.and_(is_of_partition, sets.c.digest == besides))
                .order_by(sets.c.id.desc())
            ).mappings()
            return [
                Relative(request_set=request_set_of(row), is_open=bool(row["is_open"]))
                for row in rows
            ]

    def open_one(self, request_set_id: RequestSetId) -> RequestSet | None:
        """The request set of that id, if answers of its may still come."""
        sets = schema.request_set
        with self._engine.connect() as connection:
            row = (
                connection.execute(
                    sa.select(sets).where(sets.c.id == request_set_id, may_answer(sets))
                )
                .mappings()
                .one_or_none()
            )
        return None if row is None else request_set_of(row)

    def awaiting(self, request_set: RequestSet, awaited: RequestSet) -> None:
        """Say that the request set waits for another's answers."""
        table = schema.request_set
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.id == request_set.id, table.c.carried.is_(None))
                .values(awaits=awaited.id)
            )


def may_answer(sets: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether answers of a request set may still come: it has something on its way, or is to begin.

    One that waits itself for another's answers is to begin.
    """
    return sa.or_(_has_batches(sets, _ON_ITS_WAY), _will_begin(sets), _has_canary(sets))


def _will_begin(sets: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(sets.c.carried.is_(None), sets.c.is_current, sets.c.cancelled_at.is_(None))


def _has_canary(sets: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a canary of it goes, or went, before the rest."""
    return sa.and_(
        sets.c.canary.is_not(None),
        sets.c.is_current,
        sets.c.resolved_at.is_(None),
        sets.c.cancelled_at.is_(None),
    )


def _has_batches(sets: sa.FromClause, states: Collection[BatchState]) -> sa.Exists:
    batches = schema.batch
    return sa.exists().where(batches.c.request_set_id == sets.c.id, batches.c.state.in_(states))
