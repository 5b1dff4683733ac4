"""A lane under the rate limit of the sandbox: every request gets its answer, and is asked once."""

from collections.abc import Callable

from stage_world import World

AWorld = Callable[..., World]


def test_a_lane_keeps_to_what_a_full_endpoint_lets_through(a_world: AWorld, lane) -> None:
    """Ninety requests at thirty a minute take two minutes and are refused now and then."""
    world = a_world(90, via=lane)
    world.sandbox.state.change_settings({"live_requests_per_minute": 30})
    begin = world.clock.now()
    world.submit()

    world.advance()

    assert world.column("outcome") == ["ok"] * 90
    assert world.executions["max_executions_of_one_body"] == 1
    assert 120 <= world.clock.now() - begin < 200


def test_several_at_once_keep_to_it_too(a_world: AWorld, lane_at, faults) -> None:
    """Those that are refused together wait together, and fewer ask at once after that."""
    world = a_world(90, via=lane_at(concurrency=8))
    world.sandbox.state.change_settings({"live_requests_per_minute": 30})
    world.submit()

    world.finish()

    assert world.column("outcome") == ["ok"] * 90
    assert world.executions["max_executions_of_one_body"] == 1
    assert faults.called("live.create") <= 90 + 60
