"""Reads and moves of the ledger. Every move is a compare-and-set that writes its event with it."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from batch_assets.domain.batch import Account, Batch, BatchState, RequestSet
from batch_assets.domain.budget import Budget
from batch_assets.domain.control import Waiting
from batch_assets.domain.provider import ProviderBatch
from batch_assets.domain.shard import Shard
from batch_assets.ledger import schema
from batch_assets.ledger.accounts import Accounts, note_acceptance, note_refusal
from batch_assets.ledger.approvals import Approvals
from batch_assets.ledger.audits import Audits
from batch_assets.ledger.engine import open_engine, writing
from batch_assets.ledger.hands import Hands
from batch_assets.ledger.increments import Increments
from batch_assets.ledger.migrations import migrate
from batch_assets.ledger.pauses import Pauses
from batch_assets.ledger.planning import begin_wave, plan_again, plan_missing
from batch_assets.ledger.polls import Polls
from batch_assets.ledger.queries import NOBODY, BatchQueries
from batch_assets.ledger.request_sets import RequestSets
from batch_assets.ledger.rescues import Rescues
from batch_assets.ledger.rows import observed, problems_of, why_it_failed
from batch_assets.ledger.sketches import Sketches
from batch_assets.ledger.standing import Standings
from batch_assets.ledger.statements import lock_account, move
from batch_assets.ledger.turns import wait_of, write_down

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of a running deployment."""
    return datetime.now(UTC)


