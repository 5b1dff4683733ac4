"""A request file as the body of the one call that creates its batch, in blocks: it is never whole
in memory.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from batch_assets.domain.errors import ArtifactError, CorpusError
from batch_assets.domain.request import CUSTOM_ID, mark_of

#: Bytes that go out at once.
BLOCK = 256 * 1024

_HEAD = b'{"requests":['
_TAIL = b"]}"

#: How a line of a shard begins: as the endpoint `messages` writes it (`prompt/envelope.py`).
_LINE = re.compile(rb'\s*\{\s*"custom_id"\s*:\s*"([^"\\]*)"\s*,')

#: Bytes that stand around the lines, and that the mark adds to each.
AROUND = len(_HEAD) + len(_TAIL)
MARK_BYTES = len(mark_of("0" * 32))


class _Request(msgspec.Struct):
    custom_id: str
    params: msgspec.Raw


_decode = msgspec.json.Decoder(_Request).decode


class RequestBody:
    """The body, which can be sent again; with a key every custom_id in it ends with its mark.

    Raises ArtifactError for a file that cannot be read, or a shard that is not what the endpoint
    wrote; without a key the file is a person's, and CorpusError for a line that is no request.
    """

    def __init__(self, path: Path, *, key: str | None) -> None:
        self._path = path
        self._mark = None if key is None else mark_of(key).encode()
        #: What broke while it was sent, and is of this side.
        self.broken: ArtifactError | CorpusError | None = None
        #: Bytes, known before the first is sent: the API may refuse a body of no announced length.
        self.length = AROUND + sum(map(len, self._requests())) - 1

    def __iter__(self) -> Iterator[bytes]:
        block = bytearray(_HEAD)
        try:
            for request in self._requests():
                block += request
                if len(block) >= BLOCK:
                    # The comma behind the last request is not known to be one.
                    yield bytes(block[:-1])
                    del block[:-1]
        except (ArtifactError, CorpusError) as error:
            self.broken = error
            raise
        yield bytes(block[:-1]) + _TAIL

    def _requests(self) -> Iterator[bytes]:
        """Each line as it is sent, and a comma for its end."""
        number = 0
        try:
            with self._path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    yield self._sent(line, f"{self._path}, line {number}")
        except OSError as error:
            raise ArtifactError(f"cannot read {self._path} to send it: {error}") from error
        if not number:
            raise ArtifactError(f"{self._path} is empty, and a batch has requests")

    def _sent(self, line: bytes, place: str) -> bytes:
        if self._mark is None:
            return _as_written(line, place) + b","
        return _marked(line, self._mark, place) + b","


def _marked(line: bytes, mark: bytes, place: str) -> bytes:
    """A line of a shard with the mark at the end of its custom_id."""
    found = _LINE.match(line)
    if found is None:
        raise ArtifactError(
            f"{place}: it is no request of the endpoint messages, which begins with its custom_id: "
            "prepare the partition again"
        )
    custom_id = (found[1] + mark).decode(errors="replace")
    if not CUSTOM_ID.fullmatch(custom_id):
        raise ArtifactError(
            f"{place}: the custom_id {custom_id} is not of the pattern {CUSTOM_ID.pattern}: "
            "prepare the partition again"
        )
    end = found.end(1)
    return b"".join((line[:end], mark, line[end:].rstrip(b"\r\n")))


def _as_written(line: bytes, place: str) -> bytes:
    """A person's line, whose fields may stand in any order."""
    found = _LINE.match(line)
    custom_id = _read(line, place) if found is None else found[1].decode(errors="replace")
    if not CUSTOM_ID.fullmatch(custom_id):
        raise CorpusError(
            f"{place}: the custom_id {custom_id[:80]!r} is not of the pattern {CUSTOM_ID.pattern}, "
            "which Anthropic takes: give the request another"
        )
    return line.rstrip(b"\r\n")


def _read(line: bytes, place: str) -> str:
    try:
        return _decode(line).custom_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorpusError(
            f'{place}: {error}: write {{"custom_id": "…", "params": {{…}}}} on one line'
        ) from error
