"""The port: what we ask of a provider of batches, in our own words.

The rules behind these sentences are tests: `batch_assets.contract` runs them over any adapter, and
docs/howto/provider.md builds one.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from batch_assets.domain.batch import Account, BatchProblem
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import DeclarationError, RequestRefused
from batch_assets.domain.price import PriceList
from batch_assets.domain.shard import Limits
from batch_assets.domain.usage import Usage

#: Name of the metadata entry that carries a batch's key.
KEY_METADATA = "batch_assets_key"


#: What a file is called that was uploaded for a batch: its key, at most providers with an ending.
_NAME_OF_OURS = re.compile(r"[0-9a-f]{32}(\.jsonl)?")

#: Words of providers for a batch that was carried out to its end: it has at least one file.
COMPLETED = frozenset({"completed", "succeeded", "success"})


class Phase(Enum):
    """What a provider's own status word means to us."""

    OPEN = "open"
    ENDED = "ended"
    #: A word we do not know: kept as it is, never guessed.
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class ProviderBatch:
    """A batch as its provider describes it. What a provider does not tell is None, never guessed.

    A batch that has ended is described the same way every time.
    """

    id: str
    phase: Phase
    #: The provider's own word.
    status: str
    #: By the provider's clock, with a time zone.
    created_at: datetime
    #: Our key, where the batch carries one.
    key: str | None = None
    #: The upload it was made of; None where requests travel in the creating call.
    input_file_id: str | None = None
    #: What `download` takes for the answers, and for the errors where those are apart: any text, at
    #: every terminal status at which there is something to bring.
    output_file_id: str | None = None
    error_file_id: str | None = None
    #: Requests that were answered, that failed, and all of them: a report, never the truth.
    completed: int | None = None
    failed: int | None = None
    total: int | None = None
    #: Why it failed as a whole.
    problems: tuple[BatchProblem, ...] = field(default=())
    usage: Usage | None = None
    #: What a person wrote on it, our key left out; empty where the provider keeps no such words.
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A request file at the provider that we uploaded."""

    id: str
    #: Key of the batch it was uploaded for.
    key: str


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file at the provider, whoever uploaded it. What a provider does not tell is None."""

    id: str
    name: str | None = None
    bytes: int | None = None
    #: By the provider's clock, with a time zone.
    created_at: datetime | None = None
    #: The provider's own word for what it is for.
    purpose: str | None = None


