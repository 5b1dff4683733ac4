"""Who carries a lane's batch out, and what has him stop between two requests."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from factories import a_table
from stage_world import Script, World

from batch_assets.domain.control import Scope
from batch_assets.domain.errors import AccountRefused, StaleMove
from batch_assets.sandbox import AccountRefusal
from batch_assets.stages.advance import Pending
from batch_assets.stages.carry_out import carry_out
from batch_assets.stages.control import cancel, pause, resume
from batch_assets.stages.lease import LEASE
from batch_assets.stages.plan import layout_of
from batch_assets.stages.resolve import Resolution

AWorld = Callable[..., World]
#: Orders are looked for before each request.
AT_ONCE = timedelta()


def carry(world: World, owner: str = "run-1") -> int:
    deployment = replace(world.deployment, owner=owner)
    return carry_out(deployment, world.recipe, world.partition_key, look_every=AT_ONCE)


def at_request(script: Script, number: int, act: Callable[[], object]) -> None:
    """Do something while the endpoint works on the request of that number, from 1."""
    asked = 0

    def answer(body: object) -> None:
        nonlocal asked
        asked += 1
        if asked == number:
            act()

    script.answer = answer


@pytest.fixture
def world(a_world: AWorld, lane) -> World:
    world = a_world(5, via=lane)
    world.submit()
    return world


def test_a_batch_in_hand_is_carried_out_by_nobody_else(world: World, script: Script) -> None:
    others: list[int] = []
    at_request(script, 2, lambda: others.append(carry(world, "run-2")))

    ended = carry(world)

    assert (ended, others) == (1, [0])
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_run_that_is_gone_has_its_batch_for_the_length_of_its_lease(world: World) -> None:
    assert world.ledger.hands.take(world.batch, holder="dead", lease=LEASE)
    before = carry(world)
    world.clock.advance(LEASE.total_seconds() + 1)

    after = carry(world)

    assert (before, after) == (0, 1)


def test_who_lost_its_lease_stops_and_leaves_the_end_to_the_other(
    world: World, script: Script
) -> None:
    def taken_over() -> None:
        world.clock.advance(LEASE.total_seconds() + 1)
        assert world.ledger.hands.take(world.batch, holder="other", lease=LEASE)

    at_request(script, 2, taken_over)

    assert carry(world) == 0
    assert world.executions["requests_executed"] == 2
    assert world.states == ["submitted"]
    # The other finds both answers, once its own is over.
    world.ledger.hands.let_go(world.batch, holder="other")
    assert carry(world) == 1
    assert world.executions["max_executions_of_one_body"] == 1


def test_only_the_holder_ends_a_batch(world: World) -> None:
    batch = world.batch
    assert world.ledger.hands.take(batch, holder="one", lease=LEASE)
    found = next(world.deployment.provider.poll([batch.key], since=batch.created_at))

    with pytest.raises(StaleMove, match="another process"):
        world.ledger.hands.finish(batch, found, holder="another", owner="run-1")


def test_a_cancelled_lane_stops_between_two_requests(world: World, script: Script) -> None:
    scope = Scope(inference="words")
    at_request(
        script,
        3,
        lambda: cancel(world.deployment, scope, owner="ann", reason="why", at_provider=True),
    )

    carry(world)
    state = world.advance()

    assert world.executions["requests_executed"] == 3
    assert isinstance(state, Resolution)
    assert world.column("outcome") == ["ok"] * 3 + ["cancelled"] * 2


def test_a_lane_whose_partition_is_cancelled_to_finish_finishes(
    world: World, script: Script
) -> None:
    scope = Scope(inference="words")
    at_request(
        script,
        3,
        lambda: cancel(world.deployment, scope, owner="ann", reason="why", at_provider=False),
    )

    carry(world)

    assert world.executions["requests_executed"] == 5


def test_what_was_cancelled_on_a_lane_is_asked_when_it_is_submitted_again(
    world: World, script: Script
) -> None:
    scope = Scope(inference="words")
    cancel(world.deployment, scope, owner="ann", reason="why", at_provider=True)
    world.advance()

    world.submit()
    world.advance()
    world.clock.advance(3_600)
    state = world.advance()

    assert isinstance(state, Resolution)
    assert world.column("outcome") == ["ok"] * 5
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_paused_lane_stops_between_two_requests_and_goes_on_behind_them(
    world: World, script: Script
) -> None:
    scope = Scope(inference="words")
    at_request(script, 3, lambda: pause(world.ledger, scope, owner="ann", reason="why"))

    ended = [carry(world), carry(world)]
    asked_while_paused = world.executions["requests_executed"]
    resume(world.ledger, scope, owner="ann")
    ended.append(carry(world))

    assert (ended, asked_while_paused) == ([0, 0, 1], 3)
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_paused_batch_is_none_that_a_run_could_carry_out(world: World) -> None:
    hands, account = world.ledger.hands, world.deployment.provider.account
    before = [batch.id for batch in hands.free(account)]
    pause(world.ledger, Scope(inference="words"), owner="ann", reason="why")

    assert before == [world.batch.id]
    assert hands.free(account) == []


@pytest.mark.parametrize("reason", ["insufficient_quota", "invalid_key", "forbidden"])
def test_a_refused_account_stops_the_lane_and_loses_nothing(
    world: World, script: Script, reason: str
) -> None:
    refused = script.calls("live.create", AccountRefusal(reason), after=2, times=None)

    with pytest.raises(AccountRefused, match="resume"):
        carry(world)
    again = world.advance()

    assert refused.hits == 1
    assert isinstance(again, Pending)
    assert world.states == ["submitted"]
    script.forget()
    resume(world.ledger, Scope(account=world.batch.account), owner="ann")
    world.advance()
    assert world.column("outcome") == ["ok"] * 5
    assert world.executions["max_executions_of_one_body"] == 1


def test_what_a_lane_answered_for_a_replaced_request_set_is_not_asked_again(
    world: World, a_world: AWorld, lane, script: Script
) -> None:
    """Two of five were answered, and of the new rows only the last is another."""
    scope = Scope(inference="words")
    at_request(script, 2, lambda: pause(world.ledger, scope, owner="ann", reason="why"))
    carry(world)
    resume(world.ledger, scope, owner="ann")
    words = [*(f"word {row}" for row in range(4)), "another"]
    other = a_world(a_table(5, word=words), via=lane)
    other.submit()

    state = other.advance()

    assert isinstance(state, Resolution)
    assert other.column("outcome") == ["ok"] * 5
    assert world.executions["requests_executed"] == 2 + 3
    assert world.executions["max_executions_of_one_body"] == 1


def test_what_a_replaced_request_set_had_not_asked_is_not_asked(
    world: World, a_world: AWorld, lane, script: Script
) -> None:
    """Its batch ends with the two answers it has, and those are kept."""
    at_request(
        script, 2, lambda: pause(world.ledger, Scope(inference="words"), owner="ann", reason="why")
    )
    carry(world)
    resume(world.ledger, Scope(inference="words"), owner="ann")
    other = a_world(5, via=lane, user="Another word: {{ word }}")
    other.submit()

    state = other.advance()

    assert isinstance(state, Resolution)
    assert world.executions["requests_executed"] == 2 + 5
    old, new = world.batches
    assert (old.state, old.provider_status) == ("collected", "cancelled")
    assert len(world.files.read(layout_of(old.request_set).raw_output(old)).splitlines()) == 2
    assert new.provider_status == "completed"
