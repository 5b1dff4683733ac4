"""Parts of a user message beside text: images, files, audio.

Their wire forms are those of OpenAI's API reference, content parts of a chat completion's user
message and input content of a response, of Gemini's, and of `anthropic_blocks`.
"""

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, fields
from posixpath import basename
from typing import ClassVar, Literal, get_args

import msgspec

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.anthropic_blocks import (
    DOCUMENT_TYPES,
    OPENS,
    document_members,
    image_members,
    source_block,
)
from batch_assets.prompt.media import (
    AUDIO_FORMATS,
    IMAGE_TYPES,
    MEDIA_TYPE,
    Folder,
    Unfit,
    data_url_bytes,
    filename_of,
    media_type_of,
)
from batch_assets.prompt.messages import Dialect, Piece, Varying
from batch_assets.prompt.sources import WEB, Address, FromColumn, FromFolder, Members
from batch_assets.prompt.template import Renderer

Detail = Literal["auto", "low", "high", "original"]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True)
class Part(ABC):
    """What every part beside text is given by: exactly one of its sources, named as a template.

    `url`, `file_id` and `path` are templates; `column` names a column of bytes (or of structs with
    the field `bytes`, as Hugging Face data sets have images). A `path` names a file below `root`,
    which is read when requests are made. A part whose source is null or empty is an error, unless
    it is `optional`: then the message goes without it.
    """

    url: str | None = None
    column: str | None = None
    path: str | None = None
    root: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    optional: bool = False

    #: What it is called in error texts.
    kind: ClassVar[str]
    sources: ClassVar[Sequence[str]] = ("url", "column", "path", "file_id")

    def __post_init__(self) -> None:
        given = [name for name in ("url", "column", "path", "file_id") if getattr(self, name)]
        if len(given) != 1 or given[0] not in self.sources:
            raise self._refused(
                f"it has {' and '.join(given) or 'no source'}: "
                f"give exactly one of {', '.join(self.sources)}"
            )
        if (self.path is None) != (self.root is None):
            raise self._refused(
                "path and root belong together: rows name files below the folder root, and no "
                "others"
            )
        if self.root is not None and self.root.startswith(("http://", "https://")):
            raise self._refused("root is a web address: give its files by url, or copy them")
        if self.media_type is not None and (self.url or self.file_id):
            raise self._refused("media_type is said of bytes, from column or path")
        if self.media_type is not None and not MEDIA_TYPE.fullmatch(self.media_type):
            raise self._refused(f"media_type {self.media_type!r} is none: write it as image/png")

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns it reads, sorted."""
        if self.column is not None:
            return (self.column,)
        return self._renderer().fields

    @abstractmethod
    def piece(self, dialect: Dialect) -> Piece:
        """Its wire form. Raises DeclarationError where the dialect has none."""

    @abstractmethod
    def members(self, content: bytes, name: str) -> bytes:
        """The bytes of a file of that name as they stand in the part. Raises Unfit."""

    @abstractmethod
    def checked_type(self, content: bytes) -> str:
        """The media type of a file's bytes. Raises Unfit for one that no model takes."""

    def gemini_piece(self) -> Piece:
        """Its form for Gemini: bytes as `inlineData`, an address as `fileData` (API reference,
        Part).
        """
        if self.column is None and self.root is None:
            head = b'{"fileData":{"fileUri":'
            return Piece(head, self._value(), b"}}", self.optional)
        value = self._value(self._inline_data)
        return Piece(b'{"inlineData":{', value, b"}}", self.optional)

    def _inline_data(self, content: bytes, name: str) -> bytes:
        media_type = self.checked_type(content)
        # The name that the guide "Audio understanding" has for it.
        kind = "audio/mp3" if media_type == "audio/mpeg" else media_type
        return b"".join((b'"mimeType":"', kind.encode(), b'","data":"', b64encode(content), b'"'))

    def _value(
        self, members: Members | None = None, *, opens: Sequence[str] = WEB
    ) -> bytes | Varying:
        """What stands in the part: an address as a JSON string, or what `members` makes of bytes.

        What is the same in all rows is read and encoded here, once. `opens` are the beginnings of
        the URLs that the provider takes.
        """
        members = members or self.members
        if self.column is not None:
            return FromColumn(self.column, members, self.kind, self.optional, self._shape)
        renderer = self._renderer()
        if self.root is None:
            what = f"{self.kind}'s {self._source}"
            opens = opens if self._source == "url" else ()
            address = Address(renderer, what, self.optional, self._template, opens)
            return address if renderer.fields else address.constant()
        folder = Folder(self.root)
        if renderer.fields:
            return FromFolder(renderer, folder, members, self.kind, self.optional, self._shape)
        name = renderer.constant_text()
        try:
            return members(folder.read(name), name)
        except Unfit as error:
            raise self._refused(str(error)) from error

    @property
    def _shape(self) -> str:
        # A folder that moved with its files gives the same requests.
        given = {
            each.name: getattr(self, each.name) for each in fields(self) if each.name != "root"
        }
        return f"{self.kind} {given}"

    @property
    def _source(self) -> str:
        return next(name for name in self.sources if getattr(self, name))

    @property
    def _template(self) -> str:
        return str(getattr(self, self._source))

    def _renderer(self) -> Renderer:
        return Renderer(self._template, f"{self.kind}'s {self._source}")

    def _refused(self, why: str) -> DeclarationError:
        return DeclarationError(f"the {self.kind} of the prompt: {why}")


