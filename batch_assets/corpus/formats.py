"""Which format a file is written in and how it is packed, as the end of its name says."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["parquet", "csv", "tsv", "jsonl"]

#: As pyarrow names the codecs.
Compression = Literal["gzip", "bz2", "zstd", "lz4"]

_FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}

_COMPRESSIONS: dict[str, Compression] = {
    ".gz": "gzip",
    ".bz2": "bz2",
    ".zst": "zstd",
    ".lz4": "lz4",
}

#: What a file's name is made to say to a reader of error texts.
FORMAT_NAMES: dict[Format, str] = {
    "parquet": "Parquet",
    "csv": "CSV",
    "tsv": "TSV",
    "jsonl": "JSONL",
}


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What the end of a name says."""

    #: As it is written in the name; empty where it says nothing.
    text: str
    format: Format | None
    compression: Compression | None


def ending_of(name: str) -> Ending:
    """The ending of a file's name, in whatever case it is written."""
    stem, compression = name.lower(), None
    for end, packing in _COMPRESSIONS.items():
        if stem.endswith(end):
            stem, compression = stem.removesuffix(end), packing
    for end, format_ in _FORMATS.items():
        # Parquet packs its own pages.
        if stem.endswith(end) and not (compression and format_ == "parquet"):
            text = name[len(stem) - len(end) :]
            return Ending(text=text, format=format_, compression=compression)
    return Ending(text="", format=None, compression=compression)


def endings() -> list[str]:
    """Every ending that a name can have, in lower case."""
    packed = [
        end + packing
        for end, format_ in _FORMATS.items()
        if format_ != "parquet"
        for packing in _COMPRESSIONS
    ]
    return [*_FORMATS, *packed]
