"""Files that a corpus is made of, in every format and packing."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from batch_assets.corpus import FileCorpus, Rows
from batch_assets.corpus.partition_by import PartitionBy

CODECS = {"gz": "gzip", "bz2": "bz2", "zst": "zstd", "lz4": "lz4"}

#: Every ending that says how a file is written.
ENDINGS = ["parquet"] + [
    text + packing
    for text in ("csv", "tsv", "jsonl", "ndjson")
    for packing in ("", ".gz", ".bz2", ".zst", ".lz4")
]


def content_of(table: pa.Table, ending: str) -> bytes:
    """The table's rows as a file with the ending has them."""
    format_, _, packing = ending.partition(".")
    sink = pa.BufferOutputStream()
    if format_ == "parquet":
        pq.write_table(table, sink, row_group_size=10_000)
    elif format_ in ("csv", "tsv"):
        delimiter = "\t" if format_ == "tsv" else ","
        pa_csv.write_csv(table, sink, pa_csv.WriteOptions(delimiter=delimiter))
    else:
        sink.write(msgspec.json.Encoder().encode_lines(table.to_pylist()))
    content = sink.getvalue().to_pybytes()
    return packed(content, packing) if packing else content


def packed(content: bytes, packing: str) -> bytes:
    """The content compressed, as the ending says."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, CODECS[packing]) as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def cut(path: object, by: PartitionBy, **over: Any) -> FileCorpus:
    """A corpus of the files, with its partitions cut so."""
    return FileCorpus(path=str(path), item_id="id", partition_by=by, **over)


def written(path: Path, table: pa.Table) -> Path:
    """The table as a file, in folders of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    [ending] = re.findall(r"\.((?:parquet|csv|tsv|jsonl)(?:\.\w+)?)$", path.name)
    path.write_bytes(content_of(table, ending))
    return path


def ids(parts: Iterator[Rows]) -> list[str]:
    """The item ids of what is read."""
    return [item for part in parts for item in part.batch.column("id").to_pylist()]


def positions(parts: Iterator[Rows]) -> list[int]:
    """The positions of what is read."""
    return [position for part in parts for position in part.positions]


def numbers(rows: Iterable[int]) -> list[str]:
    """The ids that a_table gives these rows."""
    return [f"i-{row}" for row in rows]
