"""What the store promises of bytes, in a local folder and behind a URL."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pyarrow.dataset as ds
import pytest
from factories import a_table

from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files, Written
from batch_assets.files.parquet import create_parquet


@pytest.fixture(params=["local", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path / "store")
        return
    root = f"memory://{secrets.token_hex(4)}"
    yield root
    filesystem, path = fsspec.core.url_to_fs(root)
    if filesystem.exists(path):
        filesystem.rm(path, recursive=True)


@pytest.fixture
def files(root: str) -> Files:
    return Files(root)


@pytest.fixture
def local(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "store"))


class Interrupted(Exception):
    """Something goes wrong while a file is written."""


def write_half(files: Files, path: str) -> None:
    with files.create(path) as new:
        new.write(b"half")
        raise Interrupted


def test_what_is_written_is_read_back_with_its_size_and_checksum(files):
    written = files.write("a/b.json", b"content")

    assert files.read("a/b.json") == b"content"
    assert written == Written(sha256=hashlib.sha256(b"content").hexdigest(), bytes=7)
    assert files.checksum("a/b.json") == written


def test_a_file_is_not_there_until_it_is_complete(files):
    with files.create("a/b") as new:
        new.write(b"half")
        assert not files.exists("a/b")
        assert files.names("a") == []

    assert files.exists("a/b")


def test_a_block_that_fails_leaves_nothing(files):
    with pytest.raises(Interrupted):
        write_half(files, "a/b")

    assert not files.exists("a/b")
    assert files.names("a") == []


def test_a_block_that_fails_leaves_the_older_file_as_it_was(files):
    files.write("a/b", b"older")

    with pytest.raises(Interrupted):
        write_half(files, "a/b")

    assert files.read("a/b") == b"older"


def test_a_file_takes_the_place_of_an_older_one(files):
    files.write("a", b"a longer text")

    files.write("a", b"short")

    assert files.read("a") == b"short"


def test_a_reader_of_the_older_file_is_not_disturbed(local):
    local.write("a", b"older")
    with local.open("a") as older:
        local.write("a", b"newer")
        assert older.read() == b"older"


def test_writing_in_pieces_counts_and_hashes_all_of_them(files):
    with files.create("a") as new:
        for piece in (b"one ", bytearray(b"two "), memoryview(b"three")):
            new.write(piece)
        assert new.tell() == 13

    assert files.checksum("a") == new.written


def test_a_large_file_is_hashed_in_pieces(files):
    content = bytes(range(256)) * 10_000

    assert files.write("a", content) == files.checksum("a")
    assert files.read("a") == content


def test_a_stored_file_can_be_read_from_any_place(files):
    files.write("a", b"0123456789")

    with files.open("a") as source:
        source.seek(7)
        assert source.read() == b"789"


@pytest.mark.parametrize(
    "look",
    [
        lambda files: files.open("a/b"),
        lambda files: files.read("a/b"),
        lambda files: files.checksum("a/b"),
        lambda files: files.on_disk("a/b").__enter__(),
    ],
    ids=["open", "read", "checksum", "on_disk"],
)
def test_a_missing_file_is_named_with_a_way_out(files, look: Callable[[Files], object]):
    with pytest.raises(ArtifactError) as missing:
        look(files)

    assert missing.value.message.startswith(files.url("a/b"))
    assert missing.value.message.endswith("or materialize the asset that writes it again")


@pytest.mark.parametrize("path", ["a", "a/b/c"])
def test_a_folder_is_no_file_and_a_file_no_folder(local, path):
    local.write("a/b", b"")

    with pytest.raises(ArtifactError, match="is missing from the store"):
        local.read(path)


def test_a_file_on_disk_has_its_content_and_its_ending(files):
    files.write("a/b.jsonl", b"content")

    with files.on_disk("a/b.jsonl") as path:
        assert (path.name, path.read_bytes()) == ("b.jsonl", b"content")

    assert files.read("a/b.jsonl") == b"content"


def test_a_copy_on_disk_lives_as_long_as_its_block():
    files = Files(f"memory://{secrets.token_hex(4)}")
    files.write("a", b"content")

    with files.on_disk("a") as path:
        assert path.exists()

    assert not path.exists()


def test_names_are_those_of_the_files_in_a_folder_alone(files):
    for path in ("a/2", "a/1", "a/b/3", "ab/4"):
        files.write(path, b"")

    assert files.names("a") == ["a/1", "a/2"]
    assert files.names("nowhere") == []


def test_deleting_takes_a_file_or_a_folder_and_is_content_with_neither(files):
    for path in ("a/1", "a/b/2", "c"):
        files.write(path, b"")

    for path in ("a", "c", "c", "nowhere"):
        files.delete(path)

    assert not any(files.exists(path) for path in ("a", "a/1", "a/b/2", "c"))


def test_a_local_store_is_private_down_to_the_last_folder(tmp_path):
    """Prompts and answers may hold what only their owner may read."""
    files = Files(str(tmp_path / "new" / "store"))

    files.write("a/b/c", b"")

    for folder in ("new", "new/store", "new/store/a", "new/store/a/b"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new/store/a/b/c").stat().st_mode & 0o777 == 0o600


def test_a_copy_on_disk_is_private(tmp_path):
    files = Files(f"memory://{secrets.token_hex(4)}")
    files.write("a", b"")

    with files.on_disk("a") as path:
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_failed_block_leaves_no_unfinished_file_behind(local, tmp_path):
    with pytest.raises(Interrupted):
        write_half(local, "a/b")

    assert list((tmp_path / "store" / "a").iterdir()) == []


def test_files_that_a_killed_process_left_unfinished_are_not_named(local, tmp_path):
    local.write("a/b", b"")
    (tmp_path / "store" / "a" / ".new-left").write_bytes(b"half")

    assert local.names("a") == ["a/b"]


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/"])
def test_a_local_root_may_be_written_in_several_ways(tmp_path, form):
    files = Files(form.format(tmp_path / "store"))

    files.write("a", b"content")

    assert (tmp_path / "store" / "a").read_bytes() == b"content"
    assert files.url("a") == str(tmp_path / "store" / "a")


def test_a_relative_root_begins_at_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = Files("store")

    files.write("a", b"content")

    assert files.url("a") == str(tmp_path / "store" / "a")
    assert (tmp_path / "store" / "a").exists()


def test_the_url_of_a_remote_file_opens_it():
    files = Files(f"memory://{secrets.token_hex(4)}/below")
    files.write("a/b", b"content")

    with fsspec.open(files.url("a/b"), "rb") as source:
        assert source.read() == b"content"


def test_pyarrow_reads_the_store_as_it_is(files):
    table = a_table(3)
    with create_parquet(files, "a/1.parquet", table.schema) as sink:
        sink.write(table.to_batches()[0])
    paths, filesystem = files.for_pyarrow(["a/1.parquet"])

    assert ds.dataset(paths, filesystem=filesystem).to_table() == table
