"""`batch-assets batches delete`: batches that are over, with what their provider keeps of them."""

import pytest
from command_answers import rows_of
from stage_world import LATENCY

from batch_assets.sandbox import HttpError, LostReply

GEMINI = "/v1beta/models/gemini-2.5-flash:generateContent"


@pytest.fixture
def ended(desk):
    """Makes a batch that has ended; its row."""

    def make(provider: str = "openai") -> dict[str, object]:
        name = desk.lines_for(provider, "a.jsonl", ("r0", "r1"))
        endpoint = ("--endpoint", GEMINI) if provider == "gemini" else ()
        [batch_id] = desk.created(name, "--again", "--provider", provider, *endpoint)
        desk.clock.advance(LATENCY)
        [row] = desk.rows("batches", "show", batch_id, "--provider", provider)
        return row

    return make


@pytest.fixture
def of_location(call, code_location, desk):
    """A command on the provider of the location, and the ledger of `a_world`."""
    return lambda *given: call(*given, "-m", code_location)


def test_where_batches_cannot_be_deleted_their_files_are_and_that_is_said(desk, ended):
    row = ended()
    files = [row["input_file_id"], row["output_file_id"]]

    answer = desk.call("batches", "delete", row["id"], "--yes")

    told = f"{', '.join(files)} deleted; openai keeps the batch itself"
    assert answer.stdout == f"[OK] {row['id']} -> {told}\n"
    assert (answer.exit_code, desk.rows("files", "list")) == (0, [])
    assert [each["id"] for each in desk.rows("batches", "list")] == [row["id"]]


def test_where_batches_can_be_deleted_they_are(desk, ended):
    batch_id = ended("anthropic")["id"]
    kept = ended("anthropic")["id"]

    answer = desk.call("batches", "delete", batch_id, "--yes", "--provider", "anthropic")

    listed = desk.rows("batches", "list", "--provider", "anthropic")
    assert (answer.stdout, answer.exit_code) == (f"[OK] {batch_id} -> deleted\n", 0)
    assert [each["id"] for each in listed] == [kept]


@pytest.mark.parametrize(
    ("provider", "is_gone", "files"),
    [("openai", False, 2), ("anthropic", True, 0), ("gemini", True, 2)],
)
def test_a_program_is_told_what_is_gone(desk, ended, provider, is_gone, files):
    batch_id = ended(provider)["id"]

    [row] = desk.rows("batches", "delete", batch_id, "--yes", "--provider", provider)

    assert (row["ok"], row["deleted"], len(row["files"])) == (True, is_gone, files)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_batch_that_is_open_is_refused(desk, provider):
    name = desk.chats("a.jsonl") if provider == "openai" else desk.messages("a.jsonl")
    [batch_id] = desk.created(name, "--provider", provider)
    [open_one] = desk.rows("batches", "list", "--provider", provider)

    answer = desk.call("batches", "delete", batch_id, "--yes", "--force", "--provider", provider)

    why = f"it is {open_one['status']}: what has ended can be deleted"
    assert answer.stdout.startswith(f"[FAIL] {batch_id} ({why}")
    assert (answer.exit_code, desk.faults.called("files.delete")) == (6, 0)
    assert desk.faults.called("batches.delete") == 0


def test_what_is_not_there_keeps_no_other(desk, ended):
    batch_id = ended()["id"]

    answer = desk.call("batches", "delete", "batch_nobody", batch_id, "--yes")

    assert [line.split()[:2] for line in answer.stdout.splitlines()] == [
        ["[FAIL]", "batch_nobody"],
        ["[OK]", batch_id],
    ]
    assert answer.exit_code == 4
    assert desk.call("batches", "delete", "batch_nobody", "--yes").exit_code == 3


