"""Where items come from: the files a corpus stands for, and what is said of those that are bad."""

import os
import secrets
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import a_corpus, a_table
from fsspec.implementations.memory import MemoryFileSystem

from batch_assets.corpus import FileCorpus
from batch_assets.domain.errors import CorpusError


class Remembering(MemoryFileSystem):
    """Keeps its listings, as the filesystems of object stores do."""

    protocol = "remembering"

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        path = self._strip_protocol(path)
        found = self._ls_from_cache(path)
        if found is None:
            found = super().ls(path, detail=True)
            self.dircache[path] = found
        return found if detail else [entry["name"] for entry in found]


fsspec.register_implementation("remembering", Remembering, clobber=True)


class Forbidden(MemoryFileSystem):
    """Says of nothing what is in it."""

    protocol = "forbidden"

    def isdir(self, path: str) -> bool:
        return True

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        raise PermissionError("access denied")


fsspec.register_implementation("forbidden", Forbidden, clobber=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two partitions, `a` and `b`."""
    a_corpus(tmp_path / "corpus", key="a")
    a_corpus(tmp_path / "corpus", key="b")
    return tmp_path / "corpus"


@pytest.fixture
def bucket() -> Iterator[str]:
    url = f"remembering://{secrets.token_hex(4)}"
    put(url, "a")
    yield url
    filesystem, path = fsspec.core.url_to_fs(url)
    filesystem.rm(path, recursive=True)


def put(url: str, key: str) -> None:
    """Another process puts a file there."""
    elsewhere = Remembering(skip_instance_cache=True)
    with elsewhere.open(f"{url}/{key}.parquet", "wb") as sink:
        pq.write_table(a_table(3), sink)


def corpus(path: object) -> FileCorpus:
    return FileCorpus(path=str(path), item_id="id")


def rows(corpus: FileCorpus, key: str, *columns: str) -> pa.Table:
    return pa.Table.from_batches(part.batch for part in corpus.read(key, columns or ["id"]))


def test_each_file_of_a_folder_is_a_partition_named_like_it(folder):
    assert corpus(folder).partition_keys() == ["a", "b"]


def test_what_is_no_visible_file_of_a_known_format_is_no_partition(folder):
    for name in (".a.parquet", "notes.txt", "c.parquet.crc", "d.json", "e.gz"):
        (folder / name).write_bytes(b"")
    (folder / "spark.parquet").mkdir()

    assert corpus(folder).partition_keys() == ["a", "b"]


def test_a_link_to_a_file_is_a_partition_and_a_link_to_a_folder_is_none(folder):
    """Stores of versioned data lay their files out as links."""
    (folder / "c.parquet").symlink_to(folder / "a.parquet")
    (folder / "d.parquet").symlink_to(folder.parent)

    assert corpus(folder).partition_keys() == ["a", "b", "c"]
    assert corpus(folder / "*.parquet").partition_keys() == ["a", "b", "c"]
    assert rows(corpus(folder), "c").num_rows == 3


@pytest.mark.parametrize("look", ["schema", "read"])
def test_a_link_that_leads_nowhere_is_missed_by_its_name(folder, look):
    (folder / "c.parquet").symlink_to(folder / "gone")

    with pytest.raises(CorpusError, match=r"c\.parquet is gone: put it back"):
        corpus(folder).schema("c") if look == "schema" else rows(corpus(folder), "c")


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("*.parquet", ["a", "b"]),
        ("?.parquet", ["a", "b"]),
        ("[a].parquet", ["a"]),
        ("[!a].parquet", ["b"]),
        ("{}/a.parquet", ["a"]),
    ],
)
def test_a_pattern_stands_for_the_files_it_matches(folder, pattern, keys):
    assert corpus(folder / pattern.format("../corpus")).partition_keys() == keys


def test_a_pattern_reaches_into_folders(folder):
    """The folders below its fixed part are part of the key."""
    a_corpus(folder / "2026" / "may", key="a")

    assert corpus(folder / "**" / "*.parquet").partition_keys() == ["2026/may/a", "a", "b"]
    assert corpus(folder.parent / "*" / "*.parquet").partition_keys() == ["corpus/a", "corpus/b"]


def test_one_file_is_one_partition_whatever_its_ending(folder):
    (folder / "a.parquet").rename(folder / "a.pq")

    assert corpus(folder / "a.pq").partition_keys() == ["a.pq"]
    assert corpus(folder / "b.parquet").partition_keys() == ["b"]


@pytest.mark.parametrize("name", ["c[1]", "c?", "c*"])
def test_a_name_that_looks_like_a_pattern_is_a_name_where_it_exists(tmp_path, name):
    a_corpus(tmp_path / name, key="x[1]")

    assert corpus(tmp_path / name).partition_keys() == ["x[1]"]
    assert rows(corpus(tmp_path / name / "x[1].parquet"), "x[1]").num_rows == 3


@pytest.mark.parametrize("form", ["{}", "{}/", "{}/*.parquet", "{}/a.parquet"])
def test_a_corpus_behind_a_url_is_read_like_a_local_one(bucket, form):
    remote = corpus(form.format(bucket))

    assert remote.partition_keys() == ["a"]
    assert rows(remote, "a", "word")["word"].to_pylist() == ["word 0", "word 1", "word 2"]
    with fsspec.open(remote.source_ref("a"), "rb") as source:
        assert pq.read_table(source).num_rows == 3


def test_a_corpus_inside_an_archive_is_read_through_the_chain_of_its_url(folder):
    archive = folder.parent / "corpus.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(folder / "a.parquet", "a.parquet")

    assert rows(corpus(f"zip://*.parquet::{archive}"), "a").num_rows == 3


def test_a_file_that_comes_later_is_seen_though_the_filesystem_keeps_its_listings(bucket):
    remote = corpus(bucket)
    remote.partition_keys()

    put(bucket, "b")

    assert remote.partition_keys() == ["a", "b"]


def test_a_relative_path_begins_at_the_working_directory(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)

    assert corpus("corpus").source_ref("a") == str(folder / "a.parquet")


@pytest.mark.parametrize("path", ["nowhere", "nowhere/*.parquet", "corpus/c.parquet", "empty"])
def test_a_path_without_files_is_named_with_a_way_out(folder, path):
    (folder.parent / "empty").mkdir()

    with pytest.raises(CorpusError, match="no such file, and no folder or pattern with files"):
        corpus(folder.parent / path).partition_keys()


def test_a_kind_of_url_that_nobody_knows_is_named():
    with pytest.raises(CorpusError, match="nosuch://bucket cannot be opened"):
        corpus("nosuch://bucket").partition_keys()


@pytest.mark.parametrize("look", ["partition_keys", "source_ref"])
def test_a_folder_that_may_not_be_read_is_named_with_a_way_out(look):
    found = corpus("forbidden://corpus")

    with pytest.raises(CorpusError, match="cannot be listed: access denied; check that you may"):
        found.source_ref("a") if look == "source_ref" else found.partition_keys()


def test_two_files_of_one_name_are_both_named(folder):
    (folder / "a.csv").write_text("id\n1\n")

    with pytest.raises(CorpusError) as refused:
        corpus(folder).partition_keys()

    assert str(folder / "a.parquet") in refused.value.message
    assert str(folder / "a.csv") in refused.value.message
    assert refused.value.message.endswith("would both be partition 'a': rename one of the files")


def test_a_file_whose_name_is_no_text_is_named(folder):
    (folder / os.fsdecode(b"caf\xe9.parquet")).write_bytes(b"")

    with pytest.raises(CorpusError, match=r"caf\\udce9\.parquet.* rename the file"):
        corpus(folder).partition_keys()


@pytest.mark.parametrize("look", ["source_ref", "schema"])
def test_a_file_that_was_renamed_away_is_missed_by_its_name(folder, look):
    found = corpus(folder)
    (folder / "a.parquet").rename(folder / "c.parquet")

    with pytest.raises(CorpusError, match="has no file for partition a: put it back"):
        getattr(found, look)("a")


def test_a_file_that_is_renamed_away_while_it_is_looked_for_is_missed_by_its_name(folder):
    found = corpus(folder)
    batches = found.read("a", ["id"])
    (folder / "a.parquet").unlink()

    with pytest.raises(CorpusError, match="has no file for partition a: put it back"):
        next(batches)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no bytes": lambda content: b"",
    "garbage": lambda content: b"garbage" * 100,
    "text": lambda content: b"id,word\n1,a\n",
    "cut": lambda content: content[:-20],
    "zeros": lambda content: content[:4] + b"\0" * (len(content) - 12) + content[-8:],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("look", ["schema", "read"])
def test_a_damaged_file_is_named_with_a_way_out(folder, damage, look):
    path = folder / "a.parquet"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))

    with pytest.raises(CorpusError) as refused:
        corpus(folder).schema("a") if look == "schema" else rows(corpus(folder), "a")

    assert refused.value.message.startswith(f"{path}, at row 0 or after it: not readable as Parq")
    assert refused.value.message.endswith("write the file again, or take it out of the corpus")
    assert "\n" not in refused.value.message


def test_damage_further_on_is_named_by_the_row_it_comes_after(tmp_path):
    found = a_corpus(tmp_path, a_table(5_000))
    pq.write_table(a_table(5_000), tmp_path / "p.parquet", row_group_size=1_000, compression="zstd")
    content = bytearray((tmp_path / "p.parquet").read_bytes())
    group = pq.read_metadata(tmp_path / "p.parquet").row_group(3).column(0)
    content[group.data_page_offset : group.data_page_offset + 40] = b"\xff" * 40
    (tmp_path / "p.parquet").write_bytes(content)

    with pytest.raises(CorpusError, match="at row 2048 or after it"):
        rows(found, "p")


def test_bytes_that_are_no_text_are_named_by_their_row_and_column(tmp_path):
    """Parquet lets them pass as text, and a prompt could not be sent."""
    offsets, content = pa.py_buffer(bytes(4) + b"\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")
    words = pa.Array.from_buffers(pa.string(), 2, [None, offsets, content])
    found = a_corpus(tmp_path, pa.table({"id": ["1", "2"], "word": words}))

    with pytest.raises(CorpusError, match=r"row 1, column 'word': .*no UTF-8"):
        rows(found, "p", "word")


def test_the_schema_is_the_files(folder):
    assert corpus(folder).schema("a") == a_table().schema


def test_columns_come_in_the_order_they_are_asked_for_and_alone(tmp_path):
    found = a_corpus(tmp_path, pa.table({"a": [1], "b": [2], "id": [3]}))

    assert rows(found, "p", "id", "a").column_names == ["id", "a"]
    assert rows(found, "p", "b", "id").to_pylist() == [{"b": 2, "id": 3}]


@pytest.mark.parametrize("name", ["two words", "a.b", "ünï", "select", "1st", "{{ x }}"])
def test_a_column_may_have_any_name(tmp_path, name):
    found = a_corpus(tmp_path, pa.table({"a": ["other"], name: ["value"], "b": [["list"]]}))

    assert rows(found, "p", name, "b").to_pylist() == [{name: "value", "b": ["list"]}]


def test_a_column_is_not_taken_for_a_part_of_another(tmp_path):
    """To Parquet `a.b` is also the `b` of a struct `a`."""
    found = a_corpus(tmp_path, pa.table({"a": [{"b": 1, "c": 2}], "a.b": [3]}))

    assert rows(found, "p", "a.b").to_pylist() == [{"a.b": 3}]


def test_a_column_that_is_gone_is_named_beside_those_that_are_there(folder):
    with pytest.raises(CorpusError, match="has a column 'gloss'; its columns are id, word"):
        rows(corpus(folder), "a", "gloss")


def test_two_columns_of_one_name_cannot_be_told_apart(tmp_path):
    found = a_corpus(tmp_path, pa.table([["1"], ["2"]], names=["id", "id"]))

    with pytest.raises(CorpusError, match="has 2 columns named 'id'"):
        rows(found, "p")


@pytest.mark.parametrize("group", [1, 999, 100_000])
def test_rows_come_in_the_files_order_in_small_batches(tmp_path, group):
    table = a_table(3_000)
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=group)

    batches = [part.batch for part in corpus(tmp_path).read("p", ["id"])]

    assert pa.Table.from_batches(batches)["id"].to_pylist() == table["id"].to_pylist()
    assert max(batch.num_rows for batch in batches) <= 1_024


def test_a_file_without_rows_has_no_batches(tmp_path):
    found = a_corpus(tmp_path, a_table(0))

    assert list(found.read("p", ["id"])) == []


def test_a_reader_that_stops_early_closes_the_file(folder):
    batches = corpus(folder).read("a", ["id"])
    next(batches)

    batches.close()

    assert rows(corpus(folder), "a").num_rows == 3
