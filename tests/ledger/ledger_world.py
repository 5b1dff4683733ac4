"""What the ledger's tests do to a ledger."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from factories import NOON, a_provider_batch, a_shard

from batch_assets.domain.batch import Account, Batch, BatchState, RequestSet
from batch_assets.domain.budget import Budget
from batch_assets.domain.provider import Phase
from batch_assets.ledger import Ledger

ACCOUNT = Account("openai")
UNLIMITED = Budget()
LEASE = timedelta(minutes=1)


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


def open_set(
    ledger: Ledger, partition: str = "p", digest: str = "d1", origin: str = ""
) -> RequestSet:
    return ledger.request_sets.open("words", partition, digest, origin=origin)


def planned(
    ledger: Ledger,
    *,
    shards: int = 1,
    wave: int = 0,
    account: Account = ACCOUNT,
    partition: str = "p",
    digest: str = "d1",
    origin: str = "",
    not_before: datetime | None = None,
    **over: Any,
) -> list[Batch]:
    """Batches of a request set's shards, ten requests and a hundred tokens each."""
    ledger.plan(
        open_set(ledger, partition, digest, origin),
        [a_shard(number, wave=wave, **over) for number in range(shards)],
        wave=wave,
        account=account,
        endpoint="/v1/chat/completions",
        owner="planner",
        not_before=not_before,
    )
    request_set = open_set(ledger, partition, digest)
    return list(ledger.batches(request_set=request_set.id, wave=wave))


def reserved(ledger: Ledger, batch: Batch | None = None, *, owner: str = "run-1") -> Batch:
    found = ledger.reserve(batch or planned(ledger)[0], owner=owner, lease=LEASE, budget=UNLIMITED)
    assert isinstance(found, Batch), found
    return found


def submitted(ledger: Ledger, batch: Batch | None = None, *, id: str = "batch-1") -> Batch:
    held = reserved(ledger, batch)
    ledger.record(held, a_provider_batch(id), owner="run-1")
    return ledger.batch(held.id)


def ended(ledger: Ledger, batch: Batch | None = None, *, id: str = "batch-1", **over: Any) -> Batch:
    sent = submitted(ledger, batch, id=id)
    facts: dict[str, Any] = {"phase": Phase.ENDED, "status": "completed"}
    ledger.end(sent, a_provider_batch(id, **facts | over), owner="sensor")
    return ledger.batch(sent.id)


def collected(ledger: Ledger, batch: Batch | None = None, *, id: str = "batch-1") -> Batch:
    done = ended(ledger, batch, id=id)
    ledger.collect(done, owner="run-2")
    return ledger.batch(done.id)


def abandoned(ledger: Ledger) -> Batch:
    batch = planned(ledger)[0]
    ledger.drop(batch, owner="run-1", reason="not needed")
    return ledger.batch(batch.id)


S = BatchState

Move = Callable[[Ledger, Batch], object]

#: How a batch gets into each state.
IN_STATE: dict[BatchState, Callable[[Ledger], Batch]] = {
    S.PLANNED: lambda ledger: planned(ledger)[0],
    S.RESERVED: reserved,
    S.SUBMITTED: submitted,
    S.ENDED: ended,
    S.COLLECTED: collected,
    S.ABANDONED: abandoned,
}

#: Each move as the ledger does it: the target, the reason it leaves, and the call.
CALLS: dict[str, tuple[BatchState, str | None, Move]] = {
    "reserve": (
        S.RESERVED,
        None,
        lambda lg, b: lg.reserve(b, owner="run-1", lease=LEASE, budget=UNLIMITED),
    ),
    "record": (S.SUBMITTED, None, lambda lg, b: lg.record(b, a_provider_batch(), owner="run-1")),
    "release": (S.PLANNED, "full", lambda lg, b: lg.release(b, owner="run-1", reason="full")),
    "give up": (S.ABANDONED, "no", lambda lg, b: lg.give_up(b, owner="run-1", reason="no")),
    "drop": (S.ABANDONED, "old", lambda lg, b: lg.drop(b, owner="run-1", reason="old")),
    "end": (S.ENDED, None, lambda lg, b: lg.end(b, a_provider_batch(), owner="run-1")),
    "collect": (S.COLLECTED, None, lambda lg, b: lg.collect(b, owner="run-1")),
    "reject": (
        S.ABANDONED,
        "full",
        lambda lg, b: lg.reject(b, owner="run-1", reason="full", for_capacity=True),
    ),
    "lose": (
        S.ABANDONED,
        "gone",
        lambda lg, b: lg.lose(b, owner="run-1", reason="gone", offer_again=True),
    ),
}


def wait_until_blocked(by: sa.Connection) -> None:
    """Until another transaction waits for this one; SQLite cannot tell, and has it wait anyway."""
    if by.dialect.name == "postgresql":
        waiting = sa.text(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        while not by.scalar(waiting):
            pass
