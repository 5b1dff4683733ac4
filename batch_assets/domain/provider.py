"""The port: what we ask of a provider of batches, in our own words."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from batch_assets.domain.batch import Account
from batch_assets.domain.budget import Budget
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
class BatchProblem:
    """Why the provider failed a batch as a whole."""

    code: str | None
    message: str | None
    #: Line of the request file, from 1.
    line: int | None = None


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

    @abstractmethod
    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        """Offer the shard once, without a retry of the creating call.

        Raises ReplyLost where the batch may exist all the same; every other error says that it
        does not.
        """

    @abstractmethod
    def find(self, key: str, *, since: datetime) -> ProviderBatch | None:
        """The batch that carries the key among those created at `since` or later."""

    @abstractmethod
    def poll(self, ids: AbstractSet[str], *, since: datetime) -> Iterator[ProviderBatch]:
        """The batches of these ids, created at `since` or later, by as few calls as possible."""

    @abstractmethod
    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Stream a file of the provider's into `sink`."""

    @abstractmethod
    def cancel(self, batch_id: str) -> ProviderBatch:
        """Ask the provider to stop; what was finished stays to be collected."""
