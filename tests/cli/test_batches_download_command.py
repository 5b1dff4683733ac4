"""`batch-assets batches download` and `errors`: what the provider returned, as files here."""

import json

import pytest
from direct_desk import message_line
from stage_world import LATENCY

from batch_assets.sandbox import HttpError, ItemError, TruncatedDownload


def lines_of(path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ids_in(path) -> set[object]:
    """A provider writes them in any order."""
    return {line["custom_id"] for line in lines_of(path)}


@pytest.fixture
def ended(desk):
    """Makes a batch of three requests that has ended; its id."""

    def make(provider: str = "openai") -> str:
        name = desk.chats("a.jsonl", 3) if provider == "openai" else desk.messages("a.jsonl", 3)
        [batch_id] = desk.created(name, "--provider", provider)
        desk.clock.advance(LATENCY)
        return batch_id

    return make


def test_answers_are_written_beside_one_that_names_the_batch(desk, ended):
    batch_id = ended()

    answer = desk.call("batches", "download", batch_id)

    path = desk.folder / f"{batch_id}-output.jsonl"
    assert ids_in(path) == {"r0", "r1", "r2"}
    size = path.stat().st_size
    assert answer.stdout == f"[OK] {batch_id} -> {path.name} (3 lines, {size:,} bytes)\n"


def test_answers_go_to_standard_output(desk, ended):
    batch_id = ended()

    answer = desk.call("batches", "download", batch_id, "--output-file", "-")

    assert len([json.loads(line) for line in answer.stdout.splitlines()]) == 3
    assert answer.stderr == f"{batch_id} is completed: 3 lines\n"
    assert list(desk.folder.glob("batch_*")) == []


@pytest.mark.parametrize("command", ["download", "errors"])
def test_a_file_that_is_there_stays_unless_it_is_to_go(desk, ended, command):
    desk.faults.items(ItemError(400), custom_id="r1")
    batch_id = ended()
    target = desk.folder / "mine.jsonl"
    target.write_text("mine")
    before = desk.faults.called("files.content")

    refused = desk.call("batches", command, batch_id, "--output-file", "mine.jsonl")

    assert (refused.exit_code, target.read_text()) == (1, "mine")
    assert "mine.jsonl is there already" in refused.stderr
    assert desk.faults.called("files.content") == before
    desk.call("batches", command, batch_id, "--output-file", "mine.jsonl", "--overwrite")
    assert ids_in(target) == ({"r0", "r2"} if command == "download" else {"r1"})


def test_what_is_no_file_is_never_written_over(desk, ended):
    (desk.folder / "folder").mkdir()

    refused = desk.call("batches", "download", ended(), "--output-file", "folder", "--overwrite")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "folder is there already and is no file" in refused.stderr


def test_a_download_that_breaks_off_leaves_no_half_file(desk, ended):
    batch_id = ended()
    desk.faults.calls("files.content", TruncatedDownload(0.5), times=None)

    refused = desk.call("batches", "download", batch_id)

    assert refused.exit_code == 6
    assert [path.name for path in desk.folder.iterdir()] == ["a.jsonl"]
    written = desk.call("batches", "download", batch_id, "--output-file", "-")
    assert (written.exit_code, written.stdout) == (6, "")


def test_a_cancelled_batch_has_what_was_answered_until_then(desk):
    desk.chats("a.jsonl", 10)
    [batch_id] = desk.created("a.jsonl")
    desk.clock.advance(LATENCY / 2)
    desk.call("batches", "cancel", batch_id)
    desk.clock.advance(LATENCY)

    desk.call("batches", "download", batch_id, "--output-file", "answers.jsonl")
    desk.call("batches", "errors", batch_id, "--output-file", "errors.jsonl")

    answered = lines_of(desk.folder / "answers.jsonl")
    unanswered = lines_of(desk.folder / "errors.jsonl")
    assert 0 < len(answered) < 10
    assert len(answered) + len(unanswered) == 10
    assert {line["error"]["code"] for line in unanswered} == {"batch_cancelled"}


def test_the_error_file_is_brought_as_it_is(desk, ended):
    desk.faults.items(ItemError(400), custom_id="r1")
    batch_id = ended()

    answer = desk.call("batches", "errors", batch_id)

    [line] = lines_of(desk.folder / f"{batch_id}-errors.jsonl")
    assert (line["custom_id"], line["response"]["status_code"]) == ("r1", 400)
    assert answer.exit_code == 0


def test_where_the_answers_have_the_errors_those_alone_are_written(desk, ended):
    desk.faults.items(ItemError(400), containing="Say r1")
    batch_id = ended("anthropic")

    desk.call("batches", "download", batch_id, "--provider", "anthropic")
    desk.call("batches", "errors", batch_id, "--provider", "anthropic")

    assert len(lines_of(desk.folder / f"{batch_id}-output.jsonl")) == 3
    [failed] = lines_of(desk.folder / f"{batch_id}-errors.jsonl")
    assert failed["custom_id"] == "r1"
    assert failed["result"]["type"] == "errored"


def test_what_anthropic_never_ran_counts_among_the_errors(desk):
    desk.write("a.jsonl", [message_line(f"r{number}") for number in range(10)])
    [batch_id] = desk.created("a.jsonl", "--provider", "anthropic")
    desk.clock.advance(LATENCY / 2)
    desk.call("batches", "cancel", batch_id, "--provider", "anthropic")
    desk.clock.advance(LATENCY)

    desk.call("batches", "errors", batch_id, "--provider", "anthropic")

    types = [line["result"]["type"] for line in lines_of(desk.folder / f"{batch_id}-errors.jsonl")]
    assert 0 < len(types) < 10
    assert set(types) == {"canceled"}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_where_none_failed_there_are_no_errors(desk, ended, provider):
    batch_id = ended(provider)

    refused = desk.call("batches", "errors", batch_id, "--provider", provider)

    assert (refused.exit_code, refused.stdout) == (3, "")
    assert f"{batch_id} has no errors" in refused.stderr
    assert [path.name for path in desk.folder.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("command", ["download", "errors"])
def test_a_batch_that_has_not_ended_has_nothing_yet(desk, provider, command):
    name = desk.chats("a.jsonl") if provider == "openai" else desk.messages("a.jsonl")
    [batch_id] = desk.created(name, "--provider", provider)

    refused = desk.call("batches", command, batch_id, "--provider", provider)

    assert (refused.exit_code, refused.stdout) == (3, "")
    assert "what it brings is there once it has ended" in refused.stderr


def test_what_was_written_is_a_row_for_a_program(desk, ended):
    batch_id = ended()

    answer = desk.call("batches", "download", batch_id, "-o", "json")

    path = desk.folder / f"{batch_id}-output.jsonl"
    assert json.loads(answer.stdout) == {
        "schema": "batch-assets/batches-download/1",
        "rows": [
            {
                "id": batch_id,
                "status": "completed",
                "what": "output",
                "path": path.name,
                "lines": 3,
                "bytes": path.stat().st_size,
            }
        ],
    }


def test_standard_output_has_either_the_lines_or_the_row(desk, ended):
    refused = desk.call("batches", "download", ended(), "--output-file", "-", "-o", "json")

    assert (refused.exit_code, refused.stdout) == (2, "")


def test_a_file_that_the_provider_does_not_give_is_no_file_here(desk, ended):
    batch_id = ended()
    desk.faults.calls("files.content", HttpError(status=404, message="Gone."), times=None)

    refused = desk.call("batches", "download", batch_id)

    assert (refused.exit_code, refused.stdout) == (6, "")
    assert list(desk.folder.glob("batch_*")) == []


def test_every_provider_is_asked_in_its_own_lines(desk):
    ask = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    desk.write("g.jsonl", [{"key": f"r{number}", "request": ask} for number in range(2)])
    body = {"model": "mistral-small-latest", "messages": [{"role": "user", "content": "Hello"}]}
    desk.write("m.jsonl", [{"custom_id": f"r{number}", "body": body} for number in range(2)])
    desk.chats("c.jsonl")
    url = "/v1beta/models/gemini-2.5-flash:generateContent"
    for provider, given in {
        "gemini": ("g.jsonl", "--endpoint", url),
        "mistral": ("m.jsonl", "--endpoint", "chat"),
        "groq": ("c.jsonl",),
    }.items():
        [batch_id] = desk.created(*given, "--provider", provider)
        desk.clock.advance(LATENCY)

        target = f"{provider}.out"
        desk.call("batches", "download", batch_id, "--provider", provider, "--output-file", target)
        none = desk.call("batches", "errors", batch_id, "--provider", provider)

        found = {line.get("custom_id") or line["key"] for line in lines_of(desk.folder / target)}
        assert (provider, found, none.exit_code) == (provider, {"r0", "r1"}, 3)
