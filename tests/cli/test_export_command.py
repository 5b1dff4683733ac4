"""`batch-assets export-artifacts`: bundles, copied whole, and never over anything else."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from command_answers import rows_of
from stage_answers import NOT_JSON, Flaky

from batch_assets.cli.declared import MODULE
from batch_assets.stages.export import Bundle, export


@pytest.fixture(autouse=True)
def declared(code_location, monkeypatch):
    """The code location is named by the environment, as for Dagster's own commands."""
    monkeypatch.setenv(MODULE, code_location)


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


# Checks that block


def half_invalid(a_world, script):
    """Results of which the one or the other row is not of the output type."""
    script.line = Flaky({1: [NOT_JSON] * 9})
    world = a_world(2)
    world.carry()
    return world


@pytest.fixture
def blocks(code_location, tmp_path):
    """Declares a check of the inference's that blocks at so large a share of invalid answers."""

    def declare(at_most: float) -> None:
        module = tmp_path / f"{code_location}.py"
        check = f"checks=ba.Checks(invalid_share=ba.Check(at_most={at_most}, blocking=True)),"
        module.write_text(module.read_text().replace("output=Kind,", f"output=Kind, {check}"))

    return declare


def test_a_partition_that_a_check_blocks_is_not_exported(a_world, call, script, blocks, tmp_path):
    world = half_invalid(a_world, script)
    blocks(0.1)

    [row] = rows_of(
        call("export-artifacts", "words", "--to", tmp_path / "to", "-o", "json"),
        "export-artifacts/1",
        code=1,
    )

    assert row["refused"].startswith("check invalid_share is 0.5, demanded is at most 0.1")
    assert "words_ask_again" in row["refused"]
    assert not (tmp_path / "to").exists()
    assert world.files.folders(world.layout.bundles) == []


def test_a_bundle_that_was_made_before_does_not_pass_a_check_that_came_since(
    a_world, call, script, blocks, tmp_path
):
    world = half_invalid(a_world, script)
    export(world.deployment, world.request_set)
    blocks(0.1)

    assert call("export-artifacts", "words", "--to", tmp_path / "to").exit_code == 1
    assert not (tmp_path / "to").exists()


def test_the_others_are_exported_and_it_ends_with_4(a_world, call, script, blocks, tmp_path):
    a_world(2, partition_key="a").carry()
    script.line = Flaky({1: [NOT_JSON] * 9})
    a_world(2, partition_key="b", user="Other {{ word }}").carry()
    blocks(0.1)

    rows = rows_of(
        call("export-artifacts", "words", "--to", tmp_path / "to", "-o", "json"),
        "export-artifacts/1",
        code=4,
    )

    assert [(row["partition"], row["refused"] is None) for row in rows] == [
        ("a", True),
        ("b", False),
    ]


def test_a_check_that_passes_blocks_nothing(a_world, call, script, blocks, tmp_path):
    half_invalid(a_world, script)
    blocks(0.5)

    assert call("export-artifacts", "words", "--to", tmp_path / "to").exit_code == 0


def test_without_a_declaration_only_a_bundle_that_was_made_before_is_copied(
    a_world, call, monkeypatch, tmp_path
):
    monkeypatch.delenv(MODULE)
    world = a_world(2)
    world.carry()
    command = ("export-artifacts", "words", "--to", tmp_path / "to", "-o", "json")

    [before] = rows_of(call(*command), "export-artifacts/1", code=1)
    export(world.deployment, world.request_set)
    [after] = rows_of(call(*command), "export-artifacts/1")

    assert "nothing here says which checks stand before its bundle" in before["refused"]
    assert "-m" in before["refused"]
    assert (after["refused"], after["is_new"]) == (None, True)


def test_what_a_command_line_started_needs_no_code_location_and_no_key(live, monkeypatch):
    monkeypatch.delenv(MODULE)
    live.write("a.csv", "id,text\n1,hello\n")
    ask = ("--input", "a.csv", "--id-field", "id", "--prompt-field", "text")
    live.call("start", *ask, "--model", "gpt-5-mini", "--wait", "--every", "0.1")

    assert live.call("export-artifacts", "a", "--to", "to").exit_code == 0
