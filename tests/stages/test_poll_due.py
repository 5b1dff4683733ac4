"""Which batches are asked about when, and that none is forgotten."""

from dataclasses import replace
from datetime import timedelta

import pytest

from batch_assets.domain.errors import BatchUnknown
from batch_assets.domain.shard import Limits
from batch_assets.resources import search
from batch_assets.resources.openai import client
from batch_assets.sandbox import SlowAnswer
from batch_assets.stages.poll import OVERDUE, PollReport, poll_due, poll_if_overdue

ONE_ROW = Limits(requests=1, bytes=10**6)
EVERY = timedelta(seconds=30)


@pytest.fixture
def far_off(sandbox) -> None:
    """Batches take most of a day."""
    sandbox.state.change_settings({"latency": 80_000.0})


@pytest.fixture
def small_pages(monkeypatch):
    """Three batches to a page."""
    for module in (client, search):
        monkeypatch.setattr(module, "PAGE", 3)


def asked_over(world, border, span: timedelta, *, ticks_of: int = 1) -> int:
    """Calls of so many code locations, each of which ticks every half a minute."""
    border.calls.clear()
    locations = [replace(world.deployment, owner=f"sensor-{n}") for n in range(ticks_of)]
    for _ in range(int(span / EVERY)):
        for location in locations:
            poll_due(location, EVERY)
            world.clock.advance(EVERY.total_seconds() / ticks_of)
    return len(border.calls)


# How often


@pytest.mark.usefixtures("far_off")
def test_a_young_batch_is_asked_about_at_each_tick(a_world, border, provider_at):
    world = a_world(1, via=provider_at(border.base_url))
    world.submit()

    assert asked_over(world, border, timedelta(minutes=5)) == 10


@pytest.mark.usefixtures("far_off")
def test_a_batch_that_takes_long_is_asked_about_less_and_less_often(a_world, border, provider_at):
    world = a_world(1, via=provider_at(border.base_url))
    world.submit()

    hours = [asked_over(world, border, timedelta(hours=1)) for _ in range(3)]

    assert hours[0] < 40
    assert hours[1] <= 10
    assert hours[2] in (6, 7)


@pytest.mark.usefixtures("far_off")
@pytest.mark.parametrize("locations", [2, 3])
def test_code_locations_over_one_ledger_ask_no_more_often_together(
    a_world, border, provider_at, locations
):
    """Whoever asked wrote down when."""
    world = a_world(1, via=provider_at(border.base_url))
    world.submit()

    calls = asked_over(world, border, timedelta(minutes=5), ticks_of=locations)

    assert calls <= 12


def test_a_batch_like_many_that_ended_is_asked_about_when_it_is_expected(
    a_world, border, provider_at, sandbox
):
    sandbox.state.change_settings({"latency": 7_200.0})
    world = a_world(6, limits=ONE_ROW, via=provider_at(border.base_url), reuse=False)
    world.submit()
    assert world.poll(after=7_200) == PollReport(open=0, ended=6)
    again = a_world(1, via=provider_at(border.base_url), reuse=False, system="Again.")
    again.submit()

    asked_over(again, border, timedelta(minutes=30))
    far_off = asked_over(again, border, timedelta(minutes=60))
    asked_over(again, border, timedelta(minutes=40))

    *_, batch = again.batches
    assert far_off <= 7
    assert batch.ended_at - batch.submitted_at <= timedelta(seconds=7_200) + 2 * EVERY


# Who waits in a run


def test_a_run_that_waits_asks_where_the_sensor_would_have_and_did_not(a_world, sandbox):
    sandbox.state.change_settings({"latency": 80_000.0})
    world = a_world(1)
    world.submit()
    world.poll(after=3_600)  # due again after a tenth of its age

    world.clock.advance(360 + OVERDUE.total_seconds() - 1)
    early = poll_if_overdue(world.deployment)
    world.clock.advance(1)

    assert early is None
    assert poll_if_overdue(world.deployment) == PollReport(open=1, ended=0)


# A bounded look, and the next


@pytest.mark.usefixtures("far_off", "small_pages")
def test_a_look_that_is_out_of_calls_is_continued_by_the_next(a_world, border, provider_at):
    world = a_world(9, limits=ONE_ROW, via=provider_at(border.base_url))
    world.submit()
    border.calls.clear()
    provider = world.deployment.provider

    put_off = []
    for _ in range(3):
        world.clock.advance(1)
        with provider.within(60, calls=1):
            put_off.append(poll_due(world.deployment, EVERY).put_off)

    assert put_off == [6, 3, 0]
    assert all(batch.polled_at is not None for batch in world.batches)
    assert len(border.calls) == 3


@pytest.mark.usefixtures("far_off", "small_pages")
def test_none_starves_where_every_look_is_too_short(a_world, border, provider_at):
    world = a_world(9, limits=ONE_ROW, via=provider_at(border.base_url))
    world.submit()

    for _ in range(9):
        world.clock.advance(600)
        with world.deployment.provider.within(60, calls=1):
            poll_due(world.deployment, EVERY)

    now = world.ledger.clock()
    assert max(now - batch.polled_at for batch in world.batches) == timedelta(minutes=20)


@pytest.mark.usefixtures("far_off", "small_pages")
def test_a_slow_provider_is_left_in_time_and_gone_on_with(a_world, sandbox, script):
    """No call is begun that would outlast the look, as far as the calls before tell."""
    world = a_world(9, limits=ONE_ROW)
    world.submit()
    world.poll()  # the SDK's import and the first connection take a while
    before = world.ledger.clock()
    script.calls("batches.list", SlowAnswer(0.2), times=None)
    world.clock.advance(600)

    looks = []
    while not looks or looks[-1].put_off:
        with world.deployment.provider.within(0.5):
            looks.append(poll_due(world.deployment, EVERY))
        world.clock.advance(1)

    assert 2 <= len(looks) <= 4
    assert all(batch.polled_at > before for batch in world.batches)


@pytest.mark.usefixtures("small_pages")
def test_batches_that_the_provider_lost_keep_no_other_from_being_asked_about(
    a_world, sandbox, far_off, tmp_path
):
    world = a_world(4, limits=ONE_ROW)
    world.submit()
    sandbox.state.reset()
    sandbox.state.change_settings({"latency": 80_000.0})
    others = a_world(5, limits=ONE_ROW, system="Others.", reuse=False)
    others.submit()

    for _ in range(8):
        world.clock.advance(30)
        with world.deployment.provider.within(60, calls=2):
            try:
                poll_due(world.deployment, EVERY)
            except BatchUnknown:
                continue

    lost, known = world.batches[:4], world.batches[4:]
    assert all(batch.missed_at is not None and batch.polled_at is None for batch in lost)
    assert all(batch.polled_at is not None for batch in known)


@pytest.mark.usefixtures("far_off")
def test_a_batch_that_the_provider_tells_of_again_is_lost_no_more(a_world):
    world = a_world(1)
    world.submit()
    world.ledger.polls.miss([world.batch], "gone")

    world.poll(after=60)

    assert world.batch.missed_at is None
    assert world.batch.reason is None
