"""Peak memory and CPU time of reading a partition, and of preparing it, for every kind of source.

Each figure comes from a process of its own. `python -m benchmarks.corpora` prints a table;
`python -m benchmarks.corpora --rows 10000 500000 --kinds csv jsonl` one of these sizes and kinds.
The kinds that begin with s3 need moto's server.
"""

import argparse
import json
import logging
import multiprocessing
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from batch_assets import Inference, Prompt
from batch_assets.corpus import ByColumn, ByRows, Corpus, FileCorpus
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.composite import CompositeCorpus
from batch_assets.corpus.request_files import RequestFileCorpus
from batch_assets.corpus.sql import SqlCorpus
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.stages.prepare import prepare

KINDS = [
    "parquet",
    "csv",
    "csv.gz",
    "jsonl",
    "jsonl.zst",
    "parquet by rows",
    "jsonl by rows",
    "parquet by column",
    "parquet repeated",
    "sql",
    "composite",
    "asset table",
    "asset dataset",
    "asset pandas",
    "asset polars",
    "asset polars lazy",
    "request files",
    "s3 parquet",
    "s3 csv",
    "s3 csv.gz",
    "s3 jsonl",
]
#: Half of the fewest rows, so that a row group of half a source is as large as one of a whole one.
BLOCK = 5_000
URL = "/v1/chat/completions"
COLUMNS = ["id", "title", "text"]
TEXT = 'A tall perennial herb of the tropics, "cultivated" for its edible root; ünïcode,\n{{ x }} '


