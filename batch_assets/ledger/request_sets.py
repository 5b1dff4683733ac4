"""Request sets in the ledger: which one is a partition's current one, and which are resolved."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from batch_assets.domain.batch import BatchState, CanaryState, RequestSet
from batch_assets.domain.control import Scope
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.queries import batch_select
from batch_assets.ledger.rows import batch_of, request_set_of
from batch_assets.ledger.sketches import may_answer
from batch_assets.ledger.statements import in_portions, lock_by_name, move
from batch_assets.ledger.turns import WANTED_EVERY


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

    def open(
        self,
        inference: str,
        partition_key: str,
        digest: str,
        *,
        origin: str = "",
        needs_approval: bool = False,
    ) -> RequestSet:
        """The request set of that digest, made if it is new, and current from now on.

        One that was cancelled is taken up again. `origin` is who asks for it now. With
        `needs_approval` nothing of it is sent before a person approved its digest.
        """
        table = schema.request_set
        named = sa.and_(
            table.c.inference == inference,
            table.c.partition_key == partition_key,
        )
        with self._writing.begin() as connection:
            lock_by_name(connection, f"{inference}/{partition_key}")
            connection.execute(
                table.update()
                .where(named, table.c.is_current, table.c.digest != digest)
                .values(is_current=False)
            )
            known = connection.execute(
                sa.select(table).where(named, table.c.digest == digest)
            ).one_or_none()
            if known is not None:
                # Where another request set was current, the results in the store are its own:
                # they are folded again. So are those of one that was cancelled.
                anew = not known.is_current or known.cancelled_at is not None
                # What was never sent may have been answered meanwhile, in another request set.
                unsent = anew and not _was_sent(connection, known.id)
                connection.execute(
                    table.update()
                    .where(table.c.id == known.id)
                    .values(
                        carried=None if unsent else known.carried,
                        wave=0 if unsent else known.wave,
                        canary=None if unsent else known.canary,
                        canary_state=None if unsent else _anew(known.canary_state),
                        released_wave=None if unsent else known.released_wave,
                        is_current=True,
                        submitted_at=self._clock() if anew else known.submitted_at,
                        rescued_at=None if unsent else known.rescued_at,
                        rescue_wave=None if unsent else known.rescue_wave,
                        rescue_asks=None if anew else known.rescue_asks,
                        resolved_at=None if anew else known.resolved_at,
                        origin=origin or known.origin,
                        needs_approval=needs_approval,
                        cancelled_at=None,
                        cancels_batches=False,
                    )
                )
            if known is None:
                connection.execute(
                    table.insert().values(
                        inference=inference,
                        partition_key=partition_key,
                        digest=digest,
                        created_at=self._clock(),
                        submitted_at=self._clock(),
                        is_current=True,
                        wave=0,
                        origin=origin,
                        needs_approval=needs_approval,
                        cancels_batches=False,
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
        return self._one(inference, partition_key, schema.request_set.c.is_current)

    def find(self, inference: str, partition_key: str, digest: str) -> RequestSet | None:
        """The partition's request set of that digest, current or not, once it was submitted."""
        return self._one(inference, partition_key, schema.request_set.c.digest == digest)

    def _one(
        self, inference: str, partition_key: str, is_it: sa.ColumnElement[bool]
    ) -> RequestSet | None:
        table = schema.request_set
        with self._engine.connect() as connection:
            row = (
                connection.execute(
                    sa.select(table).where(
                        table.c.inference == inference,
                        table.c.partition_key == partition_key,
                        is_it,
                    )
                )
                .mappings()
                .one_or_none()
            )
        return None if row is None else request_set_of(row)

    def current_ones(self, inference: str) -> Sequence[RequestSet]:
        """The current request set of each partition of an inference."""
        table = schema.request_set
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(table)
                .where(table.c.inference == inference, table.c.is_current)
                .order_by(table.c.id)
            ).mappings()
            return [request_set_of(row) for row in rows]

    def unresolved(self, scope: Scope) -> Sequence[RequestSet]:
        """The request sets of a scope that wait for results, replaced ones too."""
        table, batches = schema.request_set, schema.batch
        conditions: list[sa.ColumnElement[bool]] = [table.c.resolved_at.is_(None)]
        if scope.account is not None:
            of_account = sa.select(batches.c.request_set_id).where(
                batches.c.account == scope.account
            )
            conditions.append(table.c.id.in_(of_account))
        if scope.origin is not None:
            conditions.append(table.c.origin == scope.origin)
        if scope.inference is not None:
            conditions.append(table.c.inference == scope.inference)
        if scope.partition_key is not None:
            conditions.append(table.c.partition_key == scope.partition_key)
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(table).where(*conditions).order_by(table.c.id)
            ).mappings()
            return [request_set_of(row) for row in rows]

    def waiting_origins(self) -> Sequence[str]:
        """Who asked for what is still to be sent: ids of backfills and runs."""
        table, batches = schema.request_set, schema.batch
        is_planned = sa.exists().where(
            batches.c.request_set_id == table.c.id, batches.c.state == BatchState.PLANNED
        )
        with self._engine.connect() as connection:
            found = connection.scalars(
                sa.select(table.c.origin)
                .where(
                    table.c.is_current,
                    table.c.resolved_at.is_(None),
                    table.c.cancelled_at.is_(None),
                    sa.or_(table.c.carried.is_(None), is_planned),
                )
                .distinct()
            )
            return list(found)

    def without_batches(self) -> Sequence[RequestSet]:
        """Current request sets that wait for results, have no batch at all, and could go on.

        Every request of theirs is too large to send or was answered before, or whoever opened them
        died before planning. Those that wait for another's answers are left out.
        """
        return self._without_batches(~_waits_for_answers())

    def waiting_for_answers(self) -> Sequence[RequestSet]:
        """Current request sets that send nothing before another one is answered."""
        return self._without_batches(_waits_for_answers())

    def _without_batches(self, condition: sa.ColumnElement[bool]) -> Sequence[RequestSet]:
        table, batches = schema.request_set, schema.batch
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(table).where(
                    table.c.is_current,
                    table.c.resolved_at.is_(None),
                    ~sa.exists().where(batches.c.request_set_id == table.c.id),
                    condition,
                )
            ).mappings()
            return [request_set_of(row) for row in rows]

    def hold(
        self, inference: str, partition_keys: Collection[str], *, holder: str, lease: timedelta
    ) -> Collection[str]:
        """Say, and say again before the lease ends, that a live run has these partitions.

        A partition that another live run has stays that run's. Gives those that the holder has.
        """
        table, now = schema.request_set, self._clock()
        free = sa.or_(table.c.holder.is_(None), table.c.holder == holder, table.c.held_until < now)
        has: set[str] = set()
        for keys in in_portions(sorted(partition_keys)):
            named = sa.and_(
                table.c.inference == inference, table.c.partition_key.in_(keys), table.c.is_current
            )
            # In one order, so that of two that hold at once neither has what the other waits for.
            theirs = sa.select(table.c.id).where(named, free).order_by(table.c.id).with_for_update()
            with self._writing.begin() as connection:
                connection.execute(
                    table.update()
                    .where(table.c.id.in_(theirs))
                    .values(holder=holder, held_until=now + lease)
                )
                is_mine = sa.and_(named, table.c.holder == holder)
                has.update(connection.scalars(sa.select(table.c.partition_key).where(is_mine)))
        return has

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

    def want(self, inferences: Collection[str], partition_keys: Collection[str] = ()) -> None:
        """Say that a live process wants to send what these inferences have planned.

        Where partitions are named, it is of those alone. A batch that nobody said this of for a
        while keeps no other waiting for its turn.
        """
        table, sets, now = schema.batch, schema.request_set, self._clock()
        theirs = sa.select(sets.c.id).where(sets.c.inference.in_(list(inferences)))
        if partition_keys:
            theirs = theirs.where(sets.c.partition_key.in_(list(partition_keys)))
        # A batch that somebody has in hand at this moment is about to be sent or dropped.
        waiting = (
            sa.select(table.c.id)
            .where(
                table.c.state == BatchState.PLANNED,
                table.c.request_set_id.in_(theirs),
                sa.or_(table.c.wanted_at.is_(None), table.c.wanted_at < now - WANTED_EVERY),
            )
            .with_for_update(skip_locked=True)
        )
        with self._writing.begin() as connection:
            connection.execute(table.update().where(table.c.id.in_(waiting)).values(wanted_at=now))

    def cancel(
        self, request_set: RequestSet, *, owner: str, reason: str, cancels_batches: bool
    ) -> int:
        """Send nothing more of an unresolved request set; how many planned batches that drops.

        With `cancels_batches` what is at the provider is to be cancelled there too; it stays
        submitted until the provider says that it ended, and has the reason until then.
        """
        sets, batches = schema.request_set, schema.batch
        with self._writing.begin() as connection:
            cancelled = connection.execute(
                sets.update()
                .where(sets.c.id == request_set.id, sets.c.resolved_at.is_(None))
                .values(
                    cancelled_at=sa.func.coalesce(sets.c.cancelled_at, self._clock()),
                    cancels_batches=sa.or_(sets.c.cancels_batches, sa.literal(cancels_batches)),
                )
            )
            if cancelled.rowcount == 0:
                return 0
            is_out = batches.c.state == BatchState.SUBMITTED
            connection.execute(
                batches.update()
                .where(batches.c.request_set_id == request_set.id, is_out)
                .values(reason=reason)
            )
            return drop_planned(connection, self._clock(), request_set, owner=owner, reason=reason)

    def hold_canary(self, request_set: RequestSet, reason: str) -> None:
        """A check found the canary wanting: the rest waits until a person approves it."""
        table = schema.request_set
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(
                    table.c.id == request_set.id,
                    table.c.wave == request_set.wave,
                    table.c.canary_state.in_([CanaryState.OPEN, CanaryState.HELD]),
                )
                .values(canary_state=CanaryState.HELD, canary_reason=reason)
            )

    def made_anew(self, request_set: RequestSet) -> None:
        """The results of a resolved one were written again, of the answers that it had."""
        table = schema.request_set
        is_it = sa.and_(table.c.id == request_set.id, table.c.resolved_at.is_not(None))
        with self._writing.begin() as connection:
            connection.execute(table.update().where(is_it).values(resolved_at=self._clock()))

    def resolve(self, request_set: RequestSet) -> None:
        """Every item of the request set, as it was read, has its final outcome in the results.

        Nothing is said of one that went on meanwhile: another wave, a cancellation, a rescue of its
        stragglers, or its end.
        """
        table = schema.request_set
        is_cancelled = table.c.cancelled_at.is_not(None)
        is_rescued = table.c.rescued_at.is_not(None)
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(
                    table.c.id == request_set.id,
                    table.c.resolved_at.is_(None),
                    table.c.wave == request_set.wave,
                    is_cancelled if request_set.cancelled_at else ~is_cancelled,
                    is_rescued if request_set.rescued_at else ~is_rescued,
                )
                .values(resolved_at=self._clock())
            )


