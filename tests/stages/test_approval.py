"""With `approval: required` nothing is sent before a person approved the request set's digest."""

import pytest

from batch_assets.domain.control import WaitKind
from batch_assets.stages.advance import Pending

QUOTE = {"requests": 3, "prompt_tokens": 99}


def approve(world, digest=None):
    digest = digest or world.manifest.digest
    world.ledger.approvals.give("words", "p", digest, given_by="ann", quote=QUOTE)


def test_nothing_is_sent_before_the_approval(a_world):
    world = a_world(3, needs_approval=True)

    submission = world.submit()

    assert submission.sent == 0
    assert submission.waiting_for.kind is WaitKind.APPROVAL
    assert "approve_batches" in submission.waiting_for.reason
    assert world.states == ["planned"]
    assert world.executions["batches_created"] == 0


def test_an_approved_request_set_is_sent_by_whoever_comes_next(a_world):
    world = a_world(3, needs_approval=True)
    world.submit()
    assert isinstance(world.advance(), Pending)

    approve(world)
    world.advance()
    world.finish()

    assert world.column("outcome") == ["ok"] * 3


def test_an_approval_may_come_before_the_request_set_is_submitted(a_world):
    world = a_world(3, needs_approval=True)
    world.prepare()
    approve(world)

    submission = world.submit()

    assert submission.sent == 1


def test_an_approval_is_of_one_digest(a_world):
    world = a_world(3, needs_approval=True)
    world.submit()
    approve(world)

    changed = a_world(3, needs_approval=True, user="The word is {{ word }}")
    submission = changed.submit()

    assert submission.sent == 0
    assert submission.waiting_for.kind is WaitKind.APPROVAL


def test_further_waves_are_approved_with_the_first(a_world, sandbox):
    sandbox.state.change_settings({"latency": 48 * 3600.0})
    world = a_world(10, needs_approval=True)
    approve(world, world.prepare().digest)
    world.submit()
    world.poll(after=24 * 3600)
    sandbox.state.change_settings({"latency": 100.0})

    world.advance()
    world.finish(after=3600)

    assert world.column("outcome") == ["ok"] * 10


def test_a_declaration_that_asks_for_no_approval_any_more_is_sent(a_world):
    a_world(3, needs_approval=True).submit()

    submission = a_world(3).submit()

    assert submission.sent == 1


def test_what_waits_for_an_approval_keeps_nobody_else_waiting(a_world):
    waiting = a_world(3, needs_approval=True)
    waiting.submit()
    account, budget = waiting.deployment.provider.account, waiting.deployment.provider.budget

    assert waiting.ledger.queue(account, budget) == []
    assert [each.partition_key for each in waiting.ledger.approvals.wanted("words")] == ["p"]
    assert waiting.ledger.approvals.wanted("other") == []


def test_who_approved_what_and_when_stays_on_record(a_world):
    world = a_world(3, needs_approval=True)
    world.submit()

    approve(world)

    [approval] = world.ledger.approvals.of("words", "p")
    assert (approval.digest, approval.given_by, approval.at, approval.quote) == (
        world.manifest.digest,
        "ann",
        world.ledger.clock(),
        QUOTE,
    )


@pytest.mark.parametrize("canary", [None, 2])
def test_an_approval_given_before_lets_the_canary_go_but_is_no_word_on_what_it_brings(
    a_world, canary, script
):
    world = a_world(5, needs_approval=True, canary=canary)
    approve(world, world.prepare().digest)

    submission = world.submit()

    assert sum(batch.reservation.requests for batch in submission.batches) == (canary or 5)
    assert submission.waiting_for is None