def blocks(rows: range, asked: int = 1) -> Iterator[pa.Table]:
    """Rows of about 400 characters, of which a third is in columns that nobody asks for.

    `asked` is how many rows have the same title and text.
    """
    for start in range(rows.start, rows.stop, BLOCK):
        numbers = range(start, min(start + BLOCK, rows.stop))
        yield pa.table(
            {
                "id": [f"item-{number:07}" for number in numbers],
                "title": [f"title {number // asked}" for number in numbers],
                "text": [TEXT * (1 + number // asked % 5) for number in numbers],
                "kind": ["abcd"[number % 4] for number in numbers],
                "unread": ["x" * 120 for _ in numbers],
            }
        )


def write(folder: Path, kind: str, rows: int) -> None:
    """The source of a kind, as files in the folder."""
    written = kind.removeprefix("s3 ").split(" ")[0]
    every = range(rows)
    if written == "sql":
        _write_sqlite(folder / "all.db", every)
    elif written == "asset":
        _write_file(folder / "all.parquet", "parquet", every)
    elif written == "request":
        _write_requests(folder / "all.jsonl", every)
    elif written == "composite":
        _write_file(folder / "one.parquet", "parquet", every[: rows // 2])
        _write_file(folder / "two.jsonl", "jsonl", every[rows // 2 :])
    else:
        asked = 2 if kind.endswith("repeated") else 1
        _write_file(folder / f"all.{written}", written, every, asked)


def _write_file(path: Path, ending: str, rows: range, asked: int = 1) -> None:
    form, _, packing = ending.partition(".")
    codec = {"gz": "gzip", "zst": "zstd"}.get(packing)
    with pa.OSFile(str(path), "wb") as file:
        sink = pa.CompressedOutputStream(file, codec) if codec else file
        schema = next(blocks(range(1))).schema
        if form == "parquet":
            with pq.ParquetWriter(sink, schema) as writer:
                for block in blocks(rows, asked):
                    writer.write_table(block)
        elif form == "csv":
            with pa_csv.CSVWriter(sink, schema) as writer:
                for block in blocks(rows, asked):
                    writer.write_table(block)
        else:
            for block in blocks(rows, asked):
                sink.write(msgspec.json.Encoder().encode_lines(block.to_pylist()))
        if codec:
            sink.close()


def _write_requests(path: Path, rows: range) -> None:
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for block in blocks(rows):
            for row in block.to_pylist():
                message = {"role": "user", "content": f"Title: {row['title']}\nText: {row['text']}"}
                body = {"model": "instant", "messages": [message]}
                line = {"custom_id": row["id"], "method": "POST", "url": URL, "body": body}
                file.write(encode(line) + b"\n")


def _write_sqlite(path: Path, rows: range) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE items (id PRIMARY KEY, title, text, kind, unread)")
    for block in blocks(rows):
        database.executemany(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?)",
            zip(*block.to_pydict().values(), strict=True),
        )
    database.commit()
    database.close()


def _dataset(path: str) -> Any:
    import pyarrow.dataset as pads

    return pads.dataset(path)


def _pandas(path: str) -> Any:
    import pandas as pd

    return pd.read_parquet(path)


def _polars(path: str) -> Any:
    import polars as pl

    return pl.read_parquet(path)


def _polars_lazy(path: str) -> Any:
    import polars as pl

    return pl.scan_parquet(path)


#: What an asset's IO manager gives. A table or a frame is in memory whole: that is the asset's own.
_LOADERS: dict[str, Callable[[str], Any]] = {
    "table": pq.read_table,
    "dataset": _dataset,
    "pandas": _pandas,
    "polars": _polars,
    "polars lazy": _polars_lazy,
}


def corpus_of(kind: str, place: str, options: dict[str, Any]) -> tuple[Corpus, str]:
    """The corpus of a kind, and the partition to read."""
    files: dict[str, Any] = {"item_id": "id", "storage_options": options}
    ending = kind.removeprefix("s3 ").split(" ")[0]
    path = f"{place}/all.{ending}"
    if kind == "sql":
        url = f"sqlite:///{place}/all.db"
        return SqlCorpus(url=url, query="SELECT * FROM items ORDER BY id", item_id="id"), "all"
    if kind == "request files":
        return RequestFileCorpus(path=f"{place}/all.jsonl"), "all"
    if kind.startswith("asset "):
        load = _LOADERS[kind.removeprefix("asset ")]
        asset = AssetCorpus(key="notes", item_id="id")
        return asset.bound(lambda _: load(f"{place}/all.parquet")), "all"
    if kind == "composite":
        sources = {
            "one": FileCorpus(path=f"{place}/one.parquet", item_id="id"),
            "two": FileCorpus(path=f"{place}/two.jsonl", item_id="id"),
        }
        return CompositeCorpus(sources=sources, item_id="id", partitions="all"), "all"
    if kind.endswith("by rows"):
        corpus = FileCorpus(path=path, partition_by=ByRows(10_000), **files)
        return corpus, corpus.partition_keys()[-1]
    if kind.endswith("by column"):
        return FileCorpus(path=path, partition_by=ByColumn("kind", ("b",)), **files), "b"
    return FileCorpus(path=path, **files), "all"


def read(kind: str, place: str, options: dict[str, Any]) -> int:
    """Read the partition once; the number of its rows."""
    corpus, key = corpus_of(kind, place, options)
    columns = corpus.schema(key).names if kind == "request files" else COLUMNS
    return sum(part.batch.num_rows for part in corpus.read(key, columns))


def prepared(kind: str, place: str, options: dict[str, Any]) -> int:
    """Make the partition's requests; the number of its rows."""
    corpus, key = corpus_of(kind, place, options)
    asked: dict[str, Any] = {
        "prompt": Prompt(system="Sort it.", user="Title: {{ title }}\nText: {{ text }}"),
        "model": "instant",
        "output": "batch_assets.defs.glosses.gloss_class:GlossClass",
    }
    if kind == "request files":
        asked = {}
    recipe = Inference(name="bench", corpus=corpus, **asked).recipe()
    with tempfile.TemporaryDirectory() as folder:
        limits = Limits(requests=50_000, bytes=200_000_000)
        return prepare(recipe, key, files=Files(folder), limits=limits).items


def measured(what: str, kind: str, place: str, options: dict[str, Any]) -> dict[str, float]:
    """Figures of one way of using one source, in this process."""
    base = peak_mb()
    start = time.process_time()
    rows = {"read": read, "prepare": prepared}[what](kind, place, options)
    seconds = time.process_time() - start
    return {"rows": rows, "seconds": seconds, "base_mb": base, "peak_mb": peak_mb()}


def peak_mb() -> int:
    """Peak resident memory of this process so far, in MB; what it was started from is not in it."""
    [found] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found) // 1024


def in_child(what: str, kind: str, place: str, options: dict[str, Any]) -> dict[str, float]:
    """The same in a process of its own."""
    arguments = json.dumps([what, kind, place, options])
    command = [sys.executable, "-m", "benchmarks.corpora", "--one", arguments]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(out)
    return found


@contextmanager
def placed(kind: str, rows: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The source of a kind, written elsewhere: where it is, and how it is reached."""
    with tempfile.TemporaryDirectory() as folder:
        writer = multiprocessing.get_context("spawn").Process(
            target=write, args=(Path(folder), kind, rows)
        )
        writer.start()
        writer.join()
        if not kind.startswith("s3 "):
            yield folder, {}
            return
        with in_bucket(Path(folder)) as found:
            yield found


@contextmanager
def in_bucket(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The folder's files in a bucket of a server that speaks S3."""
    # Only this needs them; they are no dependency of the package.
    import s3fs
    from moto.server import ThreadedMotoServer

    # The server's log of requests would stand between the figures.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"key": "k", "secret": "s", "endpoint_url": f"http://{host}:{port}"}
    filesystem = s3fs.S3FileSystem(**options, skip_instance_cache=True)
    # What a server of this process holds outlives it.
    bucket = f"s3://bench-{port}"
    filesystem.mkdir(bucket)
    for path in folder.iterdir():
        filesystem.put_file(str(path), f"{bucket}/{path.name}")
    yield bucket, options
    server.stop()


def main() -> None:
    """A table of all kinds and sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 500_000])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--what", nargs="+", choices=["read", "prepare"], default=["read"])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measured(*json.loads(chosen.one))))
        return
    heads = f"{'source':20}{'rows':>9}{'':>9}{'given':>9}"
    print(f"{heads}{'CPU us/row':>12}{'peak MB':>9}{'over base':>11}")
    for kind in chosen.kinds:
        for rows in chosen.rows:
            with placed(kind, rows) as (place, options):
                for what in chosen.what:
                    found = in_child(what, kind, place, options)
                    print(
                        f"{kind:20}{rows:9,}{what:>9}{found['rows']:9,}"
                        f"{found['seconds'] / rows * 1e6:12.2f}{found['peak_mb']:9}"
                        f"{found['peak_mb'] - found['base_mb']:11}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
