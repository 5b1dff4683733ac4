"""Every error of ours. Whether trying again can help is the type, never a string to match.

BatchAssetsError
├── TerminalError                     trying again as it is cannot help
│   ├── DeclarationError              the inference is declared wrongly
│   ├── CorpusError                   the corpus cannot be read, or its rows break a rule
│   │   └── RepeatedItemIds           rows of a partition have the same item id
│   ├── ArtifactError                 a stored file is missing or is not what was stored
│   ├── LedgerError                   the ledger refuses
│   │   ├── IllegalMove               the table of moves has no such move
│   │   ├── StaleMove                 somebody else moved the batch first
│   │   └── UnknownLedgerVersion      the ledger was written by a newer version
│   ├── BlockedByChecks               answers do not pass a check that blocks
│   ├── RequestRefused                the provider refused the call: nothing was created
│   │   └── BatchUnknown              the provider does not know batches that it had
│   └── AccountRefused                the provider refuses the account until a person acts
└── TransientError                    trying again later can help
    ├── ProviderUnreachable           no connection: nothing reached the provider
    ├── ProviderUnavailable           5xx, or a reply that cannot be read
    │   └── OutOfTime                 the caller's own time or calls were over: it was not asked
    ├── CapacityRefused               the provider is full for now: rate or queue limit
    └── ReplyLost                     the call may or may not have been carried out
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager


class BatchAssetsError(Exception):
    """The root of the tree: catch it to catch every error of ours."""

    @property
    def message(self) -> str:
        """The sentence for a person: what is wrong, where, and the way out."""
        return str(self.args[0]) if self.args else str(self.__doc__)


class TerminalError(BatchAssetsError):
    """Trying again as it is cannot help."""


class TransientError(BatchAssetsError):
    """Trying again later can help."""


class DeclarationError(TerminalError):
    """The inference is declared wrongly."""

    def __init__(self, *args: object, setting: str | None = None) -> None:
        super().__init__(*args)
        #: The setting of the inference that is wrong, where it is one.
        self.setting = setting


class CorpusError(TerminalError):
    """The corpus cannot be read, or its rows break a rule."""


class RepeatedItemIds(CorpusError):
    """Rows of a partition have the same item id."""


class ArtifactError(TerminalError):
    """A stored file is missing or is not what was stored."""


class LedgerError(TerminalError):
    """The ledger refuses."""


class IllegalMove(LedgerError):
    """The table of moves has no such move."""


class StaleMove(LedgerError):
    """Somebody else moved the batch first."""


class UnknownLedgerVersion(LedgerError):
    """The ledger was written by a newer version of batch-assets."""


class BlockedByChecks(TerminalError):
    """Answers do not pass a check that blocks: the results stand, and have no bundle."""


class RequestRefused(TerminalError):
    """The provider refused the call: nothing was created."""


class BatchUnknown(RequestRefused):
    """The provider does not know batches that it had."""

    def __init__(self, *args: object, ids: Collection[str] = ()) -> None:
        super().__init__(*args)
        #: The provider's own ids of them.
        self.ids = ids


class AccountRefused(TerminalError):
    """The provider refuses the account until a person acts."""


class ProviderUnreachable(TransientError):
    """No connection could be made: nothing reached the provider."""


class ProviderUnavailable(TransientError):
    """The provider answered with a server error, or with a reply that cannot be read."""


class OutOfTime(ProviderUnavailable):
    """The caller's own time or calls were over: the provider was not asked."""


class CapacityRefused(TransientError):
    """The provider is full for now: a rate or queue limit."""


class ReplyLost(TransientError):
    """The call was sent and no reply came: it may or may not have been carried out."""


@contextmanager
def about(setting: str) -> Iterator[None]:
    """A DeclarationError from within is about that setting, where it is about none yet."""
    try:
        yield
    except DeclarationError as error:
        error.setting = error.setting or setting
        raise
