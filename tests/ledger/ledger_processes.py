"""What other processes do to a ledger. It imports little, since each of them imports it."""

import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from factories import a_shard

from batch_assets.domain.batch import Account, Batch, BatchState, RequestSet
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.domain.control import Scope
from batch_assets.domain.errors import StaleMove
from batch_assets.domain.shard import Shard
from batch_assets.ledger import Ledger

ACCOUNT = Account("openai")
LEASE = timedelta(minutes=1)
SPAWN = multiprocessing.get_context("spawn")

_start: Any = None


class Crew:
    """Processes of their own that begin the same work at the same moment."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool = ProcessPoolExecutor(
            size, mp_context=SPAWN, initializer=_meet_at, initargs=(SPAWN.Barrier(size),)
        )

    def all_do(self, work: Callable[..., None], url: str, *args: Any) -> None:
        """Have each process do the work on a ledger; raises what any of them raised."""
        tasks = [self._pool.submit(_together, work, n, url, *args) for n in range(self._size)]
        for task in tasks:
            task.result()

    def dismiss(self) -> None:
        self._pool.shutdown()


def _meet_at(barrier: Any) -> None:
    global _start
    _start = barrier


def _together(work: Callable[..., None], number: int, url: str, *args: Any) -> None:
    _start.wait(timeout=120)
    with opened(url) as ledger:
        work(ledger, number, *args)


@contextmanager
def opened(url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(url)
    try:
        yield ledger
    finally:
        ledger.close()


def reserve_what_there_is(ledger: Ledger, number: int, budget: Budget) -> None:
    """Reserve every planned batch that the budget has room for."""
    for batch in ledger.batches(account=ACCOUNT, states={BatchState.PLANNED}):
        with suppress(StaleMove):
            ledger.reserve(batch, owner=f"process-{number}", lease=LEASE, budget=budget)


def reserve_and_release(ledger: Ledger, number: int, budget: Budget) -> None:
    """Take and give back, and fail where the account ever holds more than it may."""
    owner = f"process-{number}"
    for batch in ledger.batches(account=ACCOUNT, states={BatchState.PLANNED}):
        with suppress(StaleMove):
            held = ledger.reserve(batch, owner=owner, lease=LEASE, budget=budget)
            assert budget.has_room(ledger.held(ACCOUNT), Reservation())
            if isinstance(held, Batch):
                ledger.release(held, owner=owner, reason="for the next")


def do_everything(ledger: Ledger, number: int) -> None:
    """What runs, sensors and persons do, in an order that differs from process to process."""
    chance, owner = random.Random(number), f"process-{number}"
    keys = [f"p-{found}" for found in range(6)]
    for _ in range(12):
        chance.shuffle(keys)
        request_set = ledger.request_sets.open("words", keys[0], "d1", origin=owner)
        ledger.request_sets.hold("words", keys, holder=owner, lease=LEASE)
        ledger.request_sets.want(["words"])
        ledger.plan(
            request_set,
            [a_shard(shard) for shard in range(5)],
            wave=0,
            account=ACCOUNT,
            endpoint="/v1/chat/completions",
            owner=owner,
        )
        reserve_and_release(ledger, number, Budget(batches=5))
        ledger.pauses.add(Scope(inference="words"), owner=owner, reason="all at once")
        ledger.pauses.lift(Scope(account=ACCOUNT), owner=owner)
        ledger.pauses.lift(Scope(inference="words"), owner=owner)
        ledger.request_sets.cancel(
            request_set, owner=owner, reason="all at once", cancels_batches=False
        )
        ledger.request_sets.let_go(owner)


def look(ledger: Ledger, _: int) -> None:
    assert ledger.batches() == []


def open_request_sets(ledger: Ledger, number: int, digests: int) -> None:
    for turn in range(5):
        ledger.request_sets.open("words", f"p-{turn}", f"d{number % digests}")


def add_sketches(ledger: Ledger, _: int, request_sets: Sequence[RequestSet]) -> None:
    """Sketches of the same request sets, as of a run and the sensor that both begin them."""
    for request_set in request_sets:
        ledger.sketches.add(request_set, range(64))


def plan_shards(ledger: Ledger, number: int, shards: Sequence[Shard]) -> None:
    """Plan the same shards, every process on an account of its own."""
    ledger.plan(
        ledger.request_sets.open("words", "p", "d1"),
        shards,
        wave=0,
        account=Account(f"account-{number}"),
        endpoint="/v1/chat/completions",
        owner=f"process-{number}",
    )


def die_in_a_transaction(url: str, told: Any) -> None:
    """Write, say so, and never commit."""
    ledger = Ledger.open(url)
    with ledger._writing.begin() as connection:
        connection.exec_driver_sql("UPDATE batch SET reason = 'half'")
        told.send("written")
        told.recv()
