"""What a command's exit says; a script can act on it without reading a word."""

from enum import IntEnum

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    BatchUnknown,
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)


class NotFound(BatchAssetsError):
    """There is no such inference, partition, item, batch or file."""


class ExitCode(IntEnum):
    """The exit codes of every command."""

    #: Everything that was asked for is done.
    OK = 0
    #: It is not done, and nothing below says why.
    FAILED = 1
    #: The command was called wrongly.
    USAGE = 2
    #: What was named is not there.
    NOT_FOUND = 3
    #: Some of it is done, and some of it failed.
    PARTIAL = 4
    #: A person must approve before it goes on.
    APPROVAL_WANTING = 5
    #: The provider refused, or could not be reached.
    PROVIDER = 6
    #: It was waited for no longer.
    TIMEOUT = 7


#: Errors in which the provider has a part.
_OF_PROVIDER = (
    AccountRefused,
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)


def exit_code_of(error: BatchAssetsError) -> ExitCode:
    """The exit code of a command that ends with this error."""
    if isinstance(error, NotFound | BatchUnknown):
        return ExitCode.NOT_FOUND
    return ExitCode.PROVIDER if isinstance(error, _OF_PROVIDER) else ExitCode.FAILED
