"""Bytes for a model to look at: what kind they are, how they travel in JSON, where they are read.

What each endpoint takes is said in OpenAI's guides "Images and vision", "File inputs" and "Audio".
"""

import re
from base64 import b64encode
from posixpath import basename, normpath

import fsspec

#: The most that is read of one file: what the guide "File inputs" allows for one.
LARGEST_BYTES = 50_000_000

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    # MPEG-1 and MPEG-2 layer III without a tag.
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
)

#: Kinds of a RIFF container, by the four bytes behind its length.
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}

#: What chat completions and responses take as an image.
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")

#: What they call the audio they take.
AUDIO_FORMATS = {"audio/wav": "wav", "audio/mpeg": "mp3"}

#: The form of a media type.
MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")

_ENDINGS = {"application/pdf": "pdf", "text/plain": "txt", "text/csv": "csv"}


class Unfit(Exception):
    """The bytes, or where they should be, cannot be sent; the text says why and the way out."""


def media_type_of(content: bytes) -> str | None:
    """The media type that the first bytes tell, of those that a model takes."""
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12])
    return next((kind for start, kind in _SIGNATURES if content.startswith(start)), None)


def data_url(content: bytes, media_type: str | None = None) -> str:
    """The bytes as a `data:` URL; the media type is told from them where none is given.

    Raises ValueError where it cannot be told.
    """
    kind = media_type or media_type_of(content)
    if kind is None:
        raise ValueError("the media type cannot be told from the bytes: give media_type")
    return data_url_bytes(content, kind).decode()


def data_url_bytes(content: bytes, media_type: str) -> bytes:
    """The same, ready for JSON: nothing in it needs an escape."""
    return b"".join((b"data:", media_type.encode(), b";base64,", b64encode(content)))


def filename_of(path: str, media_type: str) -> str:
    """The name that a file is sent under: its own, or one of its type."""
    return basename(path) or f"file.{_ENDINGS.get(media_type, 'bin')}"


class Folder:
    """Where a prompt reads files: a local folder, or any URL that fsspec opens.

    Rows name files in it and cannot lead out of it: who wrote a row must not choose what of the
    machine or the account is sent to a provider.
    """

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")
        self._fs, self._base = fsspec.core.url_to_fs(root, use_listings_cache=False)

    def read(self, name: str) -> bytes:
        """The file's bytes. Raises Unfit."""
        place = f"{self._base.rstrip('/')}/{self._inside(name)}"
        try:
            with self._fs.open(place, "rb") as source:
                content: bytes = source.read(LARGEST_BYTES + 1)
        except (OSError, ValueError) as error:
            raise Unfit(
                f"{name!r} cannot be read from {self._root} ({type(error).__name__}): "
                "put the file there, or correct the row"
            ) from error
        if len(content) > LARGEST_BYTES:
            raise Unfit(
                f"{name!r} in {self._root} has more than {LARGEST_BYTES:,} bytes, which no "
                "provider takes in one file: make it smaller, or send it by URL"
            )
        return content

    def _inside(self, name: str) -> str:
        """The name relative to the folder."""
        relative = name.removeprefix(f"{self._root}/")
        leads_out = relative.startswith("/") or ".." in relative.split("/")
        is_text = not ("\0" in name or any("\ud800" <= each <= "\udfff" for each in name))
        if leads_out or not is_text or "://" in relative:
            raise Unfit(f"{name!r} is not in {self._root}: name a file in that folder")
        return normpath(relative)
