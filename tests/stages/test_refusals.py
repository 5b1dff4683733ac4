"""What the provider refuses is bought by nobody, and sent again when that can help."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from stage_world import refusal

from batch_assets.domain.batch import Account, BatchState
from batch_assets.domain.capacity import backoff
from batch_assets.domain.control import Scope, WaitKind
from batch_assets.domain.errors import (
    AccountRefused,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.shard import Limits
from batch_assets.stages.control import resume
from batch_assets.stages.dispatch import dispatch

CREATE = "batches.create"
THREE_ROWS = Limits(requests=3, bytes=10**6)


# Refusals


def test_a_shard_the_provider_refuses_is_given_up_with_the_reason(a_world, script):
    script.replies[CREATE] = [refusal(400, message="The model does not exist.")]
    world = a_world(3)

    with pytest.raises(RequestRefused, match="The model does not exist"):
        world.submit()

    assert world.batch.state is BatchState.ABANDONED
    assert "The model does not exist." in world.batch.reason
    assert world.executions["batches_created"] == 0


def test_a_refused_shard_is_sent_again_once_that_is_put_right(a_world, script):
    script.replies[CREATE] = [None, refusal(400)]
    world = a_world(9, limits=THREE_ROWS)
    with pytest.raises(RequestRefused):
        world.submit()

    assert world.submit().sent == 2

    assert world.states == ["submitted", "abandoned", "submitted", "submitted"]
    assert world.batches[-1].attempt == 2
    assert world.finish().summary.coverage == 1.0
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_refused_shard_is_not_sent_again_by_itself(a_world, script):
    script.replies[CREATE] = [refusal(400)]
    world = a_world(3)
    with pytest.raises(RequestRefused):
        world.submit()

    pending = world.advance()

    assert (pending.progress.stopped, pending.progress.is_collected) == (1, False)
    assert world.executions["batches_created"] == 0


@pytest.mark.parametrize(
    "reply", [refusal(401, "invalid_api_key"), refusal(429, "insufficient_quota")]
)
def test_an_account_that_is_refused_uses_up_no_attempt(a_world, script, reply):
    script.replies[CREATE] = [reply]
    world = a_world(6, limits=THREE_ROWS)

    with pytest.raises(AccountRefused) as refused:
        world.submit()

    assert world.states == ["planned", "planned"]
    assert world.batches[0].reason == refused.value.message
    assert world.executions["batches_created"] == 0
    resume(world.ledger, Scope(account=world.deployment.provider.account), owner="me")
    assert world.submit().sent == 2
    assert [batch.attempt for batch in world.batches] == [1, 1]


def test_an_account_that_is_refused_is_stopped_until_a_person_resumes_it(a_world, script):
    """Row 57: low credit stops everything, and nothing more is tried until it is cleared."""
    script.replies[CREATE] = [refusal(429, "insufficient_quota")]
    world = a_world(6, limits=THREE_ROWS)
    with pytest.raises(AccountRefused):
        world.submit()

    with pytest.raises(AccountRefused, match=r"account openai is stopped: .*add credit.*resume"):
        world.submit()
    world.advance()

    assert world.states == ["planned", "planned"]
    assert world.executions["files_uploaded"] == 1
    [stop] = world.ledger.pauses.standing()
    assert (stop.is_stop, stop.scope) == (True, Scope(account=Account("openai")))


def test_a_wrong_key_sends_nothing(a_world, sandbox, provider_at):
    world = a_world(3, via=provider_at(sandbox.base_url, api_key="sk-wrong-1234567890"))

    with pytest.raises(AccountRefused, match="OPENAI_API_KEY"):
        world.submit()

    assert world.executions["files_uploaded"] == world.executions["batches_created"] == 0
    assert "1234567890" not in world.batch.reason


# Waiting


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_an_unreachable_provider_is_tried_again_later(a_world, provider, closed_port, provider_at):
    world = a_world(3, via=provider_at(f"http://127.0.0.1:{closed_port}/v1"))

    with pytest.raises(ProviderUnreachable, match=str(closed_port)):
        world.submit()

    assert world.batch.state is BatchState.PLANNED
    assert str(closed_port) in world.batch.reason
    wait = world.batch.not_before - world.ledger.clock()
    assert wait == backoff(1, world.batch.key)
    world.deployment = replace(world.deployment, provider=provider)
    assert dispatch(world.deployment, world.request_set).sent == 0
    world.clock.advance(wait.total_seconds())
    assert dispatch(world.deployment, world.request_set).sent == 1


def test_a_full_provider_is_given_more_time_with_each_refusal(a_world, script):
    """Row 31: a refusal for want of room is no failure, and uses up no attempt."""
    script.replies[CREATE] = [refusal(429) for _ in range(12)]
    world = a_world(3)
    submission = world.submit()

    waits = []
    for _ in range(9):
        assert world.batch.state is BatchState.PLANNED
        waits.append(world.capacity.not_before - world.ledger.clock())
        world.clock.advance(waits[-1].total_seconds())
        world.advance()

    assert submission.waiting_for.kind is WaitKind.CAPACITY
    assert waits == [backoff(refusals, "openai") for refusals in range(1, 10)]
    assert (world.batch.attempt, world.batch.refusals) == (1, 10)


def test_a_full_provider_is_not_asked_about_the_next_shard(a_world, script):
    script.replies[CREATE] = [None, refusal(429)]
    world = a_world(12, limits=THREE_ROWS)

    submission = world.submit()
    world.advance()
    world.advance()

    assert (submission.sent, len(submission.waiting)) == (1, 3)
    assert world.executions["batches_created"] == 1
    assert "the provider is full for now" in world.batches[1].reason


def test_a_full_provider_gets_as_much_as_it_held_when_it_refused_more(a_world, script):
    """The belief follows what was seen: room that comes free is used without waiting."""
    script.replies[CREATE] = [None, None, refusal(429)]
    world = a_world(12, limits=THREE_ROWS)
    world.submit()
    held = world.ledger.held(world.deployment.provider.account).tokens

    assert world.capacity.believed_tokens == held
    world.poll(after=100)
    world.advance()

    assert world.states == ["collected", "collected", "submitted", "submitted"]


def test_more_than_was_believed_is_tried_after_the_wait_and_learned_from(a_world, script):
    script.replies[CREATE] = [None, refusal(429)]
    world = a_world(12, limits=THREE_ROWS)
    world.submit()

    world.clock.advance((world.capacity.not_before - world.ledger.clock()).total_seconds())
    world.advance()

    assert world.states == ["submitted"] * 4
    world.finish()
    assert (world.capacity.refusals, world.capacity.not_before) == (0, None)


def test_nobody_comes_before_the_wait_is_over(a_world, script):
    script.replies[CREATE] = [refusal(429)]
    world = a_world(3)
    world.submit()

    assert world.submit().waiting_for.kind is WaitKind.CAPACITY
    assert world.executions["files_uploaded"] == 1
