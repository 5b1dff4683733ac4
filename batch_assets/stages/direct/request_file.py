"""A file of requests that a person has, held to the provider's rules before anything is sent."""

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

from batch_assets.domain.errors import CorpusError
from batch_assets.domain.shard import Limits
from batch_assets.prompt.answers import shortened
from batch_assets.stages.direct.wire import Wire


@dataclass(frozen=True, kw_only=True)
class RequestFile:
    """A file that can be sent as it is."""

    path: Path
    #: The path that all its requests are for; None where neither they nor a person say it.
    endpoint: str | None
    requests: int
    bytes: int
    #: SHA-256 of its bytes and of the endpoint, hexadecimal.
    digest: str


class _Address(msgspec.Struct):
    method: str
    url: str


_address_of = msgspec.json.Decoder(_Address).decode

#: What decoding bytes of a stranger may raise.
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_request_file(
    path: Path, *, wire: Wire, limits: Limits, endpoint: str | None = None
) -> RequestFile:
    """The file, read through and checked.

    `endpoint` is the path that a person says; where the lines say it, too, they must agree. Raises
    CorpusError, which names the line and the way out but not the file: whoever has several says
    which.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise CorpusError("it is no file: give one that can be read twice")
        size = found.st_size
        if size > limits.bytes:
            raise CorpusError(
                f"it has {size:,} bytes, and a batch takes {limits.bytes:,}: split it"
            )
        with path.open("rb") as lines:
            checked = _Checked(wire, limits, endpoint or wire.endpoint)
            for line in lines:
                checked.take(line)
    except FileNotFoundError as error:
        raise CorpusError("there is no such file") from error
    except OSError as error:
        raise CorpusError(f"it cannot be read: {error.strerror or error}") from error
    return RequestFile(
        path=path,
        endpoint=checked.end(),
        requests=checked.requests,
        bytes=checked.bytes,
        digest=checked.digest(),
    )


class _Checked:
    """What was read of a file so far."""

    def __init__(self, wire: Wire, limits: Limits, endpoint: str | None) -> None:
        self._envelope = wire.envelope
        self._ids = wire.ids
        self._limits = limits
        self._endpoint = endpoint
        self._first_says = f"{endpoint} is asked for"
        line = wire.envelope.line("…", endpoint or "/v1/…", "{…}".encode())
        self._example = line.decode().strip()
        self._lines_by_id: dict[str, int] = {}
        self._digest = hashlib.sha256()
        self.requests = 0
        self.bytes = 0

    def take(self, line: bytes) -> None:
        self.requests += 1
        self.bytes += len(line)
        self._digest.update(line)
        if not line.strip():
            self._refuse("it is blank: take it out")
        if self.requests > self._limits.requests:
            self._refuse(f"a batch takes {self._limits.requests:,} requests: split the file")
        try:
            line.decode()
            custom_id, body = self._envelope.read(line)
            address = _address_of(line) if self._envelope.is_addressed else None
        except _UNDECODABLE as error:
            self._refuse(f"{error}: write {self._example} on one line, in UTF-8")
        if not body.startswith(b"{"):
            self._refuse(f"its {self._envelope.body_field} is no JSON object")
        if not custom_id:
            self._refuse(f"its {self._envelope.id_field} is empty: give the request an id")
        its_id = f"its {self._envelope.id_field} {shortened(custom_id)!r}"
        if self._ids is not None and not self._ids.fullmatch(custom_id):
            self._refuse(
                f"{its_id} is not of the pattern {self._ids.pattern}: give the request another"
            )
        earlier = self._lines_by_id.setdefault(custom_id, self.requests)
        if earlier != self.requests:
            self._refuse(
                f"{its_id} is that of line {earlier}, too: give every request an id of its own"
            )
        if address is not None:
            self._take_address(address)

    def _take_address(self, address: _Address) -> None:
        if address.method != "POST":
            self._refuse(f"its method is {address.method!r}: write POST")
        if self._endpoint is None:
            self._endpoint = address.url
            self._first_says = f"line 1 has {address.url}"
        elif address.url != self._endpoint:
            self._refuse(
                f"its url is {address.url}, and {self._first_says}: a batch has one endpoint"
            )

    def end(self) -> str | None:
        """The endpoint of all of them, where it was said."""
        if not self.requests:
            raise CorpusError("it is empty, and a batch has requests")
        return self._endpoint

    def digest(self) -> str:
        """Of what was taken, and of where it goes."""
        whole = self._digest.copy()
        whole.update((self._endpoint or "").encode())
        return whole.hexdigest()

    def _refuse(self, why: str) -> NoReturn:
        raise CorpusError(f"line {self.requests}: {why}") from None
