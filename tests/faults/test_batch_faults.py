"""However a batch ends, or does not end, what it answered is kept and the rest is accounted for."""

from collections import Counter

import pytest

from batch_assets.domain.batch import BatchState
from batch_assets.domain.control import Scope
from batch_assets.sandbox import (
    CancelledOutside,
    Expires,
    FailsValidation,
    Stuck,
)
from batch_assets.stages.control import cancel, give_up

A_DAY = 24 * 3_600.0


def called_off(world, *, at_provider=True):
    """A person cancels the partition."""
    scope = Scope(inference="words", partition_key="p")
    return cancel(world.deployment, scope, owner="Ann", reason="enough", at_provider=at_provider)


# Expiry


@pytest.mark.parametrize("at", [0.0, 0.3, 0.9])
def test_an_expired_batch_keeps_its_answers_and_the_rest_is_asked_again(a_world, faults, at):
    """Rows 8 and 9: the part that was answered is used, and only the other part is sent again."""
    faults.batches(Expires(at))
    world = a_world(10)

    world.carry()

    world.judged("ok", executed=10)
    assert Counter(world.column("wave")) == Counter({0: int(10 * at), 1: 10 - int(10 * at)})


def test_a_batch_that_expires_with_every_answer_is_not_sent_again(a_world, faults):
    faults.batches(Expires(1.0))
    world = a_world(10)

    world.carry()

    world.judged("ok", executed=10)
    assert world.executions["batches_created"] == 1


def test_batches_that_always_expire_are_given_up_after_their_waves(a_world, faults):
    faults.batches(Expires(0.0), times=None)
    world = a_world(4, max_waves=3)

    world.carry()

    world.judged("expired", executed=0, most=0)
    assert world.attempts == [3] * 4
    assert world.executions["batches_created"] == 3


# Cancelled by somebody else


@pytest.mark.parametrize("at", [0.0, 0.5])
def test_what_somebody_else_cancelled_is_collected_and_ends_as_cancelled(a_world, faults, at):
    """Row 18: what was finished before the cancellation was paid for, and is there."""
    faults.batches(CancelledOutside(at))
    world = a_world(10)

    world.carry()

    outcomes = world.column("outcome")
    assert Counter(outcomes) == Counter({"ok": int(10 * at), "cancelled": 10 - int(10 * at)})
    world.judged(*outcomes, executed=int(10 * at), most=int(at > 0))
    assert world.executions["batches_created"] == 1


# Failed at validation


def test_a_batch_that_fails_by_its_lines_keeps_those_items_back_and_asks_the_others(
    a_world, faults
):
    """The provider's lines are the user's items, and the others were not to blame."""
    faults.batches(FailsValidation("invalid_body", "No such parameter.", lines=(1, 3)))
    world = a_world(4)

    world.carry()

    world.judged("errored", "ok", "errored", "ok", executed=2)
    assert world.column("error_code") == ["invalid_body", None, "invalid_body", None]
    assert world.column("error_message")[0] == "No such parameter."


def test_a_line_number_that_the_shard_does_not_have_blames_no_item_of_it(a_world, faults):
    faults.batches(FailsValidation("invalid_body", "No such parameter.", lines=(99,)))
    world = a_world(4)

    world.carry()

    world.judged("errored", executed=0, most=0)
    assert world.executions["batches_created"] == 1


def test_a_batch_that_fails_without_a_line_ends_with_the_providers_words(a_world, faults):
    faults.batches(FailsValidation("invalid_endpoint", "No such endpoint."))
    world = a_world(4)

    world.carry()

    world.judged("errored", executed=0, most=0)
    assert set(world.column("error_code")) == {"invalid_endpoint"}
    assert all("No such endpoint." in text for text in world.column("error_message"))


def test_batches_that_always_fail_for_one_line_each_come_to_an_end(a_world, faults):
    faults.batches(FailsValidation("invalid_body", "Bad.", lines=(1,)), times=None)
    world = a_world(6, max_waves=3)

    world.carry()

    world.judged("errored", executed=0, most=0)
    assert world.executions["batches_created"] == 3


# Stuck


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing"])
def test_a_stuck_batch_is_never_sent_a_second_time(a_world, faults, status):
    """Row 28: what still runs, and bills, stays to be seen; whoever looks gets it again."""
    faults.batches(Stuck(status))
    world = a_world(4)
    world.send()

    for _ in range(10):
        assert world.tick(A_DAY) is None

    assert (world.batch.state, world.batch.provider_status) == (BatchState.SUBMITTED, status)
    assert world.ledger.held(world.batch.account).batches == 1
    assert world.executions["batches_created"] == 1


@pytest.mark.parametrize(("status", "answered"), [("validating", 0), ("in_progress", 5)])
def test_a_stuck_batch_that_a_person_cancels_ends_with_what_it_answered(
    a_world, faults, status, answered
):
    faults.batches(Stuck(status, at=0.5))
    world = a_world(10)
    world.send()
    world.tick()
    called_off(world)

    world.bring_home()

    outcomes = world.column("outcome")
    assert Counter(outcomes) == Counter({"ok": answered, "cancelled": 10 - answered})
    world.judged(*outcomes, executed=answered, most=int(answered > 0))


def test_a_cancellation_that_never_ends_is_ended_by_a_person(a_world, faults):
    """Row 18: until then the batch is followed, since its answers may still come."""
    faults.batches(Stuck("cancelling"))
    world = a_world(4)
    world.send()
    called_off(world)
    for _ in range(5):
        assert world.tick(A_DAY) is None
    assert world.batch.provider_status == "cancelling"

    give_up(world.ledger, world.batch.id, owner="Ann")
    world.bring_home()

    world.judged("cancelled", executed=0, most=0)
    assert "Ann gave it up" in world.batch.reason
