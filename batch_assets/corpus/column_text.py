"""Columns of any type as text."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


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
