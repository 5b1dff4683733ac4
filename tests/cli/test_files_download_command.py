"""`batch-assets files download`: a file of the provider's, as a file here."""

import pytest
from stage_world import LATENCY

from batch_assets.sandbox import TruncatedDownload

CONTENT = b'{"custom_id": "a"}\n{"custom_id": "\xc3\xbc"}'


@pytest.fixture
def file_id(desk):
    return desk.upload("march.jsonl", CONTENT)


def test_a_file_is_written_byte_for_byte(desk, file_id):
    answer = desk.call("files", "download", file_id)

    assert (desk.folder / f"{file_id}.jsonl").read_bytes() == CONTENT
    told = f"{file_id}.jsonl (2 lines, {len(CONTENT)} bytes)"
    assert (answer.stdout, answer.exit_code) == (f"[OK] {file_id} -> {told}\n", 0)


def test_a_file_goes_to_standard_output(desk, file_id):
    answer = desk.call("files", "download", file_id, "--output-file", "-")

    assert (answer.stdout_bytes, answer.stderr) == (CONTENT, f"{file_id}: 2 lines\n")
    assert list(desk.folder.iterdir()) == []


def test_what_a_batch_answered_is_a_file_too(desk):
    desk.chats("a.jsonl", 3)
    [batch_id] = desk.created("a.jsonl")
    desk.clock.advance(LATENCY)
    [batch] = desk.rows("batches", "show", batch_id)

    [row] = desk.rows("files", "download", batch["output_file_id"], "--output-file", "o.jsonl")

    assert (row["path"], row["lines"]) == ("o.jsonl", 3)


def test_a_file_that_is_there_stays_unless_it_is_to_go(desk, file_id):
    target = desk.folder / "mine.jsonl"
    target.write_text("mine")

    refused = desk.call("files", "download", file_id, "--output-file", "mine.jsonl")
    kept = target.read_text()
    written = desk.call("files", "download", file_id, "--output-file", "mine.jsonl", "--overwrite")

    assert (refused.exit_code, kept) == (1, "mine")
    assert "mine.jsonl is there already" in refused.stderr
    assert (written.exit_code, target.read_bytes()) == (0, CONTENT)


def test_a_download_that_breaks_off_leaves_no_half_file(desk, file_id):
    desk.faults.calls("files.content", TruncatedDownload(0.5), times=None)

    refused = desk.call("files", "download", file_id)

    assert (refused.exit_code, list(desk.folder.iterdir())) == (6, [])


@pytest.mark.parametrize("provider", ["openai", "mistral"])
def test_a_file_that_is_not_there_is_not_found(desk, provider):
    refused = desk.call("files", "download", "file-nobody", "--provider", provider)

    assert (refused.exit_code, refused.stderr) == (
        3,
        f"Error: {provider} has no file file-nobody\n",
    )
    assert list(desk.folder.iterdir()) == []


def test_standard_output_is_for_one_of_two(desk, file_id):
    refused = desk.call("files", "download", file_id, "--output-file", "-", "-o", "json")

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "both want standard output" in refused.stderr
