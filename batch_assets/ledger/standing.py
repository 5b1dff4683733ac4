"""How partitions stand, for a person who asks: the resolved ones too."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from batch_assets.domain.batch import BatchState, CanaryState, RequestSet
from batch_assets.domain.progress import Progress, progress_of_states
from batch_assets.ledger import schema
from batch_assets.ledger.rows import request_set_of
from batch_assets.ledger.statements import in_portions


@dataclass(frozen=True, kw_only=True)
class PartitionStanding:
    """The current request set of one partition, and the wave on its way."""

    request_set: RequestSet
    batches: Progress
    #: Requests of the wave, and how many of them the provider has finished and failed.
    requests: int
    completed: int
    failed: int

    @property
    def state(self) -> str:
        """Where it stands, in a word."""
        request_set = self.request_set
        if request_set.resolved_at is not None:
            return "resolved"
        if request_set.cancelled_at is not None:
            return "cancelled"
        if request_set.canary_state is CanaryState.HELD:
            return "held"
        if self.batches.open:
            return "open"
        if self.batches.planned or request_set.carried is None:
            return "waiting"
        if self.batches.stopped:
            return "stopped"
        return "ended" if self.batches.ended else "collected"


class Standings:
    """Reads of all current request sets; nothing is changed."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def inferences(self) -> Sequence[str]:
        """The names of all inferences that anything was ever submitted of."""
        named = sa.select(schema.request_set.c.inference).distinct()
        with self._engine.connect() as connection:
            return sorted(connection.scalars(named))

    def request_sets(self, inference: str) -> Sequence[RequestSet]:
        """Every request set that was ever submitted, replaced ones too, in the order of that."""
        sets = schema.request_set
        every = sa.select(sets).where(sets.c.inference == inference).order_by(sets.c.id)
        with self._engine.connect() as connection:
            return [request_set_of(row) for row in connection.execute(every).mappings()]

    def changed(
        self, inferences: Collection[str], *, after: datetime | None, until: datetime
    ) -> Sequence[RequestSet]:
        """The current request sets submitted or resolved after one time and until another."""
        sets = schema.request_set

        def is_between(at: sa.Column[datetime]) -> sa.ColumnElement[bool]:
            return sa.and_(at <= until, sa.true() if after is None else at > after)

        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(sets)
                .where(
                    sets.c.inference.in_(list(inferences)),
                    sets.c.is_current,
                    sa.or_(is_between(sets.c.submitted_at), is_between(sets.c.resolved_at)),
                )
                .order_by(sets.c.id)
            ).mappings()
            return [request_set_of(row) for row in rows]

    def of(
        self,
        inference: str | None = None,
        *,
        partition_key: str | None = None,
        only_open: bool = False,
    ) -> Sequence[PartitionStanding]:
        """The partitions of an inference, or of all, in the order they were submitted first."""
        table, sets = schema.batch, schema.request_set
        conditions: list[sa.ColumnElement[bool]] = [sets.c.is_current]
        if inference is not None:
            conditions.append(sets.c.inference == inference)
        if partition_key is not None:
            conditions.append(sets.c.partition_key == partition_key)
        if only_open:
            conditions.append(sets.c.resolved_at.is_(None))
        with self._engine.connect() as connection:
            found = [
                request_set_of(row)
                for row in connection.execute(
                    sa.select(sets).where(*conditions).order_by(sets.c.inference, sets.c.id)
                ).mappings()
            ]
            batches: dict[int, list[Any]] = {}
            columns = (table.c[name] for name in ("request_set_id", *_COUNTED))
            of_wave = (
                sa.select(*columns)
                .join(sets, sets.c.id == table.c.request_set_id)
                .where(table.c.wave == sets.c.wave)
                .order_by(table.c.request_set_id, table.c.id)
            )
            for some in in_portions([each.id for each in found]):
                rows = connection.execute(of_wave.where(table.c.request_set_id.in_(some)))
                for id_, own in groupby(rows, lambda row: row.request_set_id):
                    batches[id_] = list(own)
        return [_standing(each, batches.get(each.id, [])) for each in found]


_DONE = (BatchState.ENDED, BatchState.COLLECTED)
_COUNTED = ("shard", "state", "requests", "completed", "failed")


def _standing(request_set: RequestSet, batches: Sequence[Any]) -> PartitionStanding:
    # The newest batch of a shard stands for it.
    newest = {batch.shard: batch for batch in batches}.values()
    failed = sum(batch.failed or 0 for batch in newest)
    return PartitionStanding(
        request_set=request_set,
        batches=progress_of_states(BatchState(batch.state) for batch in newest),
        requests=sum(batch.requests for batch in newest),
        completed=sum(map(_completed, newest)),
        failed=failed,
    )


def _completed(batch: Any) -> int:
    if batch.completed is None and batch.state in _DONE:
        # A provider that counts nothing: an ended batch is taken for answered until it is folded.
        requests: int = batch.requests
        return requests - (batch.failed or 0)
    return batch.completed or 0
