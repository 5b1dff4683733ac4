"""Two that act on the ledger at the same moment: neither sees half of the other, none fails."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from factories import NOON, a_shard
from ledger_processes import do_everything
from ledger_world import ACCOUNT, LEASE, UNLIMITED, planned, wait_until_blocked

from batch_assets.domain.batch import Account, Batch, BatchState
from batch_assets.domain.budget import Budget
from batch_assets.domain.control import Waiting
from batch_assets.domain.errors import StaleMove
from batch_assets.ledger import Ledger, schema
from batch_assets.ledger.statements import lock_account, move

S = BatchState
Meanwhile = Callable[[Callable[[], object]], "Future[object]"]


@pytest.fixture
def busy(ledger: Ledger) -> Iterator[sa.Connection]:
    """Another process in the middle of a transaction, which commits at the test's word."""
    with ledger._writing.connect() as connection:
        yield connection


@pytest.fixture
def meanwhile(busy: sa.Connection) -> Iterator[Meanwhile]:
    """Begins to do something, and comes back when it waits for the busy one."""
    with ThreadPoolExecutor(1) as pool:

        def begin(work: Callable[[], object]) -> "Future[object]":
            begun = pool.submit(work)
            wait_until_blocked(busy)
            return begun

        yield begin
        busy.rollback()


def take(busy: sa.Connection, batch: Batch) -> None:
    move(
        busy,
        NOON,
        batch,
        S.RESERVED,
        owner="run-2",
        lease_owner="run-2",
        lease_until=NOON + LEASE,
        reserved_at=NOON,
    )


def test_who_waits_for_the_account_counts_what_was_reserved_meanwhile(
    ledger, other, busy, meanwhile
):
    first, second = planned(ledger, shards=2)
    one = Budget(batches=1)
    lock_account(busy, ACCOUNT)
    waiting = meanwhile(lambda: other.reserve(second, owner="run-1", lease=LEASE, budget=one))

    take(busy, first)
    busy.commit()

    assert isinstance(waiting.result(), Waiting)
    assert ledger.held(ACCOUNT).batches == 1


def test_one_of_two_that_reserve_a_batch_has_it(ledger, other, busy, meanwhile):
    [batch] = planned(ledger)
    take(busy, batch)
    second = meanwhile(lambda: other.reserve(batch, owner="run-1", lease=LEASE, budget=UNLIMITED))

    busy.commit()

    with pytest.raises(StaleMove):
        second.result()
    assert ledger.batch(batch.id).lease_owner == "run-2"


def test_cancelling_leaves_alone_what_another_process_takes_at_that_moment(
    ledger, other, busy, meanwhile
):
    """It was planned when the cancellation began, and is being sent when it comes to it."""
    first, _ = planned(ledger, shards=2)
    take(busy, first)
    cancelled = meanwhile(
        lambda: other.request_sets.cancel(
            first.request_set, owner="ann", reason="no", cancels_batches=True
        )
    )

    busy.commit()

    assert cancelled.result() == 1
    assert [batch.state for batch in ledger.batches()] == [S.RESERVED, S.ABANDONED]


def test_no_wave_is_planned_for_a_partition_that_was_cancelled_meanwhile(
    ledger, other, busy, meanwhile
):
    """Whoever plans read the request set before."""
    request_set = planned(ledger)[0].request_set
    lock_account(busy, ACCOUNT)
    wave = meanwhile(
        lambda: other.plan(
            request_set,
            [a_shard(1)],
            wave=0,
            account=ACCOUNT,
            endpoint="/v1/chat/completions",
            owner="run-1",
        )
    )

    busy.execute(schema.request_set.update().values(cancelled_at=NOON))
    busy.commit()
    wave.result()

    assert [batch.shard for batch in ledger.batches()] == [0]


def test_processes_that_do_everything_at_once_neither_fail_nor_lose_a_batch(crew, ledger, url):
    """Locks are taken in one order: account, request set, batch. Else some would wait for ever."""
    for number in range(6):
        planned(ledger, shards=5, partition=f"p-{number}")

    crew.all_do(do_everything, url)

    assert ledger.held(ACCOUNT).batches == 0
    assert ledger.held(Account("another")).batches == 0
    live = [(b.request_set.id, b.shard) for b in ledger.batches() if b.state is not S.ABANDONED]
    assert len(live) == len(set(live))
