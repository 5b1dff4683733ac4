"""Images and documents as Anthropic takes them (anthropic 2.12, `types/image_block_param.py`,
`types/document_block_param.py`).
"""

from base64 import b64encode

import msgspec

from batch_assets.prompt.media import Unfit
from batch_assets.prompt.messages import Piece, Varying

#: Beginnings of addresses that Claude opens; bytes have a source of their own.
OPENS = ("http://", "https://")

#: Documents that come with their bytes.
DOCUMENT_TYPES = ("application/pdf", "text/plain")

_encode = msgspec.json.Encoder().encode

#: What stands before an address; bytes bring their whole source.
_SOURCES = {
    "url": b'"source":{"type":"url","url":',
    "file_id": b'"source":{"type":"file","file_id":',
}


def source_block(kind: str, source: str, value: bytes | Varying, optional: bool) -> Piece:
    """A block with one source: `url`, `file_id`, or the members that its bytes make."""
    head = b'{"type":"' + kind.encode() + b'",' + _SOURCES.get(source, b"")
    return Piece(head, value, b"}}" if source in _SOURCES else b"}", optional)


def image_members(content: bytes, media_type: str) -> bytes:
    """The source of an image that comes with its bytes."""
    return _in_base64(content, media_type)


def document_members(content: bytes, media_type: str, title: str) -> bytes:
    """The source of a document that comes with its bytes, and its title. Raises Unfit."""
    named = b'"title":' + _encode(title) + b"," if title else b""
    if media_type != "text/plain":
        return named + _in_base64(content, media_type)
    try:
        text = _encode(content.decode())
    except UnicodeDecodeError as error:
        raise Unfit(
            f"its text is no UTF-8 at byte {error.start}: convert the file, or correct the row"
        ) from error
    return b"".join(
        (named, b'"source":{"type":"text","media_type":"text/plain","data":', text, b"}")
    )


def _in_base64(content: bytes, media_type: str) -> bytes:
    head = b'"source":{"type":"base64","media_type":"' + media_type.encode() + b'","data":"'
    return b"".join((head, b64encode(content), b'"}'))
