"""The live lane on Anthropic's wire: the same stages, and lines as its batches have them."""

from collections.abc import Callable, Iterator

import pytest
from lane_world import SleptTime, a_lane
from stage_world import Script, World

from batch_assets.domain.errors import AccountRefused
from batch_assets.resources.live import LiveLane
from batch_assets.resources.live.anthropic_caller import anthropic_caller
from batch_assets.sandbox import (
    AccountRefusal,
    ConnectionCut,
    HtmlPage,
    ItemError,
    ManualClock,
    RateLimited,
    RunningSandbox,
    ServerError,
)

AWorld = Callable[..., World]


@pytest.fixture
def claude(sandbox: RunningSandbox, clock: ManualClock) -> Iterator[LiveLane]:
    address = f"{sandbox.origin}/anthropic"
    lane = a_lane(address, caller=anthropic_caller, time=SleptTime(clock), max_retries=1)
    yield lane
    lane.close()


@pytest.fixture
def world(a_world: AWorld, claude: LiveLane) -> World:
    world = a_world(3, via=claude, endpoint="messages", model="claude-haiku-4-5")
    world.submit()
    return world


def test_answers_of_anthropics_come_with_their_tokens(world: World) -> None:
    world.advance()

    assert world.column("outcome") == ["ok"] * 3
    assert all(world.column("input_tokens"))
    assert all(world.column("output_tokens"))
    assert world.executions["requests_executed"] == 3


def test_a_line_is_as_anthropics_batches_have_it(world: World) -> None:
    world.advance()

    first, *_ = world.files.read(world.layout.raw_output(world.batch)).splitlines()

    assert first.startswith(b'{"custom_id":"')
    assert b'"result":{"type":"succeeded","message":{' in first


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (ServerError(529), "overloaded_error"),
        (ServerError(500), "api_error"),
        (HtmlPage(502), "api_error"),
        (ConnectionCut(), "timeout_error"),
    ],
)
def test_what_keeps_failing_ends_as_an_error_that_another_wave_may_cure(
    world: World, script: Script, fault, code: str
) -> None:
    script.calls("live.create", fault, times=2)

    world.advance()
    world.clock.advance(3_600)
    world.advance()

    assert world.column("outcome") == ["ok"] * 3
    assert world.column("wave") == [1, 0, 0]
    lines = world.files.read(world.layout.raw_output(world.batches[0]))
    assert code.encode() in lines


def test_a_full_server_is_waited_for(world: World, script: Script) -> None:
    script.calls("live.create", RateLimited(retry_after=20.0), times=3)
    begin = world.clock.now()

    world.advance()

    assert world.column("outcome") == ["ok"] * 3
    assert world.clock.now() - begin >= 60


def test_a_refused_request_is_its_items_own_error(world: World, script: Script) -> None:
    script.items(ItemError(400), containing="word 1")

    world.advance()

    assert world.column("outcome") == ["ok", "errored", "ok"]
    assert world.column("error_code")[1] == "invalid_request_error"


@pytest.mark.parametrize("reason", ["insufficient_quota", "invalid_key", "forbidden"])
def test_a_refused_account_stops_the_lane(world: World, script: Script, reason: str) -> None:
    script.calls("live.create", AccountRefusal(reason), after=1, times=None)

    with pytest.raises(AccountRefused):
        world.advance()

    assert world.executions["requests_executed"] == 1
    assert world.states == ["submitted"]
