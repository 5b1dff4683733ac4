"""The content of columns as a digest, whatever batches the file cuts them into."""

import hashlib
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ColumnDigest:
    """Digest of one column's values in order, and of what kind of values they are.

    Lengths and bytes are hashed apart, so that moving a character to the next value is a change.
    The kind counts, since a prompt prints the number 1, the number 1.0 and the text "1" each in
    its own way.
    """

    def __init__(self) -> None:
        self._kind = ""
        self._lengths = hashlib.sha256()
        self._bytes = hashlib.sha256()

    def update(self, column: pa.Array) -> None:
        """Take in the next batch's values."""
        self._kind = _kind_of(column.type)
        values = as_text(column)
        lengths = pc.fill_null(pc.cast(pc.binary_length(values), pa.int64()), -1)
        self._lengths.update(lengths.to_numpy(zero_copy_only=False).tobytes())
        filled = pc.fill_null(values, "")
        _, offsets, content = filled.buffers()
        if content is not None:
            ends = np.frombuffer(offsets, dtype=np.int64)[filled.offset :][: len(filled) + 1]
            self._bytes.update(memoryview(content)[int(ends[0]) : int(ends[-1])])

    def hexdigest(self) -> str:
        """Hex sha256 over all three."""
        parts = (self._kind.encode(), self._lengths.digest(), self._bytes.digest())
        return hashlib.sha256(b"".join(parts)).hexdigest()


def as_text(column: pa.Array) -> pa.Array:
    """Any column as large_string; values without a text form of their own as JSON."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not _is_spelled_out(column.type):
        try:
            texts = pc.cast(column, pa.large_string())
            return _in_microseconds(texts) if _is_nanoseconds(column.type) else texts
        except pa.ArrowNotImplementedError:
            pass
    spell = str if isinstance(column.type, pa.BaseExtensionType) else _spelled_out
    spelled = [None if value is None else spell(value) for value in column.to_pylist()]
    return pa.array(spelled, pa.large_string())


def _is_nanoseconds(type_: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(type_)) and type_.unit == "ns"


def _in_microseconds(texts: pa.Array) -> pa.Array:
    """Times as other units have them, where nothing is lost."""
    return pc.replace_substring_regex(texts, r"(\.[0-9]{6})000", r"\1")


def _kind_of(type_: pa.DataType) -> str:
    """The type, as far as it decides how Python prints a value."""
    types = pa.types
    if types.is_dictionary(type_):
        return _kind_of(type_.value_type)
    if type_ in (pa.string(), pa.large_string(), pa.string_view()):
        return "text"
    if types.is_integer(type_):
        return "integer"
    if types.is_decimal(type_):
        return "decimal"
    if types.is_timestamp(type_):
        return f"timestamp {type_.tz}"
    if types.is_struct(type_):
        return f"struct<{', '.join(f'{field.name}: {_kind_of(field.type)}' for field in type_)}>"
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return f"list<{_kind_of(type_.value_type)}>"
    return "binary" if _is_binary(type_) else str(type_)


def _is_spelled_out(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_nested(type_) or _is_binary(type_) or isinstance(type_, pa.BaseExtensionType)
    )


def _is_binary(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
        or pa.types.is_binary_view(type_)
    )


def _spelled_out(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
