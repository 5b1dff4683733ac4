"""`batch-assets batches create --prefix`: batches of request files that are at the provider."""

import pytest
from direct_desk import CHAT
from stage_world import LATENCY

from batch_assets.sandbox import FailsValidation, HttpError, ItemError

#: Where requests go at providers whose path is not OpenAI's.
_PATHS = {"gemini": "/v1beta/models/gemini-2.5-flash:generateContent"}


def test_every_uploaded_file_whose_name_begins_so_becomes_a_batch(desk):
    march = [desk.upload(f"march-{number}.jsonl") for number in (2, 1)]
    desk.upload("april-1.jsonl")

    answer = desk.call("batches", "create", "--prefix", "march", "--endpoint", "chat")

    assert [line.split(" -> ")[0] for line in answer.stdout.splitlines()] == [
        "[OK] march-1.jsonl",
        "[OK] march-2.jsonl",
    ]
    ids = [line.split(" -> ")[1] for line in answer.stdout.splitlines()]
    made_of = [desk.rows("batches", "show", each)[0]["input_file_id"] for each in ids]
    assert made_of == march[::-1]


def test_of_uploaded_files_one_that_fails_stops_no_other_and_is_made_the_next_time(desk):
    for number in range(3):
        desk.upload(f"march-{number}.jsonl")
    desk.faults.calls("batches.create", HttpError(status=400, message="Not today."), after=1)
    fan_out = ("batches", "create", "--prefix", "march", "--endpoint", CHAT)

    first = desk.call(*fan_out)
    again = desk.call(*fan_out)

    assert [line.split()[0] for line in first.stdout.splitlines()] == ["[OK]", "[FAIL]", "[OK]"]
    assert [line.split()[0] for line in again.stdout.splitlines()] == ["[FAIL]", "[OK]", "[FAIL]"]
    assert "was made of it already, and is validating" in again.stdout
    assert (first.exit_code, again.exit_code) == (4, 4)
    assert len(desk.rows("batches", "list")) == 3


def test_a_file_that_a_batch_was_made_of_is_sent_again_where_that_is_said(desk):
    desk.upload("march.jsonl")
    fan_out = ("batches", "create", "--prefix", "march", "--endpoint", CHAT)
    desk.call(*fan_out)

    assert desk.call(*fan_out).exit_code == 6
    assert desk.call(*fan_out, "--again").exit_code == 0
    assert len(desk.rows("batches", "list")) == 2


def test_a_file_whose_batch_failed_as_a_whole_is_sent_again(desk):
    desk.upload("march.jsonl")
    fan_out = ("batches", "create", "--prefix", "march", "--endpoint", CHAT)
    desk.faults.batches(FailsValidation())
    desk.call(*fan_out)
    desk.clock.advance(LATENCY)

    assert desk.call(*fan_out).exit_code == 0
    assert [row["status"] for row in desk.rows("batches", "list")] == ["validating", "failed"]


def test_files_of_answers_are_no_requests(desk):
    desk.chats("a.jsonl")
    [batch_id] = desk.created("a.jsonl")
    desk.clock.advance(LATENCY)

    refused = desk.call("batches", "create", "--prefix", batch_id, "--endpoint", CHAT)

    assert refused.exit_code == 3
    assert f"no request file whose name begins with '{batch_id}'" in refused.stderr


@pytest.mark.parametrize("provider", ["openai", "mistral", "groq", "gemini"])
def test_of_a_batch_that_ended_the_request_file_alone_is_one(desk, provider):
    at, endpoint = ("--provider", provider), _PATHS.get(provider, CHAT)
    name = desk.lines_for(provider, "a.jsonl", ("r0", "bad"))
    desk.faults.items(ItemError(400), custom_id="bad")
    [batch_id] = desk.created(name, "--endpoint", endpoint, *at)
    desk.clock.advance(LATENCY)
    [batch] = desk.rows("batches", "show", batch_id, *at)
    files = {row["id"] for row in desk.rows("files", "list", *at)}

    answer = desk.call("batches", "create", "--prefix", "", "--endpoint", endpoint, "--again", *at)

    assert files >= {batch["input_file_id"], batch["output_file_id"]}
    assert [line.split()[0] for line in answer.stdout.splitlines()] == ["[OK]"]
    newest = answer.stdout.strip().rpartition(" -> ")[2]
    [made] = desk.rows("batches", "show", newest, *at)
    assert made["input_file_id"] == batch["input_file_id"]
