"""What the provider refuses for the account's sake, or for want of room, uses up no attempt."""

from datetime import timedelta

import pytest
from stage_world import LATENCY

from batch_assets.domain.batch import Account
from batch_assets.domain.budget import Budget
from batch_assets.domain.capacity import backoff
from batch_assets.domain.control import Scope, WaitKind
from batch_assets.domain.errors import AccountRefused
from batch_assets.domain.shard import Limits
from batch_assets.sandbox import AccountRefusal, FailsValidation, ItemError, QueueFull, RateLimited
from batch_assets.stages.control import resume

TWO_ROWS = Limits(requests=2, bytes=10**6)
ACCOUNT = Scope(account=Account("openai"))


# No room


@pytest.mark.parametrize(
    "fault", [QueueFull(429), QueueFull(400), RateLimited(retry_after=30)], ids=repr
)
def test_a_full_queue_is_waited_for_and_uses_up_no_attempt(a_world, faults, fault):
    """Row 31: a refusal for capacity is no failure; the attempt is given back."""
    if isinstance(fault, QueueFull):
        faults.batches(fault, times=3)
    else:
        faults.calls("batches.create", fault, times=3)
    world = a_world(4, max_retries=2)

    world.carry()

    world.judged("ok", executed=4)
    assert (world.batch.attempt, world.batch.refusals) == (1, 3)
    assert world.attempts == [1] * 4
    assert faults.called("batches.create") == 4


def test_a_full_queue_is_asked_again_later_each_time(a_world, faults):
    """Row 31: with growing, jittered waits, and never before they are over."""
    faults.batches(QueueFull(), times=None)
    world = a_world(4)
    world.send()
    waits: list[timedelta] = []

    for _ in range(6):
        waits.append(world.capacity.not_before - world.ledger.clock())
        calls = faults.called("batches.create")
        world.tick(waits[-1].total_seconds() - 1)
        assert faults.called("batches.create") == calls
        world.tick(1)
        assert faults.called("batches.create") == calls + 1

    assert waits == [backoff(number, "openai") for number in range(1, 7)]
    assert world.ledger.held(Account("openai")).batches == 0
    faults.clear()
    world.bring_home(after=3_600)
    world.judged("ok", executed=4)


def test_a_full_queue_of_which_we_hold_nothing_says_so(a_world, faults):
    """Row 32: the provider says full, the ledger says empty; one small job was refused."""
    faults.batches(QueueFull())
    world = a_world(1)

    submission = world.submit()

    assert submission.waiting_for.kind is WaitKind.CAPACITY
    assert "the ledger holds nothing of this account" in world.capacity.reason
    world.bring_home()
    world.judged("ok", executed=1)


def test_a_queue_with_room_for_one_batch_gets_one_at_a_time(a_world, faults):
    """Row 31: what the account takes is learned from what it refused."""
    world = a_world(8, limits=TWO_ROWS)
    # The sandbox counts 38 tokens of each batch.
    refusing = faults.batches(QueueFull(limit=50), times=None)

    world.carry()

    assert refusing.hits > 0
    world.judged("ok", executed=8)
    assert [batch.attempt for batch in world.batches] == [1] * 4


def test_a_batch_that_fails_validation_for_want_of_room_is_offered_again(a_world, faults):
    """Row 31: the queue is full as an error of the batch, minutes after its creation."""
    faults.batches(
        FailsValidation("token_limit_exceeded", "Enqueued token limit reached."), times=2
    )
    world = a_world(4)

    world.carry()

    world.judged("ok", executed=4)
    assert world.states == ["abandoned", "abandoned", "collected"]
    assert world.attempts == [1] * 4
    assert world.column("wave") == [0] * 4


def test_a_queue_that_validates_too_late_frees_what_it_refused(a_world, faults):
    faults.batches(FailsValidation("token_limit_exceeded"), after=1, times=2)
    world = a_world(8, limits=TWO_ROWS, budget=Budget(batches=2))

    world.carry()

    world.judged("ok", executed=8)


