"""Raw outputs in the store: lines as providers returned them, and those that were carried over."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from batch_assets.domain.batch import Batch
from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files, RequestSetLayout

#: Bytes of provider output decoded at a time.
_BLOCK = 256 * 1024


class CarriedLine(msgspec.Struct, kw_only=True):
    """A provider's line that answers a request of a later request set too."""

    #: Of the request, in the request set that it was carried over to.
    ordinal: int
    #: Digest of the request set that asked it, and the provider's id of the batch.
    request_set: str
    batch_id: str | None
    #: As it was returned, with the custom_id of the request set that asked it.
    line: msgspec.Raw


_decode = msgspec.json.Decoder(CarriedLine).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A file of the provider's, as it lies in the store."""

    path: str
    bytes: int
    lines: int


def encode_carried(line: CarriedLine) -> bytes | None:
    """The line as it is stored; None where the provider's is no JSON, however it was read."""
    stored = _encode(line)
    try:
        _decode(stored)
    except (msgspec.DecodeError, ValueError):
        return None
    return stored


def decode_carried(line: bytes) -> CarriedLine:
    """A line that was carried over. Raises ArtifactError where it is not what was written."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, ValueError) as error:
        raise ArtifactError(
            f"a line that was carried over is not what was written ({error}): restore the folder "
            "`carried` of its request set"
        ) from error


def raw_files(layout: RequestSetLayout, batch: Batch) -> list[str]:
    """What is stored of a collected batch's answers. One that is missing is no missing answer."""
    stored = (
        (batch.output_file_id, layout.raw_output(batch)),
        (batch.error_file_id, layout.raw_errors(batch)),
    )
    return [path for file_id, path in stored if file_id is not None]


def blocks(files: Files, path: str) -> Iterator[bytes]:
    """The file in blocks that end at a line's end: bytes are split at newlines and nowhere else."""
    rest = b""
    with files.open(path) as source:
        while block := source.read(_BLOCK):
            whole, newline, tail = block.rpartition(b"\n")
            if newline:
                yield rest + whole + newline
                rest = tail
            else:
                rest += block
    if rest:
        yield rest


def whole_lines(files: Files, path: str) -> Iterator[bytes]:
    """The file line by line, without their ends; blank ones are left out."""
    for block in blocks(files, path):
        for line in block.split(b"\n"):
            if line.strip():
                yield line
