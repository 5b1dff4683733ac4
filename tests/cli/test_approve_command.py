"""`batch-assets approve`: the approval that the UI's job writes, by a name, with its quote."""

import pytest
from command_answers import rows_of


def approvals(world):
    return world.ledger.approvals.of("words", world.partition_key)


def test_what_waits_is_approved_with_its_quote_and_the_name(a_world, call):
    world = a_world(3, needs_approval=True)
    world.submit()

    [row] = rows_of(call("approve", "words", "--by", "ada", "-o", "json"), "approve/1")

    [approval] = approvals(world)
    assert (row["approved"], row["requests"]) == (True, 3)
    assert approval.given_by == "ada (command line)"
    assert approval.digest == row["request_set"] == world.manifest.digest
    assert approval.quote["requests"] == 3
    assert approval.quote["prompt_tokens"] == row["prompt_tokens"] == world.manifest.tokens
    world.advance()
    assert world.states == ["submitted"]


def test_a_dry_run_shows_the_quote_and_approves_nothing(a_world, call):
    world = a_world(3, needs_approval=True)
    world.submit()

    [row] = rows_of(call("approve", "words", "--dry-run", "-o", "json"), "approve/1")

    assert (row["approved"], row["requests"]) == (False, 3)
    assert approvals(world) == []


def test_a_digest_approves_what_is_not_submitted_yet(a_world, call):
    world = a_world(3, needs_approval=True)
    world.prepare()

    call("approve", "words", "--partition", "p", "--digest", world.manifest.digest)
    world.submit()

    assert world.states == ["submitted"]


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["words", "--digest", "d" * 64], 2, "name it with --partition"),
        (["words", "--partition", "p", "--digest", "d" * 64], 3, "no such request set"),
        (["words", "--partition", "x"], 3, "x waits for no approval now; p does"),
        (["wrods"], 3, "nothing of wrods waits for no approval now; no partition does"),
    ],
)
def test_what_does_not_wait_is_not_approved(a_world, call, given, code, said):
    world = a_world(3, needs_approval=True)
    world.submit()

    refused = call("approve", *given)

    assert refused.exit_code == code
    assert said in refused.stderr
    assert approvals(world) == []


def test_part_of_a_digest_is_not_enough(a_world, call):
    world = a_world(3, needs_approval=True)
    world.submit()

    refused = call("approve", "words", "--partition", "p", "--digest", world.manifest.digest[:16])

    assert refused.exit_code == 3
    assert "is not a whole digest" in refused.stderr
