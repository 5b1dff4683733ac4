"""A corpus in a bucket, behind a server that speaks S3."""

import json
import re
import secrets

import fsspec
import pyarrow as pa
import pytest
from corpus_files import content_of, ids, numbers, positions
from factories import a_table
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from batch_assets.corpus import ByColumn, ByRows, Discovered, FileCorpus
from batch_assets.domain.errors import CorpusError
from batch_assets.files import Files
from batch_assets.files.layout import results_path

#: As many as no list call of S3 gives at once.
PAGES = 3_500


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz", "tsv", "jsonl", "jsonl.zst"])
def test_fifty_thousand_rows_come_out_as_they_went_in(bucket, ending):
    table = a_table(50_000, text=[f'{row} "quoted",\n' for row in range(50_000)])
    bucket.put(f"corpus/p.{ending}", content_of(table, ending))

    found = bucket.corpus("corpus")
    read = list(found.read("p", ["text", "id"]))

    assert found.partition_keys() == ["p"]
    assert pa.Table.from_batches(part.batch for part in read).equals(table.select(["text", "id"]))
    assert positions(read) == list(range(50_000))
    assert {part.source_ref for part in read} == {f"{bucket.url}/corpus/p.{ending}"}


@pytest.mark.parametrize("path", ["", "*.csv", "**", "a.csv"])
def test_a_path_stands_for_the_same_files_as_on_disk(bucket, path):
    bucket.put("a.csv", content_of(a_table(3), "csv"))

    found = bucket.corpus(path)

    assert found.partition_keys() == ["a"]
    assert ids(found.read("a", ["id"])) == numbers(range(3))


def test_what_fsspec_is_configured_with_is_enough(bucket, monkeypatch):
    monkeypatch.setitem(fsspec.config.conf, "s3", bucket.options)
    bucket.put("a.csv", content_of(a_table(3), "csv"))

    found = FileCorpus(path=bucket.url, item_id="id")

    assert ids(found.read("a", ["id"])) == numbers(range(3))


def test_an_error_does_not_show_what_the_bucket_is_opened_with(bucket):
    found = bucket.corpus("nothing", partition_by=ByRows(10))

    with pytest.raises(CorpusError, match="no such file") as refused:
        found.partition_keys()

    assert "secret" not in refused.value.message
    assert "endpoint_url" not in repr(found)


def test_a_bucket_that_is_not_there_is_named(bucket):
    with pytest.raises(CorpusError, match="s3://b-nowhere/: no such file"):
        FileCorpus(
            path="s3://b-nowhere/", item_id="id", storage_options=bucket.options
        ).partition_keys()


@pytest.mark.parametrize("pattern", ["", "**/*.jsonl"])
def test_a_file_is_found_by_its_key_without_listing_the_others(bucket, pattern, caplog):
    for name in ("a", "b", "c", "deeper/a"):
        bucket.put(f"corpus/{name}.jsonl", b'{"id": "%b"}' % name.encode())
    found = bucket.corpus(f"corpus/{pattern}", partition_by=Discovered())

    with caplog.at_level("INFO", "werkzeug"):
        assert ids(found.read("a", ["id"])) == ["a"]

    listed = [line for line in caplog.messages if "list-type=2" in line]
    # Whether the path is a folder is known by one name below it.
    several = [line for line in listed if "max-keys=1&" not in line]
    assert [re.findall(r"prefix=([^&]*)", line) for line in several] == [["corpus/a"]]


def test_thousands_of_files_are_listed_to_the_last(bucket):
    # Through the server they would take longer than all other tests here together.
    store = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for number in range(PAGES):
        name = bucket.url.removeprefix("s3://")
        store.put_object(name, f"corpus/{number:05}.jsonl", b'{"id": "1"}')

    found = bucket.corpus("corpus", partition_by=Discovered())

    assert found.partition_keys() == [f"{number:05}" for number in range(PAGES)]


NAMES = [
    "a b",
    "a+b",
    "100%",
    "a%20b",
    "ü/ñ 👩‍👩‍👧",
    "a.b.c",
    "a&b=c",
    "a#b",
    "[a]",
    "a*b",
    "a?b",
    "a;b,c",
    "'a'",
    '"a"',
    "a|b",
    "a\\b",
    "x" * 180,
    "deep/er/and/deeper",
    "key=value/a",
    "a.csv",
    "~",
    "-a",
]


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_a_file_of_any_name_is_read_by_its_key_and_its_artifacts_lie_apart(
    where, bucket, tmp_path, monkeypatch
):
    monkeypatch.setitem(fsspec.config.conf, "s3", bucket.options)
    root = bucket.url if where == "bucket" else str(tmp_path)
    filesystem, path = fsspec.core.url_to_fs(root)
    for name in NAMES:
        filesystem.makedirs(f"{path}/corpus/{name}".rpartition("/")[0], exist_ok=True)
        filesystem.pipe_file(f"{path}/corpus/{name}.jsonl", json.dumps({"id": name}).encode())
    found = FileCorpus(path=f"{root}/corpus/**/*.jsonl", item_id="id")
    files = Files(f"{root}/store")

    keys = found.partition_keys()
    for key in keys:
        files.write(results_path("words", key), key.encode())

    assert keys == sorted(NAMES)
    assert [ids(found.read(key, ["id"])) for key in keys] == [[key] for key in keys]
    assert [files.read(results_path("words", key)).decode() for key in keys] == keys


def test_partitions_of_several_files_are_cut_as_on_disk(bucket):
    langs = ["de", "en"] * 5_000
    for key in "ab":
        bucket.put(f"{key}.parquet", content_of(a_table(10_000, lang=langs), "parquet"))

    by_rows = bucket.corpus("*.parquet", partition_by=ByRows(4_000))
    by_column = bucket.corpus("*.parquet", partition_by=ByColumn("lang", ("de", "en")))

    assert by_rows.partition_keys()[2:4] == ["a/part-00002", "b/part-00000"]
    assert positions(by_rows.read("a/part-00002", ["id"])) == list(range(8_000, 10_000))
    assert positions(by_column.read("en", ["id"])) == list(range(1, 10_000, 2)) * 2


def test_a_file_that_comes_later_is_seen(bucket):
    bucket.put("a.csv", b"id\n1\n")
    found = bucket.corpus()
    found.partition_keys()

    bucket.put("b.csv", b"id\n2\n")

    assert found.partition_keys() == ["a", "b"]
    assert ids(found.read("b", ["id"])) == ["2"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_file_that_is_replaced_while_it_is_read_is_refused(bucket, ending):
    """Half of it would be of the old content and half of the new."""
    texts = [secrets.token_hex(500) for _ in range(30_000)]
    content = content_of(a_table(30_000, text=texts), ending)
    bucket.put(f"p.{ending}", content)
    parts = bucket.corpus().read("p", ["id", "text"])
    next(parts)

    bucket.put(f"p.{ending}", content.replace(b"word", b"ward"))

    with pytest.raises(
        CorpusError, match=rf"p\.{ending}, at row \d+ or after it: the file changed"
    ):
        list(parts)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_file_that_vanishes_is_missed_by_its_name(bucket, ending):
    bucket.put(f"p.{ending}", content_of(a_table(3), ending))
    found = bucket.corpus(f"p.{ending}")
    found.partition_keys()

    bucket.elsewhere().rm_file(f"{bucket.url}/p.{ending}")

    with pytest.raises(CorpusError, match=rf"p\.{ending}: no such file|has no file"):
        list(found.read("p", ["id"]))