@dataclass(frozen=True, kw_only=True)
class Image(Part):
    """An image: PNG, JPEG, WebP or GIF.

    `detail` is how closely the model looks: auto, low, high or original.
    """

    detail: Detail = "auto"

    kind: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.detail not in get_args(Detail):
            raise self._refused(f"detail {self.detail!r} is none of {', '.join(get_args(Detail))}")

    def piece(self, dialect: Dialect) -> Piece:
        if dialect == "gemini":
            if self.detail != "auto":
                raise self._refused(
                    f"Gemini knows no detail {self.detail!r} of one image: give the setting "
                    "media_resolution"
                )
            return self.gemini_piece()
        if dialect == "anthropic":
            return self._anthropic_block()
        detail = _encode(self.detail)
        if dialect == "responses":
            member = b"file_id" if self.file_id else b"image_url"
            head = b'{"type":"input_image","detail":' + detail + b',"' + member + b'":'
            return Piece(head, self._value(), b"}", self.optional)
        if self.file_id:
            raise self._refused("chat completions take no file_id: give url, column or path")
        tail = b"}}" if self.detail == "auto" else b',"detail":' + detail + b"}}"
        head = b'{"type":"image_url","image_url":{"url":'
        return Piece(head, self._value(), tail, self.optional)

    def members(self, content: bytes, name: str) -> bytes:
        return b'"' + data_url_bytes(content, self.checked_type(content)) + b'"'

    def checked_type(self, content: bytes) -> str:
        media_type = self.media_type or media_type_of(content)
        if media_type is None or (self.media_type is None and media_type not in IMAGE_TYPES):
            raise Unfit(
                f"its bytes are none of {', '.join(IMAGE_TYPES)}: correct the row, or give the "
                "part its media_type"
            )
        return media_type

    def _anthropic_block(self) -> Piece:
        if self.detail != "auto":
            raise self._refused(f"Claude knows no detail {self.detail!r}: leave it out")
        if self.media_type not in (None, *IMAGE_TYPES):
            raise self._refused(
                f"Claude looks at {', '.join(IMAGE_TYPES)}, and not at {self.media_type}"
            )

        def members(content: bytes, name: str) -> bytes:
            return image_members(content, self.checked_type(content))

        value = self._value(members, opens=OPENS)
        return source_block("image", self._source, value, self.optional)


