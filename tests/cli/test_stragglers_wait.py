"""What `wait` works on is in its hands, and what another has in hand is left alone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lane_world import SleptTime, a_lane
from stage_world import LATENCY, World
from stragglers_world import AFTER, HOUR, asked_twice

from batch_assets.cli.declared import Declared
from batch_assets.cli.watch import Fate, Watch
from batch_assets.resources.live import LiveLane

MINUTES = timedelta(minutes=10)


def a_watch(world: World, owner: str = "wait", **over: Any) -> Watch:
    """What a `wait` of that name does."""
    deployment = replace(world.deployment, owner=owner)
    return Watch(
        world.ledger, "words", declared=Declared(recipe=world.recipe, deployment=deployment), **over
    )


def held_by(world: World, holder: str, *partitions: str) -> None:
    hold = world.ledger.request_sets.hold
    hold("words", partitions or ["p"], holder=holder, lease=MINUTES)


@pytest.fixture
def submitted(a_world) -> World:
    """A partition that nobody has in hand, and that the provider is done with."""
    world = a_world(3)
    world.submit()
    world.ledger.request_sets.let_go("run-1")
    world.clock.advance(LATENCY)
    return world


def test_a_partition_that_a_run_has_in_hand_is_left_to_it_and_told(submitted) -> None:
    held_by(submitted, "run-9")

    looked = a_watch(submitted).look()

    [seen] = looked.partitions
    assert (seen.fate, seen.why) == (Fate.PENDING, "run-9 has it in hand, and it is left to that")
    assert submitted.states == ["ended"]


def test_what_a_run_lets_go_is_taken_up_at_the_next_look(submitted) -> None:
    held_by(submitted, "run-9")
    watch = a_watch(submitted)
    watch.look()
    submitted.ledger.request_sets.let_go("run-9")

    looked = watch.look()

    assert looked.fates == {Fate.RESOLVED: 1}


def test_what_a_dead_run_had_is_taken_up_once_its_lease_is_over(submitted) -> None:
    held_by(submitted, "run-9")
    submitted.clock.advance(MINUTES.total_seconds() + 1)

    looked = a_watch(submitted).look()

    assert looked.fates == {Fate.RESOLVED: 1}


def test_other_partitions_go_on_beside_one_that_a_run_has(a_world, clock) -> None:
    worlds = [a_world(2, partition_key=key, reuse=False) for key in ("a", "b")]
    for world in worlds:
        world.submit()
    worlds[0].ledger.request_sets.let_go("run-1")
    held_by(worlds[0], "run-9", "a")
    clock.advance(LATENCY)

    looked = a_watch(worlds[0]).look()

    assert [seen.fate for seen in looked.partitions] == [Fate.PENDING, Fate.RESOLVED]


def test_between_two_looks_nobody_has_it_in_hand(submitted) -> None:
    submitted.sandbox.state.change_settings({"latency": 10 * LATENCY})

    a_watch(submitted).look()

    assert submitted.ledger.request_sets.holds("words") == {}


@pytest.fixture
def lane(sandbox, clock) -> Iterator[LiveLane]:
    lane = a_lane(sandbox.base_url, time=SleptTime(clock))
    yield lane
    lane.close()


@pytest.fixture
def late(a_world, lane, sandbox) -> World:
    """A partition whose stragglers are asked live at the next look."""
    sandbox.state.change_settings({"latency": 40 * HOUR, "cancel_delay": 60.0})
    world = a_world(4, stragglers=AFTER)
    world = replace(world, deployment=replace(world.deployment, live=lane))
    world.submit()
    world.ledger.request_sets.let_go("run-1")
    world.clock.advance(20 * HOUR)
    a_watch(world).look()
    world.poll(after=61)
    return world


def during(script, act: Callable[[], Any]) -> list[Any]:
    """What the act gives at each request that is asked live."""
    given: list[Any] = []

    def answer(body: dict[str, Any]) -> None:
        given.append(act())

    script.answer = answer
    return given


def test_while_it_asks_live_the_partition_is_in_its_hands(late, script) -> None:
    held = during(script, lambda: late.ledger.request_sets.holds("words")["p"].holder)

    a_watch(late, owner="wait 1").look()

    assert set(held) == {"wait 1"}
    assert late.column("outcome") == ["ok"] * 4


def test_another_wait_leaves_alone_what_one_asks_live(late, script) -> None:
    other = a_watch(late, owner="wait 2")
    seen = during(script, other.look)

    a_watch(late, owner="wait 1").look()

    whys = {partition.why for looked in seen for partition in looked.partitions}
    assert whys == {"wait 1 has it in hand, and it is left to that"}
    assert late.column("outcome") == ["ok"] * 4
    assert not asked_twice(late)


def test_what_waits_for_an_approval_of_its_live_price_says_so_and_goes_on(a_world, lane) -> None:
    world = a_world(2, needs_approval=True)
    manifest = world.prepare()
    world.ledger.approvals.give("words", "p", manifest.digest, given_by="ann", quote={})
    world.sandbox.state.change_settings({"latency": 40 * HOUR})
    world.submit()
    world.ledger.request_sets.let_go("run-1")
    late = replace(
        world,
        deployment=replace(world.deployment, live=lane),
        recipe=replace(world.recipe, stragglers=AFTER),
    )
    late.clock.advance(20 * HOUR)

    [seen] = a_watch(late).look().partitions

    assert seen.fate is Fate.PENDING
    assert "at a price that nobody approved" in seen.why
    assert late.states == ["submitted"]
