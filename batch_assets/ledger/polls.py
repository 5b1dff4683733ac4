"""What a look at a provider writes down of many batches, and what the next one is planned by."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from batch_assets.domain.batch import HOLDING, Account, Batch, BatchState, RequestSetId
from batch_assets.domain.budget import Reservation
from batch_assets.domain.progress import WaveProgress, progress_of_states
from batch_assets.domain.provider import ProviderBatch
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.rows import observed
from batch_assets.ledger.statements import UNITS, in_portions

#: Ended batches of an account that tell how long the next ones take.
_NEWEST_ENDED = 500

#: Columns that follow what the provider says.
_OBSERVED = ("provider_status", "completed", "failed")


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What the provider said of a batch that it still works on."""

    batch: Batch
    found: ProviderBatch
    #: Why it is not as it should be, in a sentence for a person.
    reason: str | None = None

    @property
    def is_news(self) -> bool:
        """Whether anything of it is other than before."""
        batch, columns = self.batch, observed(self.found)
        known = {name: getattr(batch, name) for name in _OBSERVED}
        return columns != known or batch.reason != self.reason


@dataclass(frozen=True, kw_only=True)
class Turnaround:
    """How long one ended batch took, from its submission until its end was seen."""

    inference: str
    endpoint: str
    took: timedelta


@dataclass(frozen=True, kw_only=True)
class Unsent:
    """Planned batches of one request set."""

    request_set: RequestSetId
    inference: str
    partition_key: str
    origin: str
    batches: int
    #: None where no time keeps them.
    not_before: datetime | None
    #: The least that one of them asks for, unit by unit.
    smallest: Reservation


