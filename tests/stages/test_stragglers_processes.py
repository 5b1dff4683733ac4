"""Stragglers in several processes, and in one that stops: nothing is lost or paid for twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from crash_points import PointedFiles, pointed_ledger, pointed_provider
from factories import a_table
from stage_world import World
from stragglers_world import AFTER, HOUR, accounts, asked_twice, at_deadline

from batch_assets.domain.budget import Budget
from batch_assets.domain.shard import Limits
from batch_assets.ledger.engine import open_engine
from batch_assets.sandbox import HttpError


def test_of_two_processes_one_begins_the_rescue_and_nothing_is_asked_twice(late_world) -> None:
    one = late_world(6)
    one.submit()
    other = replace(one, deployment=replace(one.deployment, owner="run-2"), manifests=one.manifests)
    one.poll(after=20 * HOUR)

    one.advance(), other.advance()
    one.poll(after=61)
    one.advance(), other.advance()

    assert one.column("outcome") == ["ok"] * 6
    assert not asked_twice(one)


def test_a_run_that_has_the_partition_begins_its_rescue_itself(late_world) -> None:
    world = late_world(6)
    world.submit()
    world.clock.advance(20 * HOUR)
    hold = world.ledger.request_sets.hold
    hold("words", ["p"], holder="run-1", lease=timedelta(minutes=1))

    other = world.ledger.rescues.begin(world.request_set, owner="run-2", reason="late")
    own = world.ledger.rescues.begin(world.request_set, owner="run-1", reason="late")

    assert (other, own) == (False, True)


def test_without_its_lane_what_was_planned_live_goes_to_nobody_else_by_itself(
    late_world, script, slow
) -> None:
    script.calls("live.create", HttpError(500), times=3)
    with_lane = late_world(2)
    with_lane.submit()
    at_deadline(with_lane)
    with_lane.poll(after=61)
    with_lane.advance()
    without = replace(
        with_lane,
        deployment=replace(with_lane.deployment, live=None),
        recipe=replace(with_lane.recipe, stragglers=None),
    )
    without.clock.advance(HOUR)

    without.advance()
    states = without.states
    slow.state.change_settings({"latency": 100.0})
    without.submit()
    without.finish()

    assert states == ["collected", "collected", "abandoned"]
    assert str(without.batches[-1].account) == "openai"
    assert without.column("outcome") == ["ok"] * 2


class Stopped(BaseException):
    """The process is no more."""


def stopping_at(point: int) -> Callable[[str], None]:
    passed = count(1)

    def points(name: str) -> None:
        if next(passed) == point:
            raise Stopped(name)

    return points


def rescues_until(world: World, point: int, folder: Path) -> bool:
    """From the deadline to the results, unless it ends at that point before."""
    engine, points = open_engine(f"sqlite:///{folder / 'ledger.sqlite3'}"), stopping_at(point)

    def time() -> datetime:
        return datetime.fromtimestamp(world.clock.now(), UTC)

    try:
        process = replace(
            world.deployment,
            ledger=pointed_ledger(engine, points, time),
            files=PointedFiles(world.files.root, points),
            provider=pointed_provider(world.deployment.provider, points),
        )
        stopped = replace(world, deployment=process)
        stopped.advance()
        stopped.poll(after=61)
        stopped.advance()
    except Stopped:
        return False
    finally:
        engine.dispose()
    return True


def test_wherever_the_process_stops_nothing_is_lost_and_nothing_is_paid_for_twice(
    a_world, provider_at, lane, slow, tmp_path
) -> None:
    one_batch = provider_at(slow.base_url, budget=Budget(batches=1))
    for point in count(1):
        words = [f"word {row} of {point}" for row in range(6)]
        world = a_world(
            a_table(6, word=words),
            inference=f"words_{point}",
            limits=Limits(requests=4, bytes=10**6),
            via=one_batch,
            live=lane,
            stragglers=AFTER,
        )
        world.submit()
        world.poll(after=20 * HOUR)

        arrived = rescues_until(world, point, tmp_path)
        world.lease_over()
        world.finish(after=61)

        assert world.column("outcome") == ["ok"] * 6
        assert not asked_twice(world)
        assert accounts(world) == {"openai": 2, "openai-live": 4}
        if arrived:
            break
    assert point > 20
