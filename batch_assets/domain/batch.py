"""A batch is one shard in the hands of one provider: its states, its legal moves, its facts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from batch_assets.domain.budget import Reservation
from batch_assets.domain.errors import IllegalMove
from batch_assets.domain.request import RequestSetDigest

BatchId = NewType("BatchId", int)
RequestSetId = NewType("RequestSetId", int)
#: The account whose quota the batch counts against: provider, credential and model scope.
Account = NewType("Account", str)


class BatchState(StrEnum):
    """Where a batch stands, as the ledger knows it."""

    #: Its shard is written; nobody was asked yet.
    PLANNED = "planned"
    #: It holds budget and one process is offering it to the provider: it may exist there or not.
    RESERVED = "reserved"
    #: It exists at the provider, whose id for it is known. It holds budget.
    SUBMITTED = "submitted"
    #: The provider works on it no more: completed, failed, expired or cancelled.
    ENDED = "ended"
    #: Everything the provider returned for it lies in the store.
    COLLECTED = "collected"
    #: It was given up; a further attempt at its shard is a batch of its own.
    ABANDONED = "abandoned"


#: Every legal move, each with what happened.
MOVES: dict[tuple[BatchState, BatchState], str] = {
    (BatchState.PLANNED, BatchState.RESERVED): "reserve: the intent is on record, the call follows",
    (BatchState.PLANNED, BatchState.ABANDONED): "drop: nobody needs it any more",
    (BatchState.RESERVED, BatchState.SUBMITTED): "record: it exists at the provider",
    (BatchState.RESERVED, BatchState.PLANNED): "release: it is known not to exist at the provider",
    (BatchState.RESERVED, BatchState.ABANDONED): "give up: the provider refused it for good",
    (BatchState.SUBMITTED, BatchState.ENDED): "end: the provider reached a terminal status",
    (
        BatchState.SUBMITTED,
        BatchState.ABANDONED,
    ): "lose: a person says that the provider does not have it any more",
    (BatchState.ENDED, BatchState.COLLECTED): "collect: its files lie in the store",
    (
        BatchState.ENDED,
        BatchState.ABANDONED,
    ): "reject or lose: the offer failed as a whole, or its files are gone at the provider",
}

#: States in which a batch holds a share of the account's budget.
HOLDING = frozenset({BatchState.RESERVED, BatchState.SUBMITTED})

#: States that end a batch's life in the ledger.
FINAL = frozenset({BatchState.COLLECTED, BatchState.ABANDONED})


def check_move(current: BatchState, target: BatchState) -> None:
    """Raise IllegalMove unless the table has a move from `current` to `target`."""
    if (current, target) not in MOVES:
        raise IllegalMove(f"a {current} batch cannot become {target}")


@dataclass(frozen=True, kw_only=True)
class BatchProblem:
    """Why the provider failed a batch as a whole."""

    code: str | None
    message: str | None
    #: Line of the request file, from 1.
    line: int | None = None


class CanaryState(StrEnum):
    """How the sample stands that is asked before the rest of a request set."""

    #: It is asked, and what it brings is not judged yet.
    OPEN = "open"
    #: A check found it wanting: the rest waits for a person.
    HELD = "held"
    #: The rest is asked.
    RELEASED = "released"


@dataclass(frozen=True, kw_only=True)
class RequestSet:
    """All requests of one partition at one moment, as the ledger knows them."""

    id: RequestSetId
    inference: str
    partition_key: str
    digest: RequestSetDigest
    created_at: datetime
    #: The wave that is on its way, from 0.
    wave: int
    #: When its results were written; None while items are without a final outcome.
    resolved_at: datetime | None
    #: Who asked for it last, a Dagster backfill's or run's id: what fair shares are counted by.
    origin: str = ""
    #: When a person cancelled it: nothing more of it is sent.
    cancelled_at: datetime | None = None
    #: Whether its batches are cancelled at the provider too, or left to finish.
    cancels_batches: bool = False
    #: Requests that earlier request sets answered, which it does not send; None until its first
    #: wave is planned.
    carried: int | None = None
    #: The request set at the provider whose answers it waits for before it sends what they leave.
    awaits: RequestSetId | None = None
    #: Whether nothing of it is sent before a person approved its digest.
    needs_approval: bool = False
    #: Requests that are asked before the rest; None where all are asked at once.
    canary: int | None = None
    canary_state: CanaryState | None = None
    #: Which checks hold the rest back, or who released it.
    canary_reason: str | None = None
    #: The wave that asks what the canary held back.
    released_wave: int | None = None
    #: When a person or a schedule had it begin, or go on: its stragglers are counted from then.
    submitted_at: datetime | None = None
    #: When the rescue of its stragglers began: what it asks from then on, it asks live.
    rescued_at: datetime | None = None
    #: The wave that asks the stragglers; every later one is asked live, too.
    rescue_wave: int | None = None
    #: Why a person must approve the rescue of its stragglers before it begins.
    rescue_asks: str | None = None

    @property
    def is_wave_zero_sent(self) -> bool:
        """Whether its first wave asks everything, and stands not for what was carried over."""
        return not self.carried and self.canary is None

    @property
    def awaits_rescue(self) -> bool:
        """Whether its stragglers are to be asked live once its batches have ended."""
        return self.rescued_at is not None and self.rescue_wave is None

    def is_overtaken(self, wave: int) -> bool:
        """Whether nothing more of the wave is sent: what it left is asked live."""
        if self.rescued_at is None:
            return False
        return self.rescue_wave is None or wave < self.rescue_wave

    def is_live(self, wave: int) -> bool:
        """Whether the wave asks stragglers, or what of them failed."""
        return self.rescue_wave is not None and wave >= self.rescue_wave

    @property
    def first_wave(self) -> int:
        """The wave in which the requests of the wave on its way are asked for the first time."""
        if self.released_wave is not None and self.wave >= self.released_wave:
            return self.released_wave
        return 0 if self.is_wave_zero_sent else 1


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One row of the ledger: one attempt at one shard of one wave of a request set."""

    id: BatchId
    request_set: RequestSet
    wave: int
    shard: int
    #: The n-th time the shard is offered, from 1.
    attempt: int
    account: Account
    endpoint: str
    state: BatchState
    #: Travels with the batch to the provider, so that it is recognised there after a lost reply.
    key: str
    reservation: Reservation
    created_at: datetime
    lease_owner: str | None = None
    lease_until: datetime | None = None
    reserved_at: datetime | None = None
    submitted_at: datetime | None = None
    ended_at: datetime | None = None
    polled_at: datetime | None = None
    #: When the provider last said that it does not know it; None once it tells of it again.
    missed_at: datetime | None = None
    #: When the provider last sent word of itself that something became of it.
    woken_at: datetime | None = None
    #: When a live process last wanted to send it and could not.
    wanted_at: datetime | None = None
    #: When the provider was asked to cancel it, since a person cancelled its request set.
    cancel_requested_at: datetime | None = None
    #: When the provider was asked to cancel it, since what it left is to be asked live.
    rescued_at: datetime | None = None
    provider_id: str | None = None
    input_file_id: str | None = None
    provider_status: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    #: Requests the provider says it has finished and failed; a report, never the truth.
    completed: int | None = None
    failed: int | None = None
    #: Why it is where it is, in a sentence for a person.
    reason: str | None = None
    #: Code of the first error of a batch that failed as a whole.
    error_code: str | None = None
    #: All its errors, with the lines of the shard they are about.
    problems: tuple[BatchProblem, ...] = ()
    #: How often the provider had no room for the shard, or was not there.
    refusals: int = 0
    #: Earliest time of the next offer after a refusal.
    not_before: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """One move of one batch, kept for ever."""

    batch_id: BatchId
    at: datetime
    #: None for the move that made the row.
    from_state: BatchState | None
    to_state: BatchState
    #: Who moved it: a Dagster run's id, or the sensor's name.
    owner: str | None
    reason: str | None
