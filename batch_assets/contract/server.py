"""The port to a provider's server in a test: what it can be brought to do."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum
from typing import ClassVar

from batch_assets.domain.outcome import Outcome


class Situation(Enum):
    """What a provider may do or have. A server that cannot says why, and its rules are skipped."""

    #: Every request of a batch is answered.
    COMPLETED = "a batch completes"
    #: A batch ends, and every request of it has an error of its own.
    ALL_FAILED = "every request of a batch fails"
    #: The provider accepts a batch and fails it later as a whole, and says why.
    REJECTED = "a batch fails as a whole"
    #: Its window closes: a part is answered, and that part can be downloaded.
    EXPIRED = "a batch expires with a part of its answers"
    #: A batch is cancelled: a part is answered, and that part can be downloaded.
    CANCELLED = "a batch is cancelled with a part of its answers"
    #: A batch ends, and there is no file of any kind.
    EMPTY = "a batch ends without any output"
    #: A batch carries our key, so that it can be found while it is open.
    KEYED = "a batch carries our key"
    #: Requests travel as a file of their own, which is listed and can be deleted.
    UPLOADED = "requests are uploaded as a file"
    #: Several batches can be asked about by one call.
    LISTED = "batches are listed"
    #: An empty list says that it is one, and is no empty object.
    LIST_NAMED = "an empty list is more than an empty object"
    #: A status word is on the wire as ProviderBatch.status has it, so that another can be put in.
    WORDED = "a status is a word on the wire"
    #: The provider is called with a secret key.
    SECRET = "a call needs a secret key"
    #: A model can be held to a JSON schema.
    TYPED = "an answer is of a declared type"


class ContractServer(ABC):
    """A server that speaks the provider's wire, for one test. It knows no batch when that begins.

    The suite puts a gateway before it, which counts the calls and loses, cuts and replaces replies:
    the server itself only behaves.
    """

    #: Its address without a path, such as http://127.0.0.1:8750.
    origin: str
    #: The call that makes a batch exist: method and path, `*` for any text ("POST /v1/batches").
    creating: ClassVar[str]
    #: The call that brings a batch's answers.
    downloading: ClassVar[str]
    #: The call by which requests are uploaded; empty where they are not.
    uploading: ClassVar[str] = ""
    #: An id that no batch of it has, in the provider's form.
    unknown_id: ClassVar[str] = "batch_unknown"
    #: An id of no file, in the form of those that it has for downloads.
    unknown_file_id: ClassVar[str] = "file-unknown"
    #: Batches of others that fill more than two pages of its list.
    crowd: ClassVar[int] = 3
    #: What it cannot do or show, and why: a Situation, or the Outcome of one request.
    cannot: ClassVar[Mapping[Situation | Outcome, str]] = {}

    @abstractmethod
    def now(self) -> datetime:
        """The time by its clock, with a time zone."""

    @abstractmethod
    def arrange(self, situation: Situation) -> None:
        """The next batch that is created ends so; without a word it completes.

        Asked for COMPLETED, ALL_FAILED, REJECTED, EXPIRED and EMPTY.
        """

    @abstractmethod
    def arrange_answer(self, containing: str, outcome: Outcome) -> None:
        """A request with that text is answered so: REFUSED, TRUNCATED or ERRORED."""

    @abstractmethod
    def work(self) -> None:
        """Time passes until about half of each open batch is done; called once per test."""

    @abstractmethod
    def finish(self) -> None:
        """Time passes until no batch is open."""

    @abstractmethod
    def others(self, count: int) -> None:
        """Somebody else of the account creates so many batches of one request each, now."""

    def uploads(self) -> Collection[str]:
        """Ids of the request files that it holds."""
        return ()

    def refusal(self, status: int, message: str) -> bytes:
        """The body of an error with that status, as the provider writes it."""
        return json.dumps({"error": {"message": message}}).encode()
