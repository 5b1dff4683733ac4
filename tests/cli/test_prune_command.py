"""`batch-assets prune-artifacts`: what would go, what goes, and what that loses."""

import pytest
from command_answers import rows_of


@pytest.fixture
def exported(a_world, call, code_location, tmp_path):
    world = a_world(3)
    world.carry()
    command = ("export-artifacts", "words", "--to", tmp_path / "to", "-m", code_location)
    assert call(*command).exit_code == 0
    return world


def test_a_dry_run_lists_what_would_go_and_removes_nothing(exported, call):
    shown = call("prune-artifacts", "words", "--dry-run", "-o", "json")

    [row] = rows_of(shown, "prune-artifacts/1")
    [path] = row["paths"]
    assert not row["removed"]
    assert row["bytes"] == exported.manifest.shards[0].bytes
    assert exported.files.exists(path)
    assert f"1 files, {row['bytes']:,} bytes would go" in shown.stderr


def test_request_files_go_and_raw_outputs_stay(exported, call):
    [row] = rows_of(call("prune-artifacts", "words", "-o", "json"), "prune-artifacts/1")

    assert row["removed"]
    assert row["answers_lost_to_reuse"] == 0
    assert not exported.files.exists(exported.manifest.shards[0].path)
    assert exported.files.exists(exported.layout.raw_output(exported.batch))


def test_raw_outputs_go_where_that_is_said_and_what_is_lost_is_told(exported, call):
    pruned = call("prune-artifacts", "words", "--include-raw-output-artifacts")

    assert pruned.exit_code == 0
    assert "3 answers can not be carried over any more" in pruned.stderr
    assert not exported.files.exists(exported.layout.raw_output(exported.batch))
    assert len(call("results", "words").stdout.splitlines()) == 3


def test_what_is_not_exported_stays_and_says_why(a_world, call):
    a_world(3).carry()

    [row] = rows_of(
        call("prune-artifacts", "words", "--include-raw-output-artifacts", "-o", "json"),
        "prune-artifacts/1",
    )

    assert (row["files"], row["removed"]) == (0, False)
    assert "batch-assets export-artifacts" in row["kept_since"]


def test_what_is_on_its_way_stays(a_world, call):
    a_world(3).submit()

    [row] = rows_of(call("prune-artifacts", "words", "-o", "json"), "prune-artifacts/1")

    assert row["kept_since"] == "it is on its way"


def test_only_what_is_older_than_asked_for_goes(exported, call):
    # The ledger's clock stands in 2025, and the command's does not.
    [young] = rows_of(
        call("prune-artifacts", "words", "--older-than", "9999w", "-o", "json"),
        "prune-artifacts/1",
    )
    [old] = rows_of(
        call("prune-artifacts", "words", "--older-than", "30d", "-o", "json"), "prune-artifacts/1"
    )

    assert (young["removed"], old["removed"]) == (False, True)


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1y", ""])
def test_an_age_that_is_none_ends_with_2(exported, call, age):
    refused = call("prune-artifacts", "words", "--older-than", age)

    assert refused.exit_code == 2
    assert "as 30d" in refused.stderr


def test_an_inference_that_is_not_there_ends_with_3(exported, call):
    assert call("prune-artifacts", "wrods").exit_code == 3
