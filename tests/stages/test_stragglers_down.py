"""Stragglers are asked live though the provider of batches is away: it has nothing of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from stage_world import World, lost
from stragglers_world import HOUR, asked_twice, at_deadline

from batch_assets.domain.batch import BatchState
from batch_assets.domain.errors import BatchAssetsError
from batch_assets.sandbox import AccountRefusal, HttpError
from batch_assets.stages.advance import Pending
from batch_assets.stages.resolve import Resolution

#: Nobody listens there.
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def in_doubt(a_world, border, provider_at) -> Callable[[], None]:
    """Gives another inference a batch that the provider must be asked about."""

    def doubt() -> None:
        border.change("POST /v1/batches$", lost)
        world = a_world(2, inference="other", via=provider_at(border.base_url))
        world.submit()
        world.lease_over()

    return doubt


@pytest.fixture
def away(provider_at, script) -> dict[str, Callable[[World], World]]:
    """The world whose provider of batches is away, by how it is."""

    def unreachable(world: World) -> World:
        nobody = provider_at(NOWHERE, timeout_seconds=1.0)
        return replace(world, deployment=replace(world.deployment, provider=nobody))

    def refusing(world: World) -> World:
        for route in ("batches.list", "batches.retrieve", "batches.cancel"):
            script.calls(route, AccountRefusal("invalid_key"), times=None)
        return world

    return {"unreachable": unreachable, "refusing": refusing}


HOWS = pytest.mark.parametrize("how", ["unreachable", "refusing"])


@HOWS
def test_a_planned_live_wave_goes_on(late_world, script, in_doubt, away, how) -> None:
    script.calls("live.create", HttpError(500), times=3)
    world = late_world(2)
    world.submit()
    at_deadline(world)
    world.poll(after=61)
    world.advance()
    waiting = world.states
    in_doubt()
    world.clock.advance(HOUR)

    state = away[how](world).advance()

    assert waiting == ["collected", "collected", "planned"]
    assert isinstance(state, Resolution)
    assert world.column("outcome") == ["ok"] * 2


@HOWS
def test_a_rescue_whose_batches_are_collected_asks_live(late_world, in_doubt, away, how) -> None:
    world = late_world(4)
    world.submit()
    at_deadline(world)
    world.poll(after=61)
    world.collect()
    in_doubt()

    state = away[how](world).advance()

    assert isinstance(state, Resolution)
    assert world.column("outcome") == ["ok"] * 4
    assert not asked_twice(world)


def test_a_batch_that_is_not_collected_is_waited_for(late_world, away) -> None:
    """What it has answered would be paid for twice."""
    world = late_world(4)
    world.submit()
    at_deadline(world)
    world.poll(after=61)

    with pytest.raises(BatchAssetsError):
        away["unreachable"](world).advance()

    assert world.states == ["ended"]
    assert world.request_set.rescue_wave is None


def test_a_batch_that_is_open_is_waited_for(late_world, away) -> None:
    world = late_world(4)
    world.submit()
    at_deadline(world)

    state = away["unreachable"](world).advance()

    assert isinstance(state, Pending)
    assert world.batch.state is BatchState.SUBMITTED
