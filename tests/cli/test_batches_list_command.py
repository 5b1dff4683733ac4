"""`batch-assets batches list`, `show` and `cancel`: what is at the provider, ours and others'."""

import pytest
from command_answers import rows_of
from openai import OpenAI
from stage_world import LATENCY

from batch_assets.sandbox import FailsValidation, HttpError


@pytest.fixture
def others(desk):
    """Makes a batch that somebody else's program made; its id."""

    def make() -> str:
        file_id = desk.upload("theirs.jsonl")
        with OpenAI(api_key="sk-x", base_url=desk.sandbox.base_url, max_retries=0) as sdk:
            return sdk.batches.create(
                completion_window="24h", endpoint="/v1/chat/completions", input_file_id=file_id
            ).id

    return make


@pytest.fixture
def of_location(call, code_location):
    """A command on the provider of the location, and the ledger of `a_world`."""
    return lambda *given: call(*given, "-m", code_location)


# list


def test_ours_and_others_are_told_apart(a_world, of_location, desk, others):
    a_world(2).submit()
    theirs = others()
    desk.chats("a.jsonl")
    [direct] = desk.created("a.jsonl")

    listed = rows_of(of_location("batches", "list", "-o", "json"), "batches-list/1")

    assert {(row["id"], row["whose"]) for row in listed[:2]} == {
        (theirs, "others"),
        (direct, "keyed"),
    }
    assert [(row["whose"], row["inference"], row["partition"]) for row in listed[2:]] == [
        ("ours", "words", "p")
    ]


def test_the_list_goes_on_behind_the_last_that_was_shown(desk, others):
    made = [others() for _ in range(3)]

    first = desk.call("batches", "list", "--limit", "2", "-o", "json")
    shown = [row["id"] for row in rows_of(first, "batches-list/1")]
    rest = desk.rows("batches", "list", "--after", shown[-1])

    assert first.stderr == f"There are more: --after {shown[-1]}\n"
    assert sorted([*shown, *(row["id"] for row in rest)]) == sorted(made)
    assert len(rest) == 1


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_all_pages_of_the_provider_are_one_list(desk, provider, monkeypatch):
    monkeypatch.setattr("batch_assets.resources.openai.client.PAGE", 2)
    monkeypatch.setattr("batch_assets.resources.anthropic.client.PAGE", 2)
    write = desk.chats if provider == "openai" else desk.messages
    names = [write(f"{number}.jsonl", 1) for number in range(5)]
    made = desk.created(*names, "--provider", provider)
    before = desk.faults.called("batches.list")

    listed = desk.rows("batches", "list", "--limit", "50", "--provider", provider)

    assert sorted(row["id"] for row in listed) == sorted(made)
    assert desk.faults.called("batches.list") - before == 3


@pytest.mark.parametrize("word", ["completed", "ended", "ENDED"])
def test_only_batches_of_a_status_are_shown(desk, others, word):
    done = others()
    desk.clock.advance(LATENCY)
    others()

    assert [row["id"] for row in desk.rows("batches", "list", "--status", word)] == [done]


def test_an_account_without_batches_says_so(desk):
    shown = desk.call("batches", "list")

    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "no batches\n")


def test_a_list_cannot_go_on_behind_what_is_not_in_it(desk, others):
    others()

    refused = desk.call("batches", "list", "--after", "batch_nobody")

    assert (refused.exit_code, refused.stdout) == (6, "")
    assert "batch_nobody" in refused.stderr


def test_without_a_key_nobody_is_asked(desk, monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)

    refused = desk.call("batches", "list", "--provider", "anthropic")

    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (6, "", 1)
    assert "ANTHROPIC_API_KEY" in refused.stderr


# show


def test_one_of_ours_is_shown_with_what_the_ledger_knows(a_world, of_location):
    world = a_world(2)
    world.submit()
    batch = world.batch

    [row] = rows_of(
        of_location("batches", "show", batch.provider_id, "-o", "json"), "batches-show/1"
    )

    assert (row["inference"], row["partition"], row["state"]) == ("words", "p", "submitted")
    assert (row["wave"], row["shard"], row["attempt"], row["batch"]) == (0, 0, 1, batch.id)
    assert row["request_set"] == batch.request_set.digest
    assert (row["key"], row["input_file_id"]) == (batch.key, batch.input_file_id)


def test_a_batch_that_failed_says_why(desk):
    desk.chats("a.jsonl")
    desk.faults.batches(FailsValidation())
    [batch_id] = desk.created("a.jsonl")
    desk.clock.advance(LATENCY)

    shown = desk.call("batches", "show", batch_id)
    [row] = desk.rows("batches", "show", batch_id)

    assert (row["status"], len(row["problems"])) == ("failed", 1)
    assert row["problems"][0] in " ".join(shown.stdout.split())


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("command", ["show", "download", "errors", "cancel"])
def test_a_batch_that_the_provider_does_not_know_is_not_found(desk, provider, command):
    refused = desk.call("batches", command, "batch_nobody", "--provider", provider)

    assert refused.exit_code == 3
    assert "batch_nobody" in refused.output
    assert list(desk.folder.glob("*.jsonl")) == []


# cancel


@pytest.mark.parametrize(
    ("provider", "word"), [("openai", "cancelling"), ("anthropic", "canceling")]
)
def test_a_batch_is_cancelled_at_its_provider(desk, provider, word):
    name = desk.chats("a.jsonl") if provider == "openai" else desk.messages("a.jsonl")
    [batch_id] = desk.created(name, "--provider", provider)

    answer = desk.call("batches", "cancel", batch_id, "--provider", provider)

    assert (answer.stdout, answer.exit_code) == (f"[OK] {batch_id} -> {word}\n", 0)
    [row] = desk.rows("batches", "show", batch_id, "--provider", provider)
    assert row["status"] == word


def test_one_that_cannot_be_cancelled_keeps_no_other(desk, others):
    done = others()
    desk.clock.advance(LATENCY)
    under_way = others()

    answer = desk.call("batches", "cancel", done, "batch_nobody", under_way)

    lines = answer.stdout.splitlines()
    assert lines[0] == f"[FAIL] {done} (it is completed: there is nothing to cancel)"
    assert lines[1].startswith("[FAIL] batch_nobody (")
    assert lines[2] == f"[OK] {under_way} -> cancelling"
    assert answer.exit_code == 4


def test_one_that_the_ledger_has_is_cancelled_by_its_partition(a_world, of_location, desk):
    world = a_world(2)
    world.submit()
    batch_id = world.batch.provider_id

    refused = of_location("batches", "cancel", batch_id)

    assert refused.stdout == (
        f"[FAIL] {batch_id} (it is of partition p of words: batch-assets cancel words --partition "
        "p --now --reason …)\n"
    )
    assert (refused.exit_code, desk.faults.called("batches.cancel")) == (6, 0)


def test_a_provider_that_is_away_is_said_to_be(desk, others):
    batch_id = others()
    desk.faults.calls("batches.cancel", HttpError(status=503), times=None)

    answer = desk.call("batches", "cancel", batch_id)

    assert answer.stdout.startswith(f"[FAIL] {batch_id} (")
    assert answer.exit_code == 6
