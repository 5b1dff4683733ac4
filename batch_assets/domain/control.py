"""What keeps a planned batch from being sent: a pause, the account's stop, want of room."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from batch_assets.domain.batch import Account, Batch


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What an order of a person's covers: an account, an inference, one of its partitions, or all
    that one backfill or run asked for last.
    """

    account: Account | None = None
    inference: str | None = None
    partition_key: str | None = None
    #: Id of a backfill, or of a run that is of none.
    origin: str | None = None

    def __post_init__(self) -> None:
        if self.partition_key is not None and self.inference is None:
            raise ValueError(f"partition {self.partition_key} of which inference? name it too")
        named = [self.account, self.inference, self.origin]
        if sum(name is not None for name in named) != 1:
            raise ValueError("an order names exactly one of account, inference and backfill")

    def covers(self, batch: Batch) -> bool:
        """Whether the batch is of the scope."""
        request_set = batch.request_set
        return self.covers_what(
            account=batch.account,
            inference=request_set.inference,
            partition_key=request_set.partition_key,
            origin=request_set.origin,
        )

    def covers_what(
        self, *, account: Account, inference: str, partition_key: str, origin: str
    ) -> bool:
        """Whether batches of these are of the scope."""
        if self.account is not None:
            return self.account == account
        if self.origin is not None:
            return self.origin == origin
        return self.inference == inference and self.partition_key in (None, partition_key)

    def __str__(self) -> str:
        if self.account is not None:
            return f"account {self.account}"
        if self.origin is not None:
            return f"what backfill or run {self.origin[:8]} asked for"
        if self.partition_key is not None:
            return f"partition {self.partition_key} of {self.inference}"
        return f"inference {self.inference}"


@dataclass(frozen=True, kw_only=True)
class Pause:
    """An order to send nothing new of a scope; what is out finishes and is collected."""

    scope: Scope
    since: datetime
    #: Who gave it.
    owner: str
    reason: str
    #: Whether the provider refused the account, so that a person must put something right first.
    is_stop: bool

    def __str__(self) -> str:
        word = "stopped" if self.is_stop else f"paused by {self.owner}"
        return f"{self.scope} is {word}: {self.reason}"


class WaitKind(StrEnum):
    """Why a planned batch was not sent now."""

    #: The account's budget is held by other batches.
    BUDGET = "budget"
    #: Those who hold less of the account's budget go first.
    TURN = "turn"
    #: The provider refused more a moment ago.
    CAPACITY = "capacity"
    #: Some of its requests are at the provider already, in another request set.
    ANSWERS = "answers"
    #: A person paused it.
    PAUSED = "paused"
    #: The provider refuses the account.
    STOPPED = "stopped"
    #: Nobody has approved it yet, or its canary did not pass.
    APPROVAL = "approval"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A planned batch that is not sent now, with why, in a sentence for a person."""

    kind: WaitKind
    reason: str
