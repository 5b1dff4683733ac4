"""The port to a wire: how one request is sent at once, and what its answer is as a line."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a server answered to one request, whatever its status."""

    status: int
    #: As it came, JSON where the server keeps its word.
    body: bytes
    request_id: str | None = None
    #: Seconds that the server asks to wait.
    retry_after: float | None = None
    #: Tokens that it cost, prompt and answer together; None where it does not say.
    tokens: int | None = None
    #: Whether the body is JSON, and no page of a gateway's.
    is_readable: bool = True


class Caller(ABC):
    """One account at one server, whose calls are sent once. Threads may share it."""

    @abstractmethod
    def call(self, body: bytes, *, endpoint: str) -> Reply:
        """What the server answers, errors of the request itself included.

        Raises AccountRefused where the account is refused, ProviderUnreachable where nothing was
        sent, and ProviderUnavailable where no answer came: it may have been carried out.
        """

    @abstractmethod
    def line(self, custom_id: str, reply: Reply) -> bytes:
        """The answer as the provider's batches would have it, with its end."""

    @abstractmethod
    def line_of_silence(self, custom_id: str, why: str) -> bytes:
        """The same of a request to which no answer came."""

    @abstractmethod
    def close(self) -> None:
        """Give the connections back."""
