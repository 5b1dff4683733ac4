"""A lane whose process is killed with SIGKILL goes on behind what was answered.

What was on its way is asked again: so many requests, at most, as are sent at once. The sandbox's
own count is the judge.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import msgspec
import pytest
from stage_world import Script, World

from batch_assets.domain.control import Scope
from batch_assets.domain.errors import AccountRefused
from batch_assets.files import Files
from batch_assets.files.answers_log import open_log
from batch_assets.files.store import NewFile
from batch_assets.sandbox import AccountRefusal
from batch_assets.stages.advance import advance
from batch_assets.stages.control import resume
from batch_assets.stages.lease import LEASE
from batch_assets.stages.resolve import Resolution

AWorld = Callable[..., World]
HERE = Path(__file__).parent


class Killed:
    """Processes that carry the partition out, each killed at a request of its own."""

    def __init__(self, world: World, folder: Path, script: Script, items: int) -> None:
        self._world = world
        self._folder = folder
        self._script = script
        self._items = items
        #: How often each body was asked, by processes that are dead.
        self.asked: Counter[bytes] = Counter()

    def run(self, *, dies_at: int, concurrency: int = 1) -> int:
        """Start a process and kill it while the endpoint works on its request of that number."""
        asked, started = 0, Event()
        process: subprocess.Popen[bytes] | None = None

        def answer(body: dict[str, object]) -> None:
            nonlocal asked
            started.wait()
            asked += 1
            self.asked[msgspec.json.encode(body)] += 1
            if asked == dies_at:
                assert process is not None
                process.kill()
                process.wait()

        self._script.answer = answer
        paths = os.pathsep.join(map(str, (HERE.parent, HERE)))
        facts = (self._world.sandbox.base_url, self._world.clock.now(), concurrency, self._items)
        process = subprocess.Popen(
            [sys.executable, HERE / "lane_run.py", self._folder, *map(str, facts)],
            env=os.environ | {"PYTHONPATH": paths},
        )
        started.set()
        code = process.wait(120)
        self._script.answer = lambda body: None
        self._world.clock.advance(LEASE.total_seconds() + 1)
        return code


def killed_world(world: World, folder: Path, script: Script, items: int) -> Killed:
    world.submit()
    return Killed(world, folder, script, items)


def test_a_lane_killed_at_every_request_asks_again_only_what_was_on_its_way(
    a_world: AWorld, lane, tmp_path: Path, script: Script
) -> None:
    world = a_world(5, via=lane)
    killed = killed_world(world, tmp_path, script, 5)

    # Each dies at its second request: the first was answered, the second not.
    codes = [killed.run(dies_at=2) for _ in range(4)]
    state = world.advance()

    assert codes == [-signal.SIGKILL] * 4
    assert isinstance(state, Resolution)
    assert world.column("outcome") == ["ok"] * 5
    # Five answers, and one that four processes each died in front of.
    assert world.executions["requests_executed"] == 5 + 4
    assert world.executions["bodies_executed_more_than_once"] == 4
    assert world.executions["max_executions_of_one_body"] == 2


def test_a_lane_killed_before_its_first_answer_begins_anew(
    a_world: AWorld, lane, tmp_path: Path, script: Script
) -> None:
    world = a_world(3, via=lane)
    killed = killed_world(world, tmp_path, script, 3)

    killed.run(dies_at=1)
    world.advance()

    assert world.executions["requests_executed"] == 3 + 1


def test_a_lane_that_asks_several_at_once_asks_no_more_than_those_again(
    a_world: AWorld, lane, tmp_path: Path, script: Script
) -> None:
    world = a_world(60, via=lane)
    killed = killed_world(world, tmp_path, script, 60)

    codes = [killed.run(dies_at=25, concurrency=4), killed.run(dies_at=12, concurrency=4)]
    world.advance()

    assert codes == [-signal.SIGKILL] * 2
    assert world.column("outcome") == ["ok"] * 60
    assert 2 <= world.executions["bodies_executed_more_than_once"] <= 8
    assert world.executions["requests_executed"] <= 60 + 8


def test_another_run_waits_until_the_lease_of_a_killed_one_is_over(
    a_world: AWorld, lane, tmp_path: Path, script: Script
) -> None:
    world = a_world(3, via=lane)
    killed = killed_world(world, tmp_path, script, 3)
    now = world.clock.now()
    killed.run(dies_at=2)
    world.clock.restart(now)

    world.advance()
    asked_within = world.executions["requests_executed"]
    world.clock.advance(LEASE.total_seconds() + 1)
    world.advance()

    assert asked_within == 2
    assert world.column("outcome") == ["ok"] * 3


def test_half_a_line_of_a_killed_writer_is_no_answer(files: Files) -> None:
    first = open_log(files, "answers", writer="a")
    first.add(b'{"custom_id":"r-0"}\n')
    first.close()
    part = files.local_path("answers/a.jsonl")
    assert part is not None
    with part.open("ab") as torn:
        torn.write(b'{"custom_id":"r-1","resp')

    second = open_log(files, "answers", writer="b")
    second.add(b'{"custom_id":"r-1"}\n')
    second.close()

    assert list(second.lines()) == [b'{"custom_id":"r-0"}\n', b'{"custom_id":"r-1"}\n']
    assert second.copy_to("whole.jsonl") == 2


class _Dies(Exception):
    """In place of the end of the process."""


class _DyingFiles(Files):
    """Dies at one of the places where a lane's end is put down."""

    def __init__(self, root: str, at: str) -> None:
        super().__init__(root)
        self._at = at

    @contextmanager
    def create(self, path: str) -> Iterator[NewFile]:
        with super().create(path) as new:
            yield new
        if self._at == "raw output written" and path.endswith(".output.jsonl"):
            raise _Dies

    def delete(self, path: str) -> None:
        if self._at == "moves committed":
            raise _Dies
        super().delete(path)


