"""The port: what we ask of a provider of batches, in our own words."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from batch_assets.domain.batch import Account, BatchProblem
from batch_assets.domain.budget import Budget
from batch_assets.domain.price import PriceList
from batch_assets.domain.shard import Limits
from batch_assets.domain.usage import Usage

#: Name of the metadata entry that carries a batch's key.
KEY_METADATA = "batch_assets_key"


class Phase(Enum):
    """What a provider's own status word means to us."""

    OPEN = "open"
    ENDED = "ended"
    #: A word we do not know: kept as it is, never guessed.
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class ProviderBatch:
    """A batch as its provider describes it."""

    id: str
    phase: Phase
    #: The provider's own word.
    status: str
    created_at: datetime
    #: Our key, where the batch carries one.
    key: str | None = None
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    completed: int | None = None
    failed: int | None = None
    total: int | None = None
    problems: tuple[BatchProblem, ...] = field(default=())
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A request file at the provider that we uploaded."""

    id: str
    #: Key of the batch it was uploaded for.
    key: str


class Provider(ABC):
    """One account at one provider. Every error it raises is of our own tree."""

    @property
    @abstractmethod
    def account(self) -> Account:
        """The account whose quota its batches share."""

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """What one batch may hold."""

    @property
    @abstractmethod
    def budget(self) -> Budget:
        """What the account may have queued at once."""

    @property
    def price_list(self) -> PriceList | None:
        """Whose published prices its answers cost; None where only declared prices hold."""
        return None

    @property
    def lacks(self) -> str | None:
        """What must be there before it can be called at all, with the way out; None for nothing."""
        return None

    def within(self, seconds: float, *, calls: int | None = None) -> AbstractContextManager[None]:
        """A block for a caller that cannot wait, as a sensor's tick: no call is tried again in it.

        After about so many seconds, or so many calls, every call raises OutOfTime. A provider that
        has nothing to wait for needs no such block.
        """
        return nullcontext()

    def takes(self, endpoint: str) -> bool:
        """Whether it takes requests of the endpoint with that path, or may."""
        return True

    def close(self) -> None:
        """Give the connections back; the next call opens new ones."""
        return

    @abstractmethod
    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        """Offer the shard once, without a retry of the creating call.

        Raises ReplyLost where the batch may exist all the same; every other error says that it
        does not.
        """

    @abstractmethod
    def find(
        self,
        key: str,
        *,
        since: datetime,
        requests: int | None = None,
        besides: Collection[str] = (),
    ) -> ProviderBatch | None:
        """The batch that carries the key among those created at `since` or later.

        `requests` is how many it has, and `besides` are ids of other batches of the account: for a
        provider that keeps no word of ours, so that a batch is told by what else is known of it.

        None is never a guess. Raises ProviderUnavailable where it cannot be said now, and
        RequestRefused where it can never be said, which only a person can make up for.
        """

    @abstractmethod
    def poll(
        self, ids: Collection[str], *, since: datetime, among: Sequence[str] = ()
    ) -> Iterator[ProviderBatch]:
        """The batches of these ids, created at `since` or later, by as few calls as possible.

        `among` are all ids that are known to be there, newest first: with them the first of `ids`
        are asked about first, wherever they stand, and what else of them comes by is handed out.

        Raises BatchUnknown where the provider does not know an id, after it has handed out the
        others; OutOfTime where a caller in a hurry is to ask for the rest the next time.
        """

    @abstractmethod
    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        """The request files of ours that were uploaded at `since` or later."""

    @abstractmethod
    def delete_upload(self, file_id: str) -> None:
        """Delete a request file; one that is gone already is no error."""

    @abstractmethod
    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Stream a file of the provider's into `sink`."""

    @abstractmethod
    def cancel(self, batch_id: str) -> ProviderBatch:
        """Ask the provider to stop; what was finished stays to be collected."""