class Ledger(BatchQueries):
    """The SQL record of request sets and batches, for one database.

    Several processes may use one ledger at once: what two of them do to one batch is decided by
    the database, and the loser gets StaleMove.
    """

    def __init__(self, engine: sa.Engine, clock: Clock = utc_now) -> None:
        super().__init__(engine, clock)
        self._writing = writing(engine)
        try:
            with self._writing.begin() as connection:
                migrate(connection, clock())
        except BaseException:
            engine.dispose()
            raise
        self.request_sets = RequestSets(engine, clock)
        self.accounts = Accounts(engine, clock)
        self.pauses = Pauses(engine, clock)
        self.approvals = Approvals(engine, clock)
        self.increments = Increments(engine, clock)
        self.sketches = Sketches(engine)
        self.polls = Polls(engine, clock)
        self.standing = Standings(engine)
        self.hands = Hands(engine, clock)
        self.rescues = Rescues(engine, clock)
        self.audits = Audits(engine)

    @classmethod
    def open(cls, url: str, clock: Clock = utc_now) -> "Ledger":
        """Open the ledger at a SQLAlchemy URL and bring its schema up to date."""
        return cls(open_engine(url), clock)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def plan(
        self,
        request_set: RequestSet,
        shards: Iterable[Shard],
        *,
        wave: int,
        account: Account,
        endpoint: str,
        owner: str,
        not_before: datetime | None = None,
        carried: int | None = None,
        canary: int | None = None,
        releases_canary: bool = False,
    ) -> None:
        """A planned batch for each shard that has no live one, and the wave is on its way.

        Nothing is planned where the request set was cancelled meanwhile, or the rescue of its
        stragglers began: that has a wave of its own. Before `not_before` the batches are not sent.
        `carried` requests of the request set are answered without a wave.
        With `canary` the wave asks so many requests before the rest, and with `releases_canary` it
        asks the rest.
        """
        with self._writing.begin() as connection:
            lock_account(connection, account)
            shards = list(shards)
            is_begun = begin_wave(
                connection,
                self.clock(),
                request_set,
                wave=wave,
                has_shards=bool(shards),
                carried=carried,
                canary=canary,
                releases_canary=releases_canary,
            )
            if is_begun:
                plan_missing(
                    connection,
                    self.clock(),
                    request_set.id,
                    shards,
                    owner=owner,
                    wave=wave,
                    account=account,
                    endpoint=endpoint,
                    not_before=not_before,
                )

    def reserve(
        self, batch: Batch, *, owner: str, lease: timedelta, budget: Budget
    ) -> Batch | Waiting:
        """Take the batch and its share of the budget, before the provider is called.

        Waiting where it may not be sent now; the batch then says why. Raises StaleMove where
        another process took the batch first.
        """
        now = self.clock()
        with self._writing.begin() as connection:
            lock_account(connection, batch.account)
            waiting = wait_of(connection, now, batch, budget)
            if waiting is not None:
                if not budget.never_fits(batch.reservation):
                    write_down(connection, now, batch, waiting)
                return waiting
            move(
                connection,
                now,
                batch,
                BatchState.RESERVED,
                owner=owner,
                lease_owner=owner,
                lease_until=now + lease,
                reserved_at=now,
                reason=None,
            )
        return self.batch(batch.id)

    def renew(self, batch: Batch, *, owner: str, lease: timedelta) -> bool:
        """Keep a reserved batch in the owner's hands. False where it could not be kept.

        A database that is away for a moment is no error: the next renewal comes before the end.
        """
        table = schema.batch
        renewal = (
            table.update()
            .where(
                table.c.id == batch.id,
                table.c.state == BatchState.RESERVED,
                table.c.lease_owner == owner,
            )
            .values(lease_until=self.clock() + lease)
        )
        with suppress(sa.exc.OperationalError), self._writing.begin() as connection:
            return connection.execute(renewal).rowcount == 1
        return False

    def take_over(
        self, batch: Batch, *, owner: str, lease: timedelta, by_person: bool = False
    ) -> bool:
        """Make a doubtful batch the owner's to decide on. False where another took it first.

        A person need not wait for the time of the next look.
        """
        table, now = schema.batch, self.clock()
        is_free = table.c.lease_until < now
        if by_person:
            is_free |= table.c.lease_owner == NOBODY
        with self._writing.begin() as connection:
            taken = connection.execute(
                table.update()
                .where(table.c.id == batch.id, table.c.state == BatchState.RESERVED, is_free)
                .values(lease_owner=owner, lease_until=now + lease)
            )
        return taken.rowcount == 1

    def hand_back(self, batch: Batch, *, owner: str, reason: str, next_look: datetime) -> None:
        """Leave a doubtful batch undecided; nobody but a person looks at it before `next_look`."""
        table = schema.batch
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(
                    table.c.id == batch.id,
                    table.c.state == BatchState.RESERVED,
                    table.c.lease_owner == owner,
                )
                .values(lease_owner=NOBODY, lease_until=next_look, reason=reason)
            )

    def note(self, batch: Batch, reason: str) -> None:
        """Say for a person why the batch stays where it is, unless it is there no more."""
        table = schema.batch
        with self._writing.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.id == batch.id, table.c.state == batch.state)
                .values(reason=reason)
            )

    def record(self, batch: Batch, found: ProviderBatch, *, owner: str) -> None:
        """The batch exists at the provider: created just now, or found there and adopted."""
        with self._writing.begin() as connection:
            move(
                connection,
                self.clock(),
                batch,
                BatchState.SUBMITTED,
                owner=owner,
                must_hold_lease=True,
                lease_owner=None,
                lease_until=None,
                submitted_at=self.clock(),
                provider_id=found.id,
                input_file_id=found.input_file_id,
                reason=None,
                **observed(found),
            )

    def release(
        self,
        batch: Batch,
        *,
        owner: str,
        reason: str,
        not_before: datetime | None = None,
        for_capacity: bool = False,
    ) -> None:
        """The batch is known not to exist at the provider: it may be offered again.

        `not_before` is given where the provider refused it for now, and the refusal is counted;
        `for_capacity` where it had no room, which concerns the account's other batches too.
        """
        with self._writing.begin() as connection:
            lock_account(connection, batch.account)
            move(
                connection,
                self.clock(),
                batch,
                BatchState.PLANNED,
                owner=owner,
                must_hold_lease=True,
                lease_owner=None,
                lease_until=None,
                reserved_at=None,
                reason=reason,
                not_before=not_before,
                refusals=batch.refusals + (for_capacity or not_before is not None),
            )
            if for_capacity:
                note_refusal(connection, self.clock(), batch.account, reason)

    def drop(self, batch: Batch, *, owner: str, reason: str) -> None:
        """A planned batch that nobody needs any more."""
        with self._writing.begin() as connection:
            move(
                connection,
                self.clock(),
                batch,
                BatchState.ABANDONED,
                owner=owner,
                reason=reason,
            )

    def give_up(self, batch: Batch, *, owner: str, reason: str) -> None:
        """The provider refused the batch for good, and nothing exists there."""
        with self._writing.begin() as connection:
            move(
                connection,
                self.clock(),
                batch,
                BatchState.ABANDONED,
                owner=owner,
                must_hold_lease=True,
                lease_owner=None,
                lease_until=None,
                reason=reason,
            )

    def end(self, batch: Batch, found: ProviderBatch, *, owner: str) -> None:
        """The provider reached a terminal status; its budget is free again."""
        problem = found.problems[0] if found.problems else None
        now = self.clock()
        with self._writing.begin() as connection:
            lock_account(connection, batch.account)
            if problem is None:
                # A full queue shows after the creation only, when the provider validates.
                note_acceptance(connection, batch.account)
            move(
                connection,
                now,
                batch,
                BatchState.ENDED,
                owner=owner,
                ended_at=now,
                polled_at=now,
                output_file_id=found.output_file_id,
                error_file_id=found.error_file_id,
                error_code=None if problem is None else problem.code,
                problems=problems_of(found),
                reason=why_it_failed(found),
                **observed(found),
            )

    def collect(self, batch: Batch, *, owner: str) -> None:
        """Everything the provider returned for the batch lies in the store."""
        with self._writing.begin() as connection:
            move(connection, self.clock(), batch, BatchState.COLLECTED, owner=owner)

    def reject(self, batch: Batch, *, owner: str, reason: str, for_capacity: bool) -> None:
        """The offer failed as a whole for the account's sake and nothing ran: plan the next one.

        None follows where a person cancelled the request set, or its stragglers are asked live.
        """
        with self._writing.begin() as connection:
            lock_account(connection, batch.account)
            move(connection, self.clock(), batch, BatchState.ABANDONED, owner=owner, reason=reason)
            request_set = batch.request_set
            if request_set.cancelled_at is None and not request_set.is_overtaken(batch.wave):
                plan_again(
                    connection,
                    self.clock(),
                    batch,
                    owner=owner,
                    reason=reason,
                    refusals=batch.refusals + 1,
                )
            if for_capacity:
                note_refusal(connection, self.clock(), batch.account, reason)

    def lose(self, batch: Batch, *, owner: str, reason: str, offer_again: bool) -> None:
        """A person says that the provider has a submitted batch no more, and what is to follow."""
        with self._writing.begin() as connection:
            lock_account(connection, batch.account)
            move(connection, self.clock(), batch, BatchState.ABANDONED, owner=owner, reason=reason)
            if offer_again:
                plan_again(connection, self.clock(), batch, owner=owner, reason=reason)