class Provider(ABC):
    """One account at one provider.

    Every error it raises is of our own tree, with a sentence that names the call and the way out,
    and without the secret. Nothing is imported or called before it is asked for something. How its
    requests are written and its answers judged is not its own but an `Endpoint`'s.
    """

    @property
    @abstractmethod
    def account(self) -> Account:
        """The account whose quota its batches share: the same in every process, without a secret.

        The ledger counts by it and finds open batches by it.
        """

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """What one batch may hold, as it is uploaded: what an adapter adds to a shard counts."""

    @property
    @abstractmethod
    def budget(self) -> Budget:
        """What the account may have queued at once, over all its batches."""

    @property
    def price_list(self) -> PriceList | None:
        """Whose published prices its answers cost; None where only declared prices hold."""
        return None

    @property
    def lacks(self) -> str | None:
        """What must be there before it can be called at all, with the way out; None for nothing.

        Found out without a call, and without importing an SDK. Where it lacks something, every call
        raises ProviderUnreachable, so that nothing is refused for good.
        """
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

        `endpoint` is the path that its requests are for, `key` 32 hexadecimal digits, which the
        batch carries at the provider if it can. What is uploaded for a creation that is refused is
        deleted again, and kept where it is in doubt.

        Raises ReplyLost where the batch may exist all the same; every other error says that it
        does not. Raises ArtifactError where the shard cannot be read.
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

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        """The request files of ours that were uploaded at `since` or later.

        Never a file that may be somebody else's: those are deleted that no batch came of. None
        where requests travel in the creating call.
        """
        return iter(())

    def delete_upload(self, file_id: str) -> None:
        """Delete a request file; one that is gone already is no error."""
        return

    def delete_remote(self, batch_id: str, file_ids: Collection[str]) -> None:
        """Delete what the provider still keeps of a batch whose answers lie in the store.

        Its files are of these ids; the batch itself is deleted where the provider can. What is gone
        already is no error.
        """
        for file_id in file_ids:
            self.delete_upload(file_id)

    @abstractmethod
    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Stream a file of the provider's into `sink`, byte for byte, as it arrives.

        Raises ProviderUnavailable where it did not come whole, with a part of it in `sink`, and
        RequestRefused for one that the provider does not have.
        """

    @abstractmethod
    def cancel(self, batch_id: str) -> ProviderBatch:
        """Ask the provider to stop; what was finished stays to be collected.

        One that has ended is left as it is: it is described, or RequestRefused is raised.
        """

    def batches(self, *, after: str | None = None) -> Iterator[ProviderBatch]:
        """All batches of the account, whoever created them, behind the batch `after`.

        In the provider's own order, a page at a time as they are taken. Raises RequestRefused
        where there is no list, or none that can be entered at `after`.
        """
        raise RequestRefused(f"{self.account} has no list of batches: ask for one by its id")

    def files(self) -> Iterator[RemoteFile]:
        """All files of the account, whoever uploaded them, a page at a time as they are taken.

        Take them all before you delete one: it may be where the next page begins. Raises
        RequestRefused where there is no list.
        """
        raise RequestRefused(f"{self.account} has no list of files")

    def upload(self, path: Path, *, name: str) -> RemoteFile:
        """Upload a request file of a person's under that name, as it is; no batch is made of it.

        None of `uploads` has it, and nothing but a person deletes it. Raises what
        `check_file_name` raises, before anything is sent; ArtifactError where it cannot be read;
        RequestRefused where the provider keeps no such files.
        """
        check_file_name(name)
        raise RequestRefused(
            f"uploading {path}: {self.account} keeps no request files, which come with the call "
            "that creates a batch: create one of the file here"
        )

    def check_metadata(self, metadata: Mapping[str, str]) -> None:
        """Raise DeclarationError, without a call, for metadata that a batch cannot carry."""
        if metadata:
            raise DeclarationError(f"batches of {self.account} carry no metadata: leave it out")

    def create(
        self, requests: Path | str, *, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        """Create a batch for a person: of a file here, or of one with this id at the provider.

        A file has the provider's own request lines. They go out as they are, so that answers come
        back under the ids in them. Its model is the one in the path of `endpoint` at Gemini, that
        of its first request at Mistral, and each request's own elsewhere. A file that was uploaded
        before is never deleted.

        `key` is of `key_for_a_person` (`batch_key`). Where a batch can carry it, `find` finds it;
        where it cannot, `find` raises RequestRefused as long as there is one that it may be.

        Raises what `submit` raises, and what `check_metadata` raises; CorpusError for a line that
        cannot be sent; RequestRefused where requests travel in the creating call, so that no
        uploaded file can have them.
        """
        self.check_metadata(metadata)
        if isinstance(requests, str):
            raise RequestRefused(f"{self.account} makes no batch of an uploaded file: name it here")
        return self.submit(requests, endpoint=endpoint, key=key)


def check_file_name(name: str) -> None:
    """Raise DeclarationError for what a person's file at a provider cannot be called.

    By a key our own uploads are known, which are swept up where no batch came of them.
    """
    if _NAME_OF_OURS.fullmatch(name):
        raise DeclarationError(
            f"the name {name} is one of those that request files of inferences have, which are "
            "deleted where no batch came of them: choose another"
        )
    if not name or name in (".", "..") or not name.isprintable() or set(name) & set("/\\"):
        raise DeclarationError(
            f"the name {name!r} is none for a file: write one of visible characters, without a "
            "slash"
        )