class Polls:
    """Looks at the providers, as the ledger remembers them."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._writing = writing(engine)
        self._clock = clock

    def observe(self, sightings: Sequence[Sighting]) -> None:
        """Note what the provider said of batches that it still works on, in one transaction."""
        table, now = schema.batch, self._clock()
        seen: dict[str, Any] = {"polled_at": now, "missed_at": None}
        news = [each for each in sightings if each.is_news]
        same = [each.batch.id for each in sightings if not each.is_news]
        stands = table.c.state == BatchState.SUBMITTED
        with self._writing.begin() as connection:
            for some in in_portions(same):
                connection.execute(
                    table.update().where(table.c.id.in_(some), stands).values(**seen)
                )
            if news:
                connection.execute(
                    table.update()
                    .where(table.c.id == sa.bindparam("of"), stands)
                    .values(
                        **seen,
                        reason=sa.bindparam("why"),
                        **{name: sa.bindparam(f"new_{name}") for name in _OBSERVED},
                    ),
                    [
                        {
                            "of": each.batch.id,
                            "why": each.reason,
                            **{f"new_{k}": v for k, v in observed(each.found).items()},
                        }
                        for each in news
                    ],
                )

    def miss(self, batches: Collection[Batch], reason: str) -> None:
        """The provider says that it does not know these submitted batches."""
        table = schema.batch
        with self._writing.begin() as connection:
            for some in in_portions([batch.id for batch in batches]):
                connection.execute(
                    table.update()
                    .where(table.c.id.in_(some), table.c.state == BatchState.SUBMITTED)
                    .values(missed_at=self._clock(), reason=reason)
                )

    def wake(self, provider_id: str) -> bool:
        """The provider sent word of a batch: it is asked about at the next look, whatever its turn.

        False where no submitted batch has that id.
        """
        table = schema.batch
        with self._writing.begin() as connection:
            woken = connection.execute(
                table.update()
                .where(table.c.provider_id == provider_id, table.c.state == BatchState.SUBMITTED)
                .values(woken_at=self._clock())
            )
        return woken.rowcount > 0

    def asked_to_cancel(self, batch: Batch) -> None:
        """The provider was asked to cancel the batch; it says itself when it has."""
        table = schema.batch
        request_set = batch.request_set
        is_rescued = request_set.is_overtaken(batch.wave) and not request_set.cancels_batches
        asked_at = table.c.rescued_at if is_rescued else table.c.cancel_requested_at
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.id == batch.id, table.c.state == BatchState.SUBMITTED)
                .values({asked_at: self._clock()})
            )

    def turnarounds(self, account: Account) -> Sequence[Turnaround]:
        """How long the account's newest ended batches took, those aside that failed or were
        cancelled.
        """
        table, sets = schema.batch, schema.request_set
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(
                    sets.c.inference, table.c.endpoint, table.c.submitted_at, table.c.ended_at
                )
                .join(sets, sets.c.id == table.c.request_set_id)
                .where(
                    table.c.account == account,
                    table.c.ended_at.is_not(None),
                    table.c.submitted_at.is_not(None),
                    table.c.error_code.is_(None),
                    table.c.cancel_requested_at.is_(None),
                    table.c.rescued_at.is_(None),
                )
                .order_by(table.c.ended_at.desc())
                .limit(_NEWEST_ENDED)
            )
            return [
                Turnaround(inference=inference, endpoint=endpoint, took=ended - submitted)
                for inference, endpoint, submitted, ended in rows
            ]

    def waiting(self, account: Account) -> Sequence[Unsent]:
        """The account's planned batches, counted by request set and the time they wait for."""
        table, sets = schema.batch, schema.request_set
        later = sa.case((table.c.not_before > self._clock(), table.c.not_before), else_=None)
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(
                    sets.c.id.label("request_set"),
                    sets.c.inference,
                    sets.c.partition_key,
                    sets.c.origin,
                    sa.func.count().label("batches"),
                    sa.type_coerce(later, schema.UtcTimestamp()).label("not_before"),
                    *(sa.func.min(table.c[unit]).label(unit) for unit in UNITS),
                )
                .join(sets, sets.c.id == table.c.request_set_id)
                .where(table.c.account == account, _is(BatchState.PLANNED))
                .group_by(sets.c.id, sets.c.inference, sets.c.partition_key, sets.c.origin, later)
                .order_by(sets.c.id)
            ).all()
        return [
            Unsent(
                request_set=RequestSetId(row.request_set),
                inference=row.inference,
                partition_key=row.partition_key,
                origin=row.origin,
                batches=row.batches,
                not_before=row.not_before,
                smallest=Reservation(batches=1, **{unit: getattr(row, unit) for unit in UNITS}),
            )
            for row in rows
        ]

    def oldest_unasked(self, inferences: Collection[str]) -> Mapping[str, datetime]:
        """Since when the provider has said nothing of some submitted batch, by inference."""
        table, sets = schema.batch, schema.request_set
        told = sa.func.min(
            sa.func.coalesce(table.c.polled_at, table.c.submitted_at), type_=schema.UtcTimestamp()
        )
        # First the few batches that are out, then whose they are.
        oldest = (
            sa.select(table.c.request_set_id, told.label("since"))
            .where(_is(BatchState.SUBMITTED))
            .group_by(table.c.request_set_id)
            .cte("oldest")
        )
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(sets.c.inference, oldest.c.since)
                .select_from(oldest)
                .join(sets, sets.c.id == oldest.c.request_set_id)
            )
            found: dict[str, datetime] = {}
            for inference, since in rows:
                if inference in inferences:
                    found[inference] = min(since, found.get(inference, since))
            return found

    def progress(
        self, inferences: Collection[str], *, request_set: RequestSetId | None = None
    ) -> Sequence[WaveProgress]:
        """How far the wave on its way is of every partition that waits for its results."""
        table, sets = schema.batch, schema.request_set
        conditions = [
            sets.c.is_current,
            sets.c.resolved_at.is_(None),
            table.c.wave == sets.c.wave,
            sets.c.inference.in_(list(inferences)),
        ]
        if request_set is not None:
            conditions.append(sets.c.id == request_set)
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(
                    sets.c.id.label("request_set"),
                    sets.c.inference,
                    sets.c.partition_key,
                    sets.c.wave,
                    sets.c.told,
                    *(table.c[name] for name in _PROGRESS),
                )
                .join(sets, sets.c.id == table.c.request_set_id)
                .where(*conditions)
                .order_by(sets.c.id, table.c.id)
            ).all()
        return [_progress(list(own)) for _, own in groupby(rows, lambda row: row.request_set)]

    def tell(self, stages: Mapping[RequestSetId, str]) -> None:
        """A person was told that these request sets have reached these stages."""
        table = schema.request_set
        if not stages:
            return
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.id == sa.bindparam("of"))
                .values(told=sa.bindparam("stage")),
                [{"of": of, "stage": stage} for of, stage in stages.items()],
            )


_PROGRESS = ("shard", "state", "endpoint", "requests", "completed", "failed", "submitted_at")
_DONE = (BatchState.ENDED, BatchState.COLLECTED)


def _progress(rows: Sequence[Any]) -> WaveProgress:
    """The rows of one request set's wave, in the order in which the batches were planned."""
    newest = {row.shard: row for row in rows}.values()
    first = rows[0]
    failed = sum(row.failed or 0 for row in newest)
    # The provider may have counted nothing of one that ended.
    done = sum(row.requests if row.state in _DONE else row.completed or 0 for row in newest)
    open_since = [
        (row.endpoint, row.submitted_at)
        for row in newest
        if row.state in HOLDING and row.submitted_at
    ]
    return WaveProgress(
        request_set=RequestSetId(first.request_set),
        inference=first.inference,
        partition_key=first.partition_key,
        wave=first.wave,
        shards=progress_of_states(BatchState(row.state) for row in newest),
        requests=sum(row.requests for row in newest),
        completed=done - sum(row.failed or 0 for row in newest if row.state in _DONE),
        failed=failed,
        submitted_at=min((since for _, since in open_since), default=None),
        open_since=tuple(open_since),
        told=first.told,
    )


def _is(state: BatchState) -> sa.ColumnElement[bool]:
    """Written out: an index over some states is not used for one that is a parameter."""
    return schema.batch.c.state == sa.literal_column(f"'{state}'")