def test_one_that_the_provider_does_not_delete_keeps_no_other(desk, ended):
    first, second = ended()["id"], ended()["id"]
    desk.faults.calls("files.delete", HttpError(status=400, message="Not today."))

    answer = desk.call("batches", "delete", first, second, "--yes")

    refused, deleted = answer.stdout.splitlines()
    assert refused.startswith(f"[FAIL] {first} (")
    assert "Not today." in refused
    assert deleted.startswith(f"[OK] {second} -> ")
    assert answer.exit_code == 4


def test_without_yes_it_is_asked_and_nothing_but_yes_is_one(desk, ended):
    batch_id = ended()["id"]

    refused = desk.call("batches", "delete", batch_id)

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"Delete 1 batches with their requests and answers ({batch_id})?" in refused.stderr
    assert len(desk.rows("files", "list")) == 2


def test_nothing_is_asked_where_nothing_would_be_deleted(desk):
    desk.chats("a.jsonl")
    [batch_id] = desk.created("a.jsonl")

    refused = desk.call("batches", "delete", batch_id)

    assert (refused.exit_code, refused.stderr) == (6, "")


def test_one_that_is_named_by_its_id_and_its_key_is_deleted_once(desk, ended):
    row = ended()

    [deleted] = desk.rows("batches", "delete", row["id"], row["key"], "--yes")

    assert (deleted["id"], desk.faults.called("files.delete")) == (row["id"], 2)


def test_a_request_file_stays_that_an_open_batch_was_made_of_too(desk):
    file_id = desk.upload("march.jsonl")
    fan_out = ("batches", "create", "--prefix", "march", "--endpoint", "chat", "-o", "json")
    [first] = rows_of(desk.call(*fan_out), "batches-create/1")
    desk.clock.advance(LATENCY)
    desk.call(*fan_out, "--again")

    answer = desk.call("batches", "delete", first["id"], "--yes")

    assert f"{file_id} stays, an open batch was made of it, too" in answer.stdout
    assert [each["id"] for each in desk.rows("files", "list")] == [file_id]


@pytest.mark.parametrize("state", ["submitted", "ended"])
def test_one_of_ours_that_is_not_collected_goes_by_force_alone(a_world, of_location, state):
    world = a_world(2)
    world.submit()
    world.clock.advance(LATENCY)
    if state == "ended":
        world.poll()
    batch_id = world.batch.provider_id

    refused = of_location("batches", "delete", batch_id, "--yes")
    forced = of_location("batches", "delete", batch_id, "--yes", "--force")

    assert refused.stdout == (
        f"[FAIL] {batch_id} (it is batch 1 of words (p), which is {state} and not collected, so "
        "that nothing here has its answers: let it be collected, or give --force)\n"
    )
    assert refused.exit_code == 1
    assert (forced.exit_code, forced.stdout.split(" -> ")[0]) == (0, f"[OK] {batch_id}")


def test_one_of_ours_whose_reply_was_lost_is_known_by_its_key(a_world, of_location, script):
    world = a_world(2)
    script.calls("batches.create", LostReply())
    world.submit()
    world.clock.advance(LATENCY)
    [there], _ = world.sandbox.state.batch_page(after=None, limit=9)

    refused = of_location("batches", "delete", there["id"], "--yes")

    assert "it is batch 1 of words (p), which is reserved and not collected" in refused.stdout
    assert refused.exit_code == 1


def test_one_of_ours_that_is_collected_may_go(a_world, of_location):
    world = a_world(2)
    world.carry()

    answer = of_location("batches", "delete", world.batch.provider_id, "--yes")

    assert (answer.exit_code, world.batch.state) == (0, "collected")


def test_what_the_provider_cannot_say_afterwards_is_not_claimed(desk, ended):
    batch_id = ended("anthropic")["id"]
    desk.faults.calls("batches.retrieve", HttpError(status=503), after=1, times=None)
    desk.faults.calls("batches.list", HttpError(status=503), after=1, times=None)

    answer = desk.call("batches", "delete", batch_id, "--yes", "--provider", "anthropic")

    assert answer.stdout == (
        f"[OK] {batch_id} -> asked to delete it but anthropic cannot say now whether it is gone\n"
    )
