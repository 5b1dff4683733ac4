"""One provider's way of speaking over HTTP: its routes, its keys, and the shape of its errors.

Behind the routes of every wire works the same `Sandbox`. A wire stores what it is sent as lines of
a batch file, `{"custom_id", "method", "url", "body"}` with bodies of the provider's own, and shows
what came of them in the provider's words. Its routes have the names that OpenAI's have, so that one
script of faults is for all.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from batch_assets.sandbox.errors import ApiError

Call = Callable[[Request], Response | Awaitable[Response]]

#: Method, path below the prefix, and what answers.
Routes = Mapping[str, tuple[str, str, Call]]

#: Keys that begin so are nobody's, at every wire.
WRONG_KEY_PREFIX = "sk-wrong"


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A provider's wire, below a prefix of its own."""

    #: Batches and files of one wire are not seen through another.
    name: str
    #: Path that its addresses begin with; the SDK's base URL is the server's and this.
    prefix: str
    #: By the name that a script of faults has for the call.
    routes: Routes
    #: An error as the provider would answer it.
    refused: Callable[[ApiError], Response]
    #: Why a call may not be made, by its headers; None where it may.
    key_complaint: Callable[[Headers], ApiError | None]