# The account


REASONS = ["invalid_key", "forbidden", "insufficient_quota", "billing_hard_limit"]


@pytest.mark.parametrize("route", ["files.create", "batches.create"])
@pytest.mark.parametrize("reason", REASONS)
def test_a_refused_account_is_stopped_and_goes_on_when_a_person_says_so(
    a_world, faults, route, reason
):
    faults.calls(route, AccountRefusal(reason))
    world = a_world(8, limits=TWO_ROWS)
    with pytest.raises(AccountRefused):
        world.submit()
    asked = faults.called("files.create")

    for _ in range(3):
        assert world.tick() is None

    assert faults.called("files.create") == asked
    [stop] = world.ledger.pauses.standing()
    assert (stop.is_stop, stop.scope) == (True, ACCOUNT)
    resume(world.ledger, ACCOUNT, owner="Ann")
    world.bring_home()
    world.judged("ok", executed=8)
    assert [batch.attempt for batch in world.batches] == [1] * 4
    assert world.attempts == [1] * 8


@pytest.mark.parametrize(
    ("code", "status"),
    [("insufficient_quota", 429), ("billing_hard_limit_reached", 400), ("invalid_api_key", 401)],
)
def test_an_account_refused_in_its_lines_stops_and_loses_no_attempt(a_world, faults, code, status):
    """Thousands of rows errored in one go, and none of them is to blame."""
    faults.items(ItemError(status, code=code), times=1, containing="word")
    world = a_world(4)
    world.send()
    world.tick()

    assert [pause.is_stop for pause in world.ledger.pauses.standing()] == [True]
    for _ in range(3):
        assert world.tick() is None
    assert world.executions["batches_created"] == 1
    resume(world.ledger, ACCOUNT, owner="Ann")
    world.bring_home()

    world.judged("ok", executed=4)
    assert world.attempts == [1] * 4


def test_an_account_that_stays_refused_comes_to_an_end_all_the_same(a_world, faults):
    """Each time a person put it right, and the lines said that it was not."""
    faults.items(ItemError(429, code="insufficient_quota"), containing="word 1")
    world = a_world(4)
    world.send()

    for _ in range(20):
        resolution = world.tick()
        resume(world.ledger, ACCOUNT, owner="Ann")
        if resolution is not None:
            break

    world.judged("ok", "errored", "ok", "ok", executed=3)
    assert world.executions["batches_created"] <= 6


@pytest.mark.parametrize("code", ["billing_hard_limit_reached", "insufficient_quota"])
def test_an_account_refused_by_an_error_of_its_batch_stops_and_loses_no_attempt(
    a_world, faults, code
):
    faults.batches(FailsValidation(code, "Billing hard limit has been reached."))
    world = a_world(4)
    world.send()
    world.tick()

    [stop] = world.ledger.pauses.standing()
    assert stop.is_stop
    assert "Billing hard limit has been reached." in stop.reason
    assert world.tick() is None
    resume(world.ledger, ACCOUNT, owner="Ann")
    world.bring_home()

    world.judged("ok", executed=4)
    assert world.attempts == [1] * 4
    assert world.column("wave") == [0] * 4


def test_what_is_out_comes_home_though_the_account_is_stopped(a_world, faults):
    """Row 28: leaving batches alone is right; they stay in sight and are collected."""
    faults.calls("batches.create", AccountRefusal("insufficient_quota"), after=1)
    world = a_world(8, limits=TWO_ROWS)
    with pytest.raises(AccountRefused):
        world.submit()
    assert world.states == ["submitted", "planned", "planned", "planned"]

    world.tick(LATENCY)

    assert world.states == ["collected", "planned", "planned", "planned"]
    resume(world.ledger, ACCOUNT, owner="Ann")
    world.bring_home()
    world.judged("ok", executed=8)
