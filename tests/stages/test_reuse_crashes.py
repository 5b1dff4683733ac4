"""Wherever a process stops while it carries answers over, or while a canary goes first, nothing is
asked a second time.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from crash_points import PointedFiles, pointed_ledger, pointed_provider
from factories import a_corpus, a_table
from stage_world import World

from batch_assets.domain.shard import Limits
from batch_assets.ledger.engine import open_engine

THREE_ROWS = Limits(requests=3, bytes=10**6)


class Stopped(BaseException):
    """The process is no more."""


def stopping_at(point: int) -> Callable[[str], None]:
    passed = count(1)

    def points(name: str) -> None:
        if next(passed) == point:
            raise Stopped(name)

    return points


def goes_until(world: World, point: int, folder: Path) -> bool:
    """The whole way of the partition, unless it ends at that point before."""
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
        replace(world, deployment=process, manifests=[]).carry()
    except Stopped:
        return False
    finally:
        engine.dispose()
    return True


@pytest.mark.parametrize("rows_per_request", [1, 2])
def test_what_is_carried_over_is_asked_once_wherever_the_process_stops(
    a_world, tmp_path, rows_per_request
):
    for point in count(1):
        world = a_world(
            7, inference=f"words_{point}", limits=THREE_ROWS, rows_per_request=rows_per_request
        )
        world.carry()
        bought = world.executions["requests_executed"]
        words = [f"word {row}" for row in range(6)] + [f"changed {point}"]
        a_corpus(tmp_path / "corpus", a_table(7, word=words))

        arrived = goes_until(world, point, tmp_path)
        world.lease_over()
        world.carry()

        assert world.executions["requests_executed"] == bought + 1
        assert world.column("outcome") == ["ok"] * 7
        if arrived:
            break
    assert point > 40


def test_the_rest_is_asked_once_wherever_the_process_stops_behind_its_canary(a_world, tmp_path):
    for point in count(1):
        before = a_world(1).executions["requests_executed"]
        world = a_world(
            a_table(8, word=[f"word {row} of {point}" for row in range(8)]),
            inference=f"words_{point}",
            limits=THREE_ROWS,
            canary=4,
        )

        arrived = goes_until(world, point, tmp_path)
        world.lease_over()
        world.carry()

        assert world.executions["requests_executed"] == before + 8
        assert world.column("outcome") == ["ok"] * 8
        if arrived:
            break
    assert point > 40
