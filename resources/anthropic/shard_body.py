"""A shard as the body of the one call that creates its batch, in blocks: it is never whole in
memory.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.request import CUSTOM_ID, mark_of

#: Bytes that go out at once.
BLOCK = 256 * 1024

_HEAD = b'{"requests":['
_TAIL = b"]}"

#: How a line of a shard begins: as the endpoint `messages` writes it (`prompt/envelope.py`); in a
#: person's own file there may be spaces.
_LINE = re.compile(rb'\s*\{\s*"custom_id"\s*:\s*"([^"\\]*)"\s*,')

#: Bytes that stand around the lines, and that the mark adds to each.
AROUND = len(_HEAD) + len(_TAIL)
MARK_BYTES = len(mark_of("0" * 32))


class ShardBody:
    """The body, which can be sent again; every custom_id in it ends with the mark of the batch.

    Raises ArtifactError for a shard that cannot be read, or is not what the endpoint wrote.
    """

    def __init__(self, shard: Path, *, key: str) -> None:
        self._shard = shard
        self._mark = mark_of(key).encode()
        #: What broke while it was sent, and is of this side.
        self.broken: ArtifactError | None = None
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
        except ArtifactError as error:
            self.broken = error
            raise
        yield bytes(block[:-1]) + _TAIL

    def _requests(self) -> Iterator[bytes]:
        """Each line with the mark in its custom_id, and a comma for its end."""
        number = 0
        try:
            with self._shard.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    yield self._marked(line, number)
        except OSError as error:
            raise ArtifactError(f"cannot read {self._shard} to send it: {error}") from error
        if not number:
            raise ArtifactError(f"{self._shard} is empty, and a batch has requests")

    def _marked(self, line: bytes, number: int) -> bytes:
        found = _LINE.match(line)
        if found is None:
            raise ArtifactError(
                f"{self._shard}, line {number}: it is no request of the endpoint messages, which "
                "begins with its custom_id: prepare the partition again"
            )
        custom_id = found[1] + self._mark
        if not CUSTOM_ID.fullmatch(custom_id.decode(errors="replace")):
            raise ArtifactError(
                f"{self._shard}, line {number}: the custom_id {custom_id.decode(errors='replace')} "
                f"is not of the pattern {CUSTOM_ID.pattern}: prepare the partition again"
            )
        end = found.end(1)
        return b"".join((line[:end], self._mark, line[end:].rstrip(b"\r\n"), b","))
