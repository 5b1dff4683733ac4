"""The bytes of a text file as UTF-8, unpacked while they are read."""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from batch_assets.corpus.listing import SourceFile
from batch_assets.corpus.source import TEXT_BLOCK, reading


@contextmanager
def text_stream(file: SourceFile) -> Iterator[Any]:
    """A stream of the file's own bytes, unpacked. Raises CorpusError where it is gone."""
    with reading(file, 0):
        source = file.open()
    with source:
        if file.compression is None:
            yield source
            return
        with pa.CompressedInputStream(pa.PythonFile(source, mode="r"), file.compression) as opened:
            yield opened


class Utf8Stream:
    """A stream in another encoding as UTF-8, with `closing` at its end. For pyarrow to read."""

    closed = False

    def __init__(self, source: Any, encoding: str, closing: bytes = b"") -> None:
        self._source = source
        self._closing = closing
        is_utf8 = codecs.lookup(encoding).name == "utf-8"
        self._decoder = None if is_utf8 else codecs.getincrementaldecoder(encoding)()
        self._waiting = b""
        self._at_end = False

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for; fewer only at the end."""
        parts, length = [self._waiting], len(self._waiting)
        while not self._at_end and (size < 0 or length < size):
            parts.append(self._next(TEXT_BLOCK if size < 0 else size - length))
            length += len(parts[-1])
        content = b"".join(parts)
        if size < 0:
            size = len(content)
        content, self._waiting = content[:size], content[size:]
        return content

    def _next(self, size: int) -> bytes:
        block: bytes = self._source.read(size)
        self._at_end = not block
        if self._decoder is not None:
            block = self._decoder.decode(block, self._at_end).encode()
        return block + self._closing if self._at_end else block

    def close(self) -> None:
        """The source is closed by whoever opened it."""
        self.closed = True
