"""A lane: batches that no provider's batch API carries out, but a process of ours."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from batch_assets.domain.errors import RequestRefused
from batch_assets.domain.provider import (
    Phase,
    Provider,
    ProviderBatch,
    RemoteFile,
    check_file_name,
)

#: The words of a lane's batches: as long as there is something to ask, and how they end.
OPEN = "in_progress"
COMPLETED = "completed"
CANCELLED = "cancelled"


class Order(Enum):
    """What the one who carries a batch out is to do, as the ledger has it at the moment."""

    GO_ON = "go on"
    #: A person paused it, or its account is stopped: it goes on where that is lifted.
    PAUSE = "pause"
    #: Nobody wants the rest of it: what was answered is all there will be.
    END = "end"
    #: It is in another process's hands, or was taken off the ledger's list.
    LEAVE = "leave"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request of a batch that has no answer yet."""

    custom_id: str
    #: JSON.
    body: bytes
    #: As it stands in the shard, with its end.
    line: bytes


class Carrying(ABC):
    """What a lane needs of the one who has it carry out a batch. Threads may share it."""

    @abstractmethod
    def asks(self) -> Iterator[Ask]:
        """The requests without an answer, in the order of the shard."""

    @abstractmethod
    def answered(self, line: bytes, *, failed: bool = False) -> None:
        """Keep a line of the provider's output, which ends in a newline and has no other.

        It is safe from the end of this process when this returns. `failed` ones are counted apart.
        """

    @abstractmethod
    def goes_on(self) -> bool:
        """Whether another request may be sent."""


class Lane(Provider):
    """A provider whose batches are carried out by runs of ours.

    To submit one costs nothing and calls nobody: its id is its key, and it is open until a run has
    carried it out. `stages/carry_out.py` has that done.
    """

    @abstractmethod
    def carry_out(self, carrying: Carrying, *, endpoint: str) -> None:
        """Ask what has no answer, and give each answer away as it comes.

        Returns once every request has an answer, or none may be sent any more; what is on its way
        then is waited for. A request that keeps failing has a line that says so. Raises an error of
        our tree where asking the others is of no use: AccountRefused, RequestRefused for what only
        a person can put right, and a TransientError for what a later try may find otherwise.
        """

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        return open_batch(key)

    def find(
        self,
        key: str,
        *,
        since: datetime,
        requests: int | None = None,
        besides: Collection[str] = (),
    ) -> ProviderBatch | None:
        """The batch of that key: every key's is there."""
        return open_batch(key)

    def poll(
        self, ids: Collection[str], *, since: datetime, among: Sequence[str] = ()
    ) -> Iterator[ProviderBatch]:
        """All of them, open: the ledger knows more of them."""
        return map(open_batch, ids)

    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Refused: what a lane brought is in the store before its batch ends."""
        raise RequestRefused(f"no provider has the file {file_id}: a lane writes to the store")

    def delete_remote(self, batch_id: str, file_ids: Collection[str]) -> None:
        """Nobody else keeps anything."""

    def batches(self, *, after: str | None = None) -> Iterator[ProviderBatch]:
        """Refused: its batches are those of the ledger."""
        raise RequestRefused(
            f"{self.account} has no list of batches: what runs of ours carry out is in the ledger, "
            "see batch-assets status"
        )

    def upload(self, path: Path, *, name: str) -> RemoteFile:
        """Refused: there is nobody to upload it to."""
        check_file_name(name)
        raise RequestRefused(
            f"uploading {path}: {self.account} has no batch API, and keeps no files"
        )

    def create(
        self, requests: Path | str, *, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        """Refused: a batch that is not in the ledger is carried out by nobody."""
        self.check_metadata(metadata)
        raise RequestRefused(
            f"creating the batch {key}: {self.account} has no batch API, and runs of ours carry "
            "out what an inference asks: begin one with batch-assets start"
        )

    def cancel(self, batch_id: str) -> ProviderBatch:
        """Nobody is to be told: whoever carries it out sees the order in the ledger."""
        return open_batch(batch_id)


def open_batch(key: str) -> ProviderBatch:
    """The batch of that key, as a lane describes it."""
    return ProviderBatch(
        id=key, phase=Phase.OPEN, status=OPEN, created_at=datetime.now(UTC), key=key
    )
