"""The store in a bucket, behind a server that speaks S3."""

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_assets.files import Files
from batch_assets.files.parquet import create_parquet, stream_parquet

LINES = 30_000
LINE = b"x" * 999 + b"\n"


@pytest.fixture
def files(bucket, monkeypatch) -> Files:
    monkeypatch.setitem(fsspec.config.conf, "s3", bucket.options)
    return Files(f"{bucket.url}/store")


@pytest.mark.timeout(60)
def test_lines_are_read_one_by_one_without_reading_their_block_again(files):
    """A file of fsspec's own reads a block for each line: 30,000 lines would be 900 GB."""
    files.write("shard.jsonl", LINE * LINES)

    with files.open("shard.jsonl") as source:
        lengths = {len(line) for line in source}
        assert (lengths, source.tell()) == ({1_000}, 1_000 * LINES)


def test_little_of_an_object_is_in_memory(files):
    """s3fs reads 50 MiB at a time where nobody tells it otherwise."""
    files.write("shard.jsonl", LINE * LINES)

    with files.open("shard.jsonl") as source:
        source.read(1)
        assert len(source.raw.cache.cache) <= 5 * 1024 * 1024


def test_an_object_is_read_from_any_place(files):
    files.write("shard.jsonl", b"".join(b"%09d\n" % number for number in range(1_000_000)))

    with files.open("shard.jsonl") as source:
        for number in (999_999, 0, 500_000, 123_456):
            source.seek(10 * number)
            assert source.readline() == b"%09d\n" % number


def test_a_table_goes_there_and_comes_back(files):
    table = pa.table({"text": [f"row {row}" * 20 for row in range(50_000)]})

    with create_parquet(files, "a/b/table.parquet", table.schema) as sink:
        for batch in table.to_batches(max_chunksize=1_000):
            sink.write(batch)

    assert pa.Table.from_batches(stream_parquet(files, "a/b/table.parquet")).equals(table)
    with files.open("a/b/table.parquet") as source:
        assert pq.read_table(source).equals(table)
    assert files.checksum("a/b/table.parquet") == sink.written
    assert files.names("a/b") == ["a/b/table.parquet"]