@pytest.mark.parametrize("at", ["raw output written", "moves committed"])
def test_a_lane_killed_while_it_ends_a_batch_asks_nothing_again(
    a_world: AWorld, lane, at: str
) -> None:
    world = a_world(3, via=lane)
    world.submit()
    dying = replace(world.deployment, files=_DyingFiles(world.files.root, at))
    with pytest.raises(_Dies):
        advance(dying, world.recipe, world.request_set)

    state = world.advance()

    assert isinstance(state, Resolution)
    assert world.column("outcome") == ["ok"] * 3
    assert world.executions["requests_executed"] == 3


@pytest.fixture
def remote(tmp_path: Path) -> Files:
    """A store that is no folder."""
    return Files(f"memory://{tmp_path.name}")


def test_a_line_is_in_the_bucket_when_its_add_returns(remote: Files) -> None:
    """Those of several threads share objects; none waits for a later one."""
    log = open_log(remote, "answers", writer="a")
    unsaid: list[int] = []

    def add(number: int) -> None:
        line = b"line %d\n" % number
        log.add(line)
        if line not in open_log(remote, "answers", writer="reader").lines():
            unsaid.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(200)))

    assert unsaid == []
    assert sorted(log.lines()) == sorted(b"line %d\n" % number for number in range(200))


def test_a_lane_goes_on_behind_what_is_in_a_bucket(
    a_world: AWorld, lane, remote: Files, script: Script
) -> None:
    world = a_world(5, via=lane)
    world.deployment = replace(world.deployment, files=remote)
    world.submit()
    script.calls("live.create", AccountRefusal("forbidden"), after=3, times=None)
    with pytest.raises(AccountRefused):
        world.advance()
    script.forget()
    resume(world.ledger, Scope(account=world.batch.account), owner="ann")

    world.advance()

    assert world.column("outcome") == ["ok"] * 5
    assert world.executions["requests_executed"] == 5
    assert remote.names(world.layout.answers(world.batch)) == []
