"""`batch-assets files list` and `delete`: files at the provider, whoever uploaded them."""

import pytest
from command_answers import rows_of
from stage_world import LATENCY

from batch_assets.sandbox import HttpError


@pytest.fixture
def of_location(call, code_location, desk):
    """A command on the provider of the location, and the ledger of `a_world`."""
    return lambda *given: call(*given, "-m", code_location)


def test_files_are_listed_with_what_the_provider_says_of_them(desk):
    file_id = desk.upload("march.jsonl", b"{}\n")

    [row] = desk.rows("files", "list")

    assert (row["id"], row["name"], row["bytes"]) == (file_id, "march.jsonl", 3)
    assert (row["purpose"], row["needed_by"]) == ("batch", None)


def test_no_more_files_are_listed_than_are_asked_for(desk):
    for number in range(3):
        desk.upload(f"{number}.jsonl")

    answer = desk.call("files", "list", "--limit", "2", "-o", "json")

    assert len(rows_of(answer, "files-list/1")) == 2
    assert answer.stderr == "There are more: --limit 20\n"


def test_files_that_our_open_batches_need_are_marked(a_world, of_location):
    a_world(2).submit()

    [row] = rows_of(of_location("files", "list", "-o", "json"), "files-list/1")

    assert row["needed_by"] == "batch 1 of words (p)"


def test_an_account_without_files_says_so(desk):
    shown = desk.call("files", "list")

    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "no files\n")


def test_a_provider_without_files_is_refused(desk):
    refused = desk.call("files", "list", "--provider", "anthropic")

    assert (refused.exit_code, refused.stderr.count("\n")) == (6, 1)
    assert "no list of files" in refused.stderr


def test_files_are_deleted_one_line_each(desk):
    ids = [desk.upload(f"{number}.jsonl") for number in range(2)]

    answer = desk.call("files", "delete", *ids, "--yes")

    assert answer.stdout == f"[OK] {ids[0]} -> deleted\n[OK] {ids[1]} -> deleted\n"
    assert (answer.exit_code, desk.rows("files", "list")) == (0, [])


def test_without_yes_it_is_asked_and_nothing_but_yes_is_one(desk):
    file_id = desk.upload("march.jsonl")

    refused = desk.call("files", "delete", file_id)

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Delete 1 files (march.jsonl)?" in refused.stderr
    assert [row["id"] for row in desk.rows("files", "list")] == [file_id]


def test_one_that_cannot_be_deleted_keeps_no_other(desk):
    ids = [desk.upload(f"{number}.jsonl") for number in range(2)]
    desk.faults.calls("files.delete", HttpError(status=400, message="Not today."))

    answer = desk.call("files", "delete", ids[0], "file-nobody", ids[1], "--yes")

    lines = answer.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["[FAIL]", ids[0]],
        ["[FAIL]", "file-nobody"],
        ["[OK]", ids[1]],
    ]
    assert answer.exit_code == 4


def test_a_file_that_is_not_there_is_not_found(desk):
    answer = desk.call("files", "delete", "file-nobody", "--yes")

    assert answer.stdout == "[FAIL] file-nobody (openai has no such file)\n"
    assert answer.exit_code == 3


@pytest.mark.parametrize("what", ["input_file_id", "output_file_id"])
def test_what_a_batch_of_ours_still_needs_goes_by_force_alone(a_world, of_location, what):
    world = a_world(2)
    world.submit()
    if what == "output_file_id":
        world.poll(LATENCY)
    file_id = getattr(world.batch, what)

    refused = of_location("files", "delete", file_id, "--yes")
    forced = of_location("files", "delete", file_id, "--yes", "--force")

    assert refused.stdout == (
        f"[FAIL] {file_id} (batch 1 of words (p) still needs it: let it be collected, or give "
        "--force)\n"
    )
    assert refused.exit_code == 1
    assert (forced.stdout, forced.exit_code) == (f"[OK] {file_id} -> deleted\n", 0)


def test_what_is_collected_may_go(a_world, of_location):
    world = a_world(2)
    world.carry()

    answer = of_location("files", "delete", world.batch.input_file_id, "--yes")

    assert answer.exit_code == 0


# Filters


@pytest.fixture
def four_files(desk):
    """Two of one prefix, and those of a batch that has ended."""
    desk.upload("march-1.jsonl")
    desk.upload("march-2.jsonl")
    desk.chats("a.jsonl")
    desk.created("a.jsonl")
    desk.clock.advance(LATENCY)
    desk.rows("batches", "list")
    return desk


def test_files_are_listed_by_the_beginning_of_their_names(four_files):
    rows = four_files.rows("files", "list", "--prefix", "march-")

    assert [row["name"] for row in rows] == ["march-2.jsonl", "march-1.jsonl"]


@pytest.mark.parametrize(("word", "count"), [("batch", 3), ("BATCH_OUTPUT", 1), ("fine-tune", 0)])
def test_files_are_listed_by_what_they_are_for(four_files, word, count):
    assert len(four_files.rows("files", "list", "--purpose", word)) == count


def test_a_limit_counts_what_is_listed_alone(four_files):
    given = ("--prefix", "march-", "--purpose", "batch", "--limit", "2")

    answer = four_files.call("files", "list", *given, "-o", "json")

    assert (len(rows_of(answer, "files-list/1")), answer.stderr) == (2, "")
