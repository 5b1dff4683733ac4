"""`batch-assets decide`: a person's word on a batch, with the checks of the job decide_batch."""

import pytest
from command_answers import rows_of
from stage_world import LATENCY, Border, lost, whole

from batch_assets.domain.batch import BatchState


@pytest.fixture
def doubtful(a_world, sandbox, provider_at):
    """A partition whose batch's creation was answered, and the answer was lost."""
    border = Border(sandbox.base_url)
    border.change("POST /v1/batches", lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.lease_over()
    yield world
    border.stop()


def bought_id(world) -> str:
    [found], _ = world.sandbox.state.batch_page(after=None, limit=9)
    return str(found["id"])


def test_a_batch_is_adopted_by_the_id_that_the_provider_shows(doubtful, call, code_location):
    there = bought_id(doubtful)
    given = ("adopt", "--provider-id", there, "-m", code_location, "--by", "ada", "-o", "json")

    [row] = rows_of(call("decide", doubtful.batch.id, *given), "decide/1")

    assert (row["state"], row["provider_id"]) == ("submitted", there)
    assert (row["inference"], row["partition"], row["account"]) == ("words", "p", "openai")
    assert row["said"] == f"batch 1 is {there} at the provider and is followed there"
    assert doubtful.finish(LATENCY).summary.coverage == 1.0
    assert doubtful.executions["max_executions_of_one_body"] == 1


def test_it_stands_in_the_ledger_who_decided(doubtful, call, code_location):
    call("decide", 1, "give_up", "-m", code_location, "--by", "ada")

    assert doubtful.batch.reason == "ada (command line) gave it up"


@pytest.mark.parametrize(
    ("decision", "states"),
    [("offer_again", ["planned"]), ("give_up", ["abandoned"])],
)
def test_a_batch_in_doubt_is_offered_again_or_given_up(
    doubtful, call, code_location, decision, states
):
    [row] = rows_of(call("decide", 1, decision, "-m", code_location, "-o", "json"), "decide/1")

    assert (row["state"], doubtful.states) == (states[-1], states)


def test_a_batch_that_the_provider_forgot_is_offered_again(a_world, call, code_location):
    world = a_world(3)
    world.submit()
    world.sandbox.state.reset()

    [row] = rows_of(call("decide", 1, "offer_again", "-m", code_location, "-o", "json"), "decide/1")

    assert row["state"] == "abandoned"
    assert world.states == ["abandoned", "planned"]


def test_a_batch_that_the_provider_has_is_not_offered_again_by_a_wrong_number(
    a_world, call, code_location
):
    world = a_world(3)
    world.submit()

    refused = call("decide", 1, "offer_again", "-m", code_location)

    assert refused.exit_code == 1
    assert "Error: the provider has batch 1, as batch_" in refused.stderr
    assert world.states == ["submitted"]


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["99", "give_up"], 3, "the ledger has no batch 99"),
        (["1", "give_up"], 1, "of account openai, which is none of this deployment"),
        (["1", "adopt"], 2, "--provider-id is given with adopt, and only with it"),
        (["1", "give_up", "--provider-id", "x"], 2, "--provider-id is given with adopt"),
        (["1", "forget"], 2, "'forget' is not one of 'adopt', 'offer_again', 'give_up'"),
        (["one", "give_up"], 2, "'one' is not a valid integer"),
        (["0", "give_up"], 2, "0 is not in the range"),
        (["1"], 2, "Choose from: adopt, offer_again, give_up"),
    ],
)
def test_wrong_use_is_one_line_and_decides_nothing(doubtful, call, monkeypatch, given, code, said):
    # A deployment whose accounts are others.
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")

    refused = call("decide", *given)

    assert (refused.exit_code, refused.stdout) == (code, "")
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert doubtful.batch.state is BatchState.RESERVED


def test_an_id_that_the_provider_does_not_know_is_not_adopted(doubtful, call, code_location):
    given = ("adopt", "--provider-id", "batch_unknown", "-m", code_location)

    refused = call("decide", 1, *given)

    assert refused.exit_code == 3
    assert "No batch found with id 'batch_unknown'" in refused.stderr
    assert doubtful.batch.state is BatchState.RESERVED


def test_a_batch_that_is_collected_leaves_nothing_to_decide(a_world, call, code_location):
    a_world(3).carry()

    refused = call("decide", 1, "give_up", "-m", code_location)

    assert refused.exit_code == 1
    assert refused.stderr == (
        "Error: batch 1 is collected, not in doubt: there is nothing to decide\n"
    )


def test_doctor_names_the_command(doubtful, call, monkeypatch, sandbox):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", sandbox.base_url)

    rows = rows_of(call("doctor", "-o", "json"), "doctor/1", code=1)

    [todo] = [row["todo"] for row in rows if row["what"] == "batch 1"]
    assert "`batch-assets decide 1`" in todo
    assert "`batch-assets audit`" in todo
