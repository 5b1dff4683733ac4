"""A multipart/form-data reader that streams its one file to disk (RFC 7578).

Starlette's own form parser needs the package python-multipart; memory here is one chunk of the
network, whatever the size of the file.
"""

from email.message import Message
from typing import BinaryIO

MAX_HEADER_BYTES = 16_384
MAX_FIELD_BYTES = 65_536


class MalformedForm(ValueError):
    """The body is not the multipart/form-data its content type announces."""


def form_boundary(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise MalformedForm("expected multipart/form-data with a boundary")
    return boundary.encode("latin-1")


class FormReader:
    """Feed it chunks; the fields and the name of the file are there when `finished` is true."""

    def __init__(self, boundary: bytes, file_sink: BinaryIO) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.file_bytes = 0
        self.finished = False
        self._delimiter = b"\r\n--" + boundary
        # The first delimiter has no line break before it; with one, all delimiters are alike.
        self._buffer = bytearray(b"\r\n")
        self._sink = file_sink
        self._part: str | None = None
        self._in_headers = False
        self._field = bytearray()

    def feed(self, chunk: bytes) -> None:
        self._buffer += chunk
        while not self.finished and (self._headers() if self._in_headers else self._content()):
            pass

    def _content(self) -> bool:
        end = self._buffer.find(self._delimiter)
        if end < 0:
            keep = len(self._delimiter) - 1
            self._take(max(0, len(self._buffer) - keep))
            return False
        after = end + len(self._delimiter)
        if len(self._buffer) < after + 2:
            return False
        self._take(end)
        self._close_part()
        self.finished = self._buffer[len(self._delimiter) :].startswith(b"--")
        del self._buffer[: len(self._delimiter)]
        self._in_headers = not self.finished
        return True

    def _headers(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEADER_BYTES:
                raise MalformedForm("the headers of a part are too long")
            return False
        self._open_part(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._in_headers = False
        return True

    def _open_part(self, header_block: bytes) -> None:
        for line in header_block.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-disposition":
                message = Message()
                message["content-disposition"] = value.strip()
                part = message.get_param("name", header="content-disposition")
                self._part = part if isinstance(part, str) else None
                if self._part == "file":
                    self.filename = message.get_filename("upload")
        if self._part is None:
            raise MalformedForm("a part has no name")

    def _take(self, size: int) -> None:
        if self._part == "file":
            self._sink.write(self._buffer[:size])
            self.file_bytes += size
        elif self._part is not None:
            self._field += self._buffer[:size]
            if len(self._field) > MAX_FIELD_BYTES:
                raise MalformedForm("a field is too long")
        del self._buffer[:size]

    def _close_part(self) -> None:
        if self._part is not None and self._part != "file":
            self.fields[self._part] = self._field.decode("utf-8", "replace")
        self._part = None
        self._field.clear()
