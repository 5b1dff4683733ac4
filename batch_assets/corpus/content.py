"""The content of columns as a digest, whatever batches the file cuts them into."""

import hashlib
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ColumnDigest:
    """Digest of one column's values in order.

    Lengths and bytes are hashed apart, so that moving a character to the next value is a change.
    """

    def __init__(self) -> None:
        self._lengths = hashlib.sha256()
        self._bytes = hashlib.sha256()

    def update(self, column: pa.Array) -> None:
        """Take in the next batch's values."""
        values = as_text(column)
        lengths = pc.fill_null(pc.cast(pc.binary_length(values), pa.int64()), -1)
        self._lengths.update(lengths.to_numpy(zero_copy_only=False).tobytes())
        filled = pc.fill_null(values, "")
        _, offsets, content = filled.buffers()
        if content is not None:
            ends = np.frombuffer(offsets, dtype=np.int64)[filled.offset :][: len(filled) + 1]
            self._bytes.update(memoryview(content)[int(ends[0]) : int(ends[-1])])

    def hexdigest(self) -> str:
        """Hex sha256 over both."""
        return hashlib.sha256(self._lengths.digest() + self._bytes.digest()).hexdigest()


def as_text(column: pa.Array) -> pa.Array:
    """Any column as large_string; values without a text form of their own as JSON."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type) or _is_binary(column.type):
        texts = [_json(value) for value in column.to_pylist()]
        return pa.array(texts, pa.large_string())
    return pc.cast(column, pa.large_string())


def _is_binary(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
    )


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