@dataclass(frozen=True, kw_only=True)
class File(Part):
    """A document, such as a PDF; chat completions take PDF alone, and no URL.

    `filename` is a template of the name the model is told; left out, it is the path's, or one made
    of the media type.
    """

    filename: str | None = None

    kind: ClassVar[str] = "file"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.filename is not None and (self.url or self.file_id):
            raise self._refused("filename is said of bytes, from column or path")
        if self.filename is not None and "{{" in self.filename:
            raise self._refused("filename is the same for all rows: give path for names of rows")

    def piece(self, dialect: Dialect) -> Piece:
        if dialect == "gemini":
            return self.gemini_piece()
        if dialect == "anthropic":
            return self._anthropic_block()
        value = self._value()
        if self.url and dialect == "chat":
            raise self._refused(
                "chat completions take no URL of a file: give its bytes, or use the endpoint "
                "responses"
            )
        name = b'"file_url":' if self.url else b'"file_id":' if self.file_id else b""
        if dialect == "responses":
            return Piece(b'{"type":"input_file",' + name, value, b"}", self.optional)
        if self.media_type not in (None, "application/pdf"):
            raise self._refused(
                f"chat completions take PDF files alone, not {self.media_type}: use the endpoint "
                "responses, or put the file's text into the message"
            )
        return Piece(b'{"type":"file","file":{' + name, value, b"}}", self.optional)

    def checked_type(self, content: bytes) -> str:
        media_type = self.media_type or media_type_of(content)
        if media_type is None or (self.media_type is None and media_type != "application/pdf"):
            raise Unfit("its bytes are no PDF: correct the row, or give the part its media_type")
        return media_type

    def members(self, content: bytes, name: str) -> bytes:
        media_type = self.checked_type(content)
        filename = self.filename or filename_of(name, media_type)
        url = data_url_bytes(content, media_type)
        return b"".join((b'"filename":', _encode(filename), b',"file_data":"', url, b'"'))

    def _anthropic_block(self) -> Piece:
        if self.media_type not in (None, *DOCUMENT_TYPES):
            raise self._refused(
                f"Claude reads {' and '.join(DOCUMENT_TYPES)}, and not {self.media_type}: put the "
                "file's text into the message"
            )

        def members(content: bytes, name: str) -> bytes:
            title = self.filename or basename(name)
            return document_members(content, self.checked_type(content), title)

        value = self._value(members, opens=OPENS)
        return source_block("document", self._source, value, self.optional)


@dataclass(frozen=True, kw_only=True)
class Audio(Part):
    """Sound as WAV or MP3, for models that listen; chat completions alone take it."""

    kind: ClassVar[str] = "audio"
    sources: ClassVar[Sequence[str]] = ("column", "path")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.media_type is not None and self.media_type not in AUDIO_FORMATS:
            raise self._refused(
                f"media_type {self.media_type!r} is none of {', '.join(AUDIO_FORMATS)}"
            )

    def piece(self, dialect: Dialect) -> Piece:
        if dialect == "gemini":
            return self.gemini_piece()
        if dialect == "anthropic":
            raise self._refused("Claude takes no audio: write down what is said in it")
        if dialect == "responses":
            raise self._refused("responses take no audio: use the endpoint chat")
        head = b'{"type":"input_audio","input_audio":{'
        return Piece(head, self._value(), b"}}", self.optional)

    def checked_type(self, content: bytes) -> str:
        media_type = self.media_type or media_type_of(content)
        if media_type not in AUDIO_FORMATS:
            raise Unfit(
                f"its bytes are none of {', '.join(AUDIO_FORMATS)}: correct the row, or give the "
                "part its media_type"
            )
        return media_type

    def members(self, content: bytes, name: str) -> bytes:
        form = AUDIO_FORMATS[self.checked_type(content)].encode()
        return b'"data":"' + b64encode(content) + b'","format":"' + form + b'"'
