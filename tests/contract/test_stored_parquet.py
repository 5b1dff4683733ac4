"""Parquet and manifests in the store: what goes in comes out, and damage is told from data."""

import random
from dataclasses import replace
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import a_shard, a_table

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.request import RequestSetDigest
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.files.manifest import (
    FORMAT,
    Manifest,
    read_manifest,
    read_shards,
    write_manifest,
    write_shards,
)
from batch_assets.files.parquet import BATCH_ROWS, ParquetSink, create_parquet, stream_parquet

PATH = "words/items.parquet"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path))


def stored(
    files: Files, table: pa.Table, rows: int = 1_000, schema: pa.Schema | None = None
) -> ParquetSink:
    """Writes the table in batches of so many rows."""
    with create_parquet(files, PATH, schema or table.schema) as sink:
        for batch in table.to_batches(max_chunksize=rows):
            sink.write(batch)
    return sink


def read(files: Files, schema: pa.Schema, **options: object) -> pa.Table:
    return pa.Table.from_batches(stream_parquet(files, PATH, **options), schema)


def a_manifest(**over: object) -> Manifest:
    facts = {
        "inference": "words",
        "partition_key": "p é/…",
        "digest": RequestSetDigest("d" * 64),
        "shape_digest": "s" * 64,
        "endpoint": "/v1/chat/completions",
        "model": "gpt-5-mini",
        "source_ref": "corpus/p.parquet",
        "items": 20,
        "requests": 20,
        "duplicates": 0,
        "oversize": 0,
        "tokens": 200,
        "token_method": "sampled",
        "items_sha256": "0" * 64,
        "limits": Limits(requests=10, bytes=1_000),
        "shards": (a_shard(0), a_shard(1)),
    }
    return Manifest(**facts | over)


@pytest.mark.parametrize("rows", [1, 7, 1_000])
def test_rows_come_back_in_their_order_however_they_were_cut(files, rows):
    table = a_table(2_500)

    sink = stored(files, table, rows)

    assert read(files, table.schema) == table
    assert sink.rows == table.num_rows
    assert sink.written == files.checksum(PATH)


def test_rows_are_streamed_in_small_batches_from_row_groups_of_a_useful_size(files):
    table = a_table(40_000)
    stored(files, table)

    assert max(batch.num_rows for batch in stream_parquet(files, PATH)) <= BATCH_ROWS
    with files.open(PATH) as source:
        assert pq.ParquetFile(source).num_row_groups == 3


def test_types_come_back_as_they_were(files):
    table = pa.table(
        {
            "text": pa.array(["é", None], pa.large_string()),
            "when": pa.array([0, None], pa.timestamp("us", tz="UTC")),
            "fingerprint": pa.array([b"0" * 16, None], pa.binary(16)),
            "parts": pa.array([[{"n": 1}], None], pa.list_(pa.struct([("n", pa.int64())]))),
        }
    )
    stored(files, table)

    assert read(files, table.schema).equals(table)
    assert next(stream_parquet(files, PATH)).schema.equals(table.schema)


def test_a_file_without_rows_has_its_columns(files):
    stored(files, a_table(0))

    assert list(stream_parquet(files, PATH)) == []
    with files.open(PATH) as source:
        assert pq.read_schema(source).names == ["id", "word"]


def test_columns_that_are_not_asked_for_are_not_read(files):
    stored(files, a_table(3))

    [batch] = stream_parquet(files, PATH, columns=["word"])

    assert batch.column_names == ["word"]


def test_a_parquet_file_whose_writer_fails_is_not_there(files):
    schema = pa.schema([("id", pa.int64())])

    with pytest.raises(pa.ArrowException):
        stored(files, a_table(1), schema=schema)

    assert not files.exists(PATH)


def test_a_missing_parquet_file_is_named(files):
    with pytest.raises(ArtifactError, match=r"items\.parquet is missing from the store"):
        next(stream_parquet(files, PATH))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"PAR1",
        lambda content: b"garbage" * 1_000,
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content[:4] + b"\0" * (len(content) - 12) + content[-8:],
    ],
    ids=["empty", "magic", "garbage", "one byte short", "half", "zeros"],
)
def test_a_damaged_parquet_file_is_named_with_a_way_out(files, damage):
    table = a_table(100)
    stored(files, table)
    files.write(PATH, damage(files.read(PATH)))

    with pytest.raises(ArtifactError, match=r"items\.parquet is not the Parquet .* restore it"):
        read(files, table.schema)


def test_one_flipped_bit_never_passes_for_data(files):
    """Compression alone lets most of them through; page checksums do not."""
    table = a_table(2_000)
    stored(files, table)
    content = files.read(PATH)
    chance = random.Random(20)

    for _ in range(200):
        damaged = bytearray(content)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        files.write(PATH, bytes(damaged))
        try:
            assert read(files, table.schema) == table
        except ArtifactError:
            continue


def test_a_manifest_comes_back_as_it_was(files):
    write_manifest(files, "manifest.json", a_manifest())

    assert read_manifest(files, "manifest.json") == a_manifest()


def test_a_person_can_read_a_manifest(files):
    write_manifest(files, "manifest.json", a_manifest())

    assert files.read("manifest.json").decode().splitlines()[1:3] == [
        '  "inference": "words",',
        '  "partition_key": "p é/…",',
    ]


def test_the_shards_of_a_wave_come_back_in_their_order(files):
    shards = tuple(a_shard(number, wave=2) for number in range(3))
    write_shards(files, "wave-2.json", shards)

    assert read_shards(files, "wave-2.json") == shards


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-10],
        lambda content: b"null",
        lambda content: b"[" * 100_000,
        lambda content: content.replace(b'"items": 20', b'"items": "20"'),
        lambda content: content.replace(b'"items"', b'"itens"'),
        lambda content: content.replace("é".encode(), b"\xff"),
        lambda content: content.replace(b'"bytes": 1000', b'"bytes": 0'),
    ],
    ids=["empty", "cut", "null", "nested", "type", "name", "not UTF-8", "no limit"],
)
def test_a_damaged_manifest_is_named_with_a_way_out(files, damage):
    write_manifest(files, "manifest.json", a_manifest())
    files.write("manifest.json", damage(files.read("manifest.json")))

    with pytest.raises(ArtifactError, match=r"manifest\.json is not what was stored .* restore it"):
        read_manifest(files, "manifest.json")


def test_a_manifest_of_a_newer_format_is_not_guessed_at(files):
    newer = replace(a_manifest(), format=FORMAT + 1)
    files.write("manifest.json", msgspec.json.encode(newer))

    with pytest.raises(ArtifactError, match=f"has format {FORMAT + 1}.* upgrade batch-assets"):
        read_manifest(files, "manifest.json")
