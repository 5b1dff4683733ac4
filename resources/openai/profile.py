"""How a server of OpenAI's Batch API differs from OpenAI: its limits and quirks, as data.

The adapter acts by a profile, so that a server needs no code of its own. What no request depends
on is no part of it: whatever server answers, times may be numbers or ISO text, errors an object, a
list or one text, counts absent, and bodies of answers JSON inside a string (`replies`;
`prompt/answers`).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from urllib.parse import urlsplit

from batch_assets.domain.provider import Phase
from batch_assets.resources.metadata import MetadataLimits

#: Every status of `types/batch.py` (openai-python 3.54); `cancelling` lasts up to ten minutes.
PHASES: Mapping[str, Phase] = {
    "validating": Phase.OPEN,
    "in_progress": Phase.OPEN,
    "finalizing": Phase.OPEN,
    "cancelling": Phase.OPEN,
    "completed": Phase.ENDED,
    "failed": Phase.ENDED,
    "expired": Phase.ENDED,
    "cancelled": Phase.ENDED,
}

#: Where an address differs from user to user, by the user's part of it.
SLUG = "{slug}"

_VERSION = "/v1"
_LINE_URL = re.compile(rb'("url"\s*:\s*")/v1/')


class Listing(Enum):
    """How a server lists its batches."""

    #: By pages of 100, from new to old (`batch_list_params.py`: `after`).
    NEWEST_FIRST = "newest_first"
    #: By such pages in an order that nobody promises: only the end of the list is its end.
    ANY_ORDER = "any_order"
    #: All of them in one reply, which may be a bare array; there is no `after`.
    WHOLE = "whole"
    #: As NEWEST_FIRST, but with each batch as it was when it was asked about alone.
    STALE = "stale"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One server's limits and quirks. What is not said is as at OpenAI."""

    #: Its name in `account` and in errors.
    name: str
    #: Where the facts are from, and when they were read.
    source: str
    #: Address with the version; SLUG in it stands for the user's own part. None where every user
    #: has an address of their own.
    base_url: str | None = None
    #: What the user's own part of the address is.
    slug_is: str = ""
    #: The variable that holds the key, by the server's custom.
    key_variable: str = "OPENAI_API_KEY"
    #: The version that Azure's older API asks for in every call, with the key in a header `api-key`
    #: (openai-python, `lib/azure.py`). None is the current API, and every other server.
    azure_api_version: str | None = None

    max_requests: int = 50_000
    max_bytes: int = 200_000_000
    #: Embedding inputs of one batch.
    max_inputs: int | None = 50_000
    #: The URLs that a batch may address; None for those that are not documented.
    endpoints: tuple[str, ...] | None = None
    #: The hours that may be a completion window; None takes any.
    window_hours: tuple[int, ...] | None = None
    #: None for a server that keeps none: then batches are known by the names of their files.
    metadata: MetadataLimits | None = field(default_factory=MetadataLimits)
    #: Least and most seconds that files may be kept; None where that cannot be asked for.
    expiry_seconds: tuple[int, int] | None = (3_600, 2_592_000)

    purpose: str = "batch"
    upload_path: str = "/files"
    #: Further fields of an upload; `{filename}` in a value is the file's name.
    upload_form: Mapping[str, str] = field(default_factory=dict)
    #: Whether blanks behind its first line, which no reader of JSON sees, make each upload another:
    #: for a server that takes equal files for one.
    marks_uploads: bool = False
    #: Whether a batch is refused as long as its file is not `processed`.
    waits_for_file: bool = False
    #: Whether endpoints are spelled without their version: `/chat/completions`.
    drops_version: bool = False
    #: The field of a reply that the batch stands in; None where the reply is the batch.
    batch_field: str | None = None
    phases: Mapping[str, Phase] = field(default_factory=lambda: dict(PHASES))
    listing: Listing = Listing.NEWEST_FIRST
    has_file_list: bool = True

    #: The price library's name of it; None where the library does not have it.
    price_list: str | None = None
    #: What a person must know of those prices.
    price_note: str = ""

    def address(self, base_url: str | None, slug: str | None) -> str | None:
        """The address with the user's part in its place; None where some of it is not given.

        One that is given without a path gets the server's own.
        """
        pattern = base_url or self.base_url
        if pattern is None:
            return None
        if urlsplit(pattern).path in ("", "/") and self.base_url is not None:
            pattern = pattern.rstrip("/") + urlsplit(self.base_url).path
        return None if SLUG in pattern and not slug else pattern.replace(SLUG, slug or "")

    def is_at(self, host: str) -> bool:
        """Whether that is the host of the server's own address."""
        if self.base_url is None:
            return False
        own = r"[\w-]+".join(map(re.escape, urlsplit(self.base_url).netloc.split(SLUG)))
        return re.fullmatch(own, host) is not None

    def takes(self, endpoint: str) -> bool:
        return self.endpoints is None or endpoint in self.endpoints

    def spelled(self, endpoint: str) -> str:
        """The endpoint as the server calls it."""
        return endpoint.removeprefix(_VERSION) if self.drops_version else endpoint

    @contextmanager
    def as_sent(self, path: Path, *, key: str) -> Iterator[BinaryIO]:
        """The file as the server takes it, seekable and at its first byte. Raises OSError.

        The key is what makes it another than all others, where it must be.
        """
        with path.open("rb") as lines:
            if not (self.marks_uploads or self.drops_version):
                yield lines
                return
            with TemporaryFile() as copy:
                if self.marks_uploads:
                    copy.write(_with_blanks(self._line(lines.readline()), key))
                copy.writelines(map(self._line, lines))
                copy.seek(0)
                yield copy

    def _line(self, line: bytes) -> bytes:
        # The url stands before the body, which may have a field of that name too.
        return _LINE_URL.sub(rb"\1/", line, count=1) if self.drops_version else line


def _with_blanks(line: bytes, key: str) -> bytes:
    """The line with the key behind it, a blank per bit."""
    blanks = f"{int(key, 16):0{4 * len(key)}b}".translate({ord("0"): " ", ord("1"): "\t"})
    return line.rstrip(b"\r\n") + blanks.encode() + b"\n"


#: It takes 24h only; `OpenAIResource` is used for servers like it, too, so any window may be given.
OPENAI = Profile(
    name="openai",
    source="openai-python 3.54: `types/batch_create_params.py`, `types/file_create_params.py`",
    base_url="https://api.openai.com/v1",
    price_list="openai",
)
