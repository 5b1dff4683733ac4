"""`batch-assets export-artifacts`: bundles, copied whole, and never over anything else."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from command_answers import rows_of

from batch_assets.stages.export import Bundle


def test_a_partitions_bundle_is_copied_with_everything_it_names(a_world, call, tmp_path):
    world = a_world(3)
    world.carry()

    [row] = rows_of(
        call("export-artifacts", "words", "--to", tmp_path / "to", "-o", "json"),
        "export-artifacts/1",
    )

    folder = Path(row["folder"])
    bundle = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Bundle)
    assert folder.parent == tmp_path / "to" / "words" / "p"
    assert (row["files"], row["bytes"], row["is_new"]) == (len(bundle.files), bundle.bytes, True)
    assert {
        file.path: hashlib.sha256((folder / file.path).read_bytes()).hexdigest()
        for file in bundle.files
    } == {file.path: file.sha256 for file in bundle.files}
    assert "results.parquet" in {file.path for file in bundle.files}


def test_exported_again_it_is_left_as_it_is(a_world, call, tmp_path):
    a_world(3).carry()
    call("export-artifacts", "words", "--to", tmp_path / "to")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "to").rglob("*.*")}

    [row] = rows_of(
        call("export-artifacts", "words", "--to", tmp_path / "to", "-o", "json"),
        "export-artifacts/1",
    )

    assert not row["is_new"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "to").rglob("*.*")} == before


def test_a_copy_that_was_stopped_before_its_manifest_is_made_whole(a_world, call, tmp_path):
    a_world(3).carry()
    command = ("export-artifacts", "words", "--to", tmp_path / "to", "-o", "json")
    [first] = rows_of(call(*command), "export-artifacts/1")
    folder = Path(first["folder"])
    (folder / "manifest.json").unlink()
    (folder / "results.parquet").write_bytes(b"half")

    [again] = rows_of(call(*command), "export-artifacts/1")

    assert again["is_new"]
    assert (folder / "results.parquet").read_bytes() != b"half"


def test_partitions_without_results_are_named_and_end_it_with_4(a_world, call, tmp_path):
    a_world(2, partition_key="a").carry()
    a_world(2, partition_key="b", user="Other {{ word }}").submit()

    rows = rows_of(
        call("export-artifacts", "words", "--to", tmp_path / "to", "-o", "json"),
        "export-artifacts/1",
        code=4,
    )

    assert [row["refused"] for row in rows] == [None, "it has no results yet"]


def test_where_there_are_no_results_at_all_it_ends_with_3(a_world, call, tmp_path):
    a_world(2).submit()

    refused = call("export-artifacts", "words", "--to", tmp_path / "to")

    assert refused.exit_code == 3
    assert "batch-assets wait words" in refused.stderr


def test_a_file_that_is_missing_is_named(a_world, call, tmp_path):
    world = a_world(2)
    world.carry()
    world.files.delete(world.layout.raw_outputs)

    [row] = rows_of(
        call("export-artifacts", "words", "--to", tmp_path / "to", "-o", "json"),
        "export-artifacts/1",
        code=1,
    )

    assert "is missing from the store" in row["refused"]
    assert not list((tmp_path / "to").rglob("manifest.json"))


@pytest.mark.parametrize("given", [["words"], ["--to", "x"]])
def test_wrong_use_ends_with_2(a_world, call, given):
    a_world(2).carry()

    assert call("export-artifacts", *given).exit_code == 2


def test_a_folder_that_cannot_be_written_is_one_line(a_world, call, tmp_path):
    a_world(2).carry()
    (tmp_path / "file").write_text("no folder")

    refused = call("export-artifacts", "words", "--to", tmp_path / "file")

    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: ")
    assert str(tmp_path / "file") in refused.stderr
    assert refused.stderr.count("\n") == 1