def drop_planned(
    connection: sa.Connection, now: datetime, request_set: RequestSet, *, owner: str, reason: str
) -> int:
    """Give up what of a request set was never sent; how many batches that were."""
    table = schema.batch
    # Locked, so that each is still planned when it is dropped.
    planned = connection.execute(
        batch_select()
        .where(table.c.request_set_id == request_set.id, table.c.state == BatchState.PLANNED)
        .with_for_update(of=table)
    ).mappings()
    dropped = [batch_of(row) for row in planned]
    for batch in dropped:
        move(connection, now, batch, BatchState.ABANDONED, owner=owner, reason=reason)
    return len(dropped)


def _anew(canary_state: str | None) -> str | None:
    """A canary that was found wanting is judged again, by the checks as they are now."""
    return CanaryState.OPEN if canary_state == CanaryState.HELD else canary_state


def _waits_for_answers() -> sa.ColumnElement[bool]:
    table, awaited = schema.request_set, schema.request_set.alias("awaited")
    return sa.and_(
        table.c.cancelled_at.is_(None),
        sa.exists().where(awaited.c.id == table.c.awaits, may_answer(awaited)),
    )


def _was_sent(connection: sa.Connection, request_set_id: int) -> bool:
    """Whether a batch of the request set is, or was, at the provider, or may be."""
    table = schema.batch
    found = connection.execute(
        sa.select(table.c.id)
        .where(
            table.c.request_set_id == request_set_id,
            sa.or_(table.c.state != BatchState.ABANDONED, table.c.provider_id.is_not(None)),
        )
        .limit(1)
    )
    return found.first() is not None
