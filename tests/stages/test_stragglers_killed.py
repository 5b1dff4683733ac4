"""A real process is killed with SIGKILL while it rescues stragglers, and another goes on.

Nothing is lost; and nothing is asked twice but the one live request that was on its way. The
sandbox's own count is the judge.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage_world import Script, World
from starlette.responses import Response
from stragglers_world import HOUR, accounts

HERE = Path(__file__).parent
ITEMS = 6


class Killed:
    """Processes that take the partition forward; one may die at a call of a route, or while a
    live request of its is answered.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._dies_at: tuple[str, int] | None = None
        self._calls = 0
        self._is_live = False

    def on_route(self, route: str) -> Response | None:
        """Called by the sandbox before it does what was called: that is done all the same."""
        self._is_live = route == "live.create"
        if not self._is_live:
            self._count(route)
        return None

    def answer(self, body: dict[str, Any]) -> None:
        """Called by the sandbox while a request is answered, live or in a batch."""
        if self._is_live:
            self._count("live.create")

    def _count(self, call: str) -> None:
        if self._dies_at is None or call != self._dies_at[0]:
            return
        self._calls += 1
        if self._calls == self._dies_at[1]:
            assert self._process is not None
            self._process.kill()
            self._process.wait()

    def run(self, *, dies_at: str, call: int = 1) -> int:
        """Start a process, and kill it at that call of the route; how it ended."""
        self._dies_at, self._calls = (dies_at, call), 0
        facts = (self._world.sandbox.base_url, self._world.clock.now(), ITEMS)
        paths = os.pathsep.join(map(str, (HERE.parent, HERE)))
        self._process = subprocess.Popen(
            [sys.executable, HERE / "stragglers_run.py", self._folder, *map(str, facts)],
            env=os.environ | {"PYTHONPATH": paths},
        )
        code = self._process.wait(120)
        self._dies_at = None
        self._world.lease_over()
        return code


@pytest.fixture
def killed(
    late_world: Callable[..., World], tmp_path: Path, script: Script, monkeypatch
) -> tuple[World, Killed]:
    """A partition at its deadline, and processes to kill."""
    world = late_world(ITEMS)
    world.submit()
    world.ledger.request_sets.let_go("run-1")
    world.clock.advance(20 * HOUR)
    processes = Killed(world, tmp_path)
    monkeypatch.setattr(script, "on_route", processes.on_route)
    script.answer = processes.answer
    return world, processes


def test_killed_while_it_cancels_the_next_one_goes_on(killed) -> None:
    """The provider has cancelled the batch, and the ledger does not know that it was told to."""
    world, processes = killed

    code = processes.run(dies_at="batches.cancel")
    untold = (world.request_set.awaits_rescue, world.batch.rescued_at)
    world.finish(after=61)

    assert code == -signal.SIGKILL
    assert untold == (True, None)
    assert world.column("outcome") == ["ok"] * ITEMS
    assert world.executions["requests_executed"] == ITEMS


def test_killed_between_the_cancellation_and_the_planning_the_next_one_plans_it(killed) -> None:
    world, processes = killed
    world.advance()
    world.ledger.request_sets.let_go("run-1")
    world.clock.advance(61)

    code = processes.run(dies_at="files.content")
    unplanned = (world.states, world.request_set.rescue_wave)
    world.finish(after=0)

    assert code == -signal.SIGKILL
    assert unplanned == (["ended"], None)
    assert world.column("outcome") == ["ok"] * ITEMS
    assert world.executions["requests_executed"] == ITEMS


def test_killed_in_the_middle_of_the_live_wave_only_what_was_on_its_way_is_asked_again(
    killed,
) -> None:
    world, processes = killed
    world.advance()
    world.ledger.request_sets.let_go("run-1")
    world.clock.advance(61)

    code = processes.run(dies_at="live.create", call=2)
    planned = world.request_set.rescue_wave
    world.finish(after=0)

    assert code == -signal.SIGKILL
    assert planned == 1
    assert world.column("outcome") == ["ok"] * ITEMS
    assert accounts(world) == {"openai": 3, "openai-live": 3}
    assert world.executions["requests_executed"] == ITEMS + 1
    assert world.executions["max_executions_of_one_body"] == 2


def test_killed_at_every_step_it_comes_to_its_end(killed) -> None:
    world, processes = killed

    codes = [processes.run(dies_at="batches.cancel")]
    world.clock.advance(61)
    codes += [processes.run(dies_at="files.content")]
    codes += [processes.run(dies_at="live.create", call=2) for _ in range(2)]
    world.finish(after=0)

    assert codes == [-signal.SIGKILL] * 4
    assert world.column("outcome") == ["ok"] * ITEMS
    # Two processes died with a live request on its way.
    assert world.executions["requests_executed"] == ITEMS + 2
