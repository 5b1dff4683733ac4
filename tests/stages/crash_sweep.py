"""Kills a partition's way at every point where it could stop, and lets another process go on.

A program of its own, since it forks, and the process that forks must have no threads of Python's.
`crash_sweep.py FOLDER FIRST STEP` takes the points FIRST, FIRST + STEP, … and prints what it found
as JSON. The sandbox runs in a further process; all of them share one clock.
"""

import itertools
import json
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq
import sqlalchemy as sa
import uvicorn
from factories import a_corpus, a_recipe, a_table
from stage_world import SETTINGS, a_provider

from batch_assets.domain.provider import Provider, ProviderBatch, Upload
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.files.store import NewFile
from batch_assets.ledger import Ledger
from batch_assets.ledger.engine import open_engine
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import Faults, create_app
from batch_assets.sandbox.clock import Clock
from batch_assets.stages.advance import advance
from batch_assets.stages.export import export
from batch_assets.stages.lease import LEASE
from batch_assets.stages.poll import poll
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.submit import layout_of, submit

ITEMS = 30
#: The first and the last item share a request; three shards of 10, 10 and 9 requests.
WORDS = [f"word {row % (ITEMS - 1):02}" for row in range(ITEMS)]
LIMITS = Limits(requests=10, bytes=10**6)
#: The request that has an error at first, so that there is a second wave.
ASKED_TWICE = 14
LATENCY = SETTINGS["latency"]

NOW = multiprocessing.Value("d", 1_760_000_000.0, lock=False)


class SharedClock(Clock):
    """The same time in every process."""

    def now(self) -> float:
        return NOW.value


class ErrorAtFirst(Faults):
    def __init__(self) -> None:
        self._failed: set[str] = set()

    def on_route(self, route: str) -> None:
        if route == "sandbox.reset":
            self._failed.clear()

    def on_item(self, batch_id: str, custom_id: str) -> dict[str, Any] | None:
        if custom_id in self._failed or not custom_id.endswith(f"-{ASKED_TWICE}"):
            return None
        self._failed.add(custom_id)
        return {"custom_id": custom_id, "response": {"status_code": 500, "body": {}}}


class Points:
    """Counts the places where the process could die; at the one chosen, it does."""

    def __init__(self, stop_at: int, diary: Path) -> None:
        self._stop_at = stop_at
        self._diary = diary
        self._passed = 0

    def __call__(self, name: str) -> None:
        self._passed += 1
        if self._passed == self._stop_at:
            self._diary.write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)


class PointedFiles(Files):
    """Files that are begun, and files that have their names."""

    def __init__(self, root: str, points: Points) -> None:
        super().__init__(root)
        self._points = points

    @contextmanager
    def create(self, path: str) -> Iterator[NewFile]:
        name = path.rsplit("/", 1)[-1]
        with super().create(path) as new:
            self._points(f"{name} begun")
            yield new
        self._points(f"{name} written")


class PointedProvider(Provider):
    """Calls that are about to be made, and calls that were answered."""

    def __init__(self, provider: Provider, points: Points) -> None:
        self._provider, self._points = provider, points

    account = property(lambda self: self._provider.account)
    limits = property(lambda self: self._provider.limits)
    budget = property(lambda self: self._provider.budget)

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        self._points(f"{name} called")
        yield
        self._points(f"{name} answered")

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        with self._call("submit"):
            return self._provider.submit(shard, endpoint=endpoint, key=key)

    def find(self, key: str, *, since: datetime) -> ProviderBatch | None:
        with self._call("find"):
            return self._provider.find(key, since=since)

    def poll(self, ids: AbstractSet[str], *, since: datetime) -> Iterator[ProviderBatch]:
        with self._call("poll"):
            found = list(self._provider.poll(ids, since=since))
        yield from found

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        with self._call("uploads"):
            found = list(self._provider.uploads(since=since))
        yield from found

    def delete_upload(self, file_id: str) -> None:
        with self._call("delete_upload"):
            self._provider.delete_upload(file_id)

    def download(self, file_id: str, sink: BinaryIO) -> None:
        with self._call("download"):
            self._provider.download(file_id, sink)

    def cancel(self, batch_id: str) -> ProviderBatch:
        return self._provider.cancel(batch_id)


def pointed_ledger(folder: Path, points: Points) -> Ledger:
    """Transactions that are about to be committed, and those that were."""
    engine = open_engine(f"sqlite:///{folder / 'ledger.sqlite3'}")
    committed: list[str] = []

    def before(connection: sa.Connection) -> None:
        points("commit asked for")
        committed.append("")

    def after(connection: Any, record: Any, state: Any) -> None:
        if committed:
            committed.clear()
            points("commit made")

    sa.event.listen(engine, "commit", before)
    sa.event.listen(engine, "reset", after)
    return Ledger(engine, ledger_time)


def ledger_time() -> datetime:
    return datetime.fromtimestamp(NOW.value, UTC)


class Way:
    """One process on the partition's way."""

    def __init__(self, folder: Path, provider: Provider, points: Points, owner: str) -> None:
        self._recipe = a_recipe(a_corpus(folder.parent / "corpus", a_table(ITEMS, word=WORDS)))
        self.deployment = Deployment(
            ledger=pointed_ledger(folder, points),
            files=PointedFiles(str(folder / "store"), points),
            provider=PointedProvider(provider, points),
            owner=owner,
        )

    def submit(self, limits: Limits = LIMITS) -> int:
        files = self.deployment.files
        return submit(self.deployment, prepare(self._recipe, "p", files=files, limits=limits)).sent

    @property
    def is_submitted(self) -> bool:
        return self.deployment.ledger.request_sets.current("words", "p") is not None

    def finish(self) -> None:
        for _ in range(20):
            NOW.value += LATENCY
            poll(self.deployment)
            request_set = self.deployment.ledger.request_sets.current("words", "p")
            assert request_set is not None
            state = advance(self.deployment, self._recipe, request_set)
            if isinstance(state, Resolution):
                export(self.deployment, state.request_set)
                return
        raise AssertionError(f"still {state.progress}")

    def report(self) -> dict[str, Any]:
        files, ledger = self.deployment.files, self.deployment.ledger
        request_set = ledger.request_sets.current("words", "p")
        assert request_set is not None
        with files.open(layout_of(request_set).results) as source:
            rows = pq.read_table(source).to_pylist()
        return {
            "sent_again": self.submit(),
            "items": [row["item_id"] for row in rows],
            "outcomes": sorted({row["outcome"] for row in rows}),
            "answers": [row["output"]["words"][0] for row in rows if row["output"]],
            "waves": [row["wave"] for row in rows],
            "states": sorted({batch.state.value for batch in ledger.batches()}),
            "held": ledger.held(self.deployment.provider.account).batches,
            "bundles": len(list(Path(files.root).rglob("bundles/**/manifest.json"))),
        }


def in_a_child(work: Callable[[], None]) -> int:
    """Fork, work, and say how the child ended: 0, 1, or the signal it died of as -9."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        work()
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


class Sandbox:
    """The provider in a process of its own."""

    def __init__(self, folder: Path) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._process = os.fork()
        if self._process == 0:
            app = create_app(folder, clock=SharedClock(), faults=ErrorAtFirst(), latency=LATENCY)
            config = uvicorn.Config(app, log_level="error", loop="asyncio")
            uvicorn.Server(config).run(sockets=[listener])
            os._exit(0)
        listener.close()
        self.provider = self.connect()
        # Made before any fork that uses it, and without a connection: a child opens its own.
        assert self.provider._client

    def connect(self) -> OpenAIProvider:
        return a_provider(f"{self._url}/v1")

    def ask(self, route: str, method: str = "GET") -> dict[str, int]:
        call = urllib.request.Request(f"{self._url}/sandbox/{route}", method=method)
        with urllib.request.urlopen(call) as reply:
            return json.load(reply)

    def stop(self) -> None:
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def sweep(folder: Path, sandbox: Sandbox, first: int, step: int) -> Iterator[dict[str, Any]]:
    """One report for each point; the last is of a process that was not killed."""
    for stop_at in itertools.count(first, step):
        home = folder / str(stop_at)
        home.mkdir()
        sandbox.ask("reset", "POST")

        def dies(home: Path = home, stop_at: int = stop_at) -> None:
            way = Way(home, sandbox.provider, Points(stop_at, home / "point"), "run-1")
            way.submit()
            way.finish()

        def goes_on(home: Path = home) -> None:
            """Without another submission where there was one: the daemon alone brings it home."""
            way = Way(home, sandbox.provider, Points(0, home / "none"), "run-2")
            if not way.is_submitted:
                way.submit()
            way.finish()
            (home / "report").write_text(json.dumps(way.report()))

        ended = in_a_child(dies)
        NOW.value += LEASE.total_seconds() + 1
        went_on = in_a_child(goes_on)
        killed = ended == -signal.SIGKILL
        yield {
            "point": (home / "point").read_text() if killed else None,
            "ended": [ended, went_on],
            "executions": sandbox.ask("executions"),
            **(json.loads((home / "report").read_text()) if went_on == 0 else {}),
        }
        shutil.rmtree(home)
        if not killed:
            return


def race(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    """Two processes that send the same 29 shards at the same moment."""
    one_row = Limits(requests=1, bytes=10**6)
    home = folder / "race"
    home.mkdir()
    sandbox.ask("reset", "POST")
    gate_out, gate_in = os.pipe()
    owners = ["run-1", "run-2"]
    children = []
    for owner in owners:
        child = os.fork()
        if child == 0:
            os.close(gate_in)
            way = Way(home, sandbox.provider, Points(0, home / "none"), owner)
            os.read(gate_out, 1)
            (home / owner).write_text(str(way.submit(one_row)))
            os._exit(0)
        children.append(child)
    os.close(gate_in)
    return {
        "ended": [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children],
        "sent": [int((home / owner).read_text()) for owner in owners],
        "executions": sandbox.ask("executions"),
    }


def warm_up(folder: Path, sandbox: Sandbox) -> None:
    """Import and compile, before any fork, what every child would have to."""
    folder.mkdir()
    provider = sandbox.connect()
    way = Way(folder, provider, Points(0, folder / "none"), "run-0")
    way.submit()
    way.finish()
    way.deployment.ledger.close()
    provider.close()
    sandbox.ask("reset", "POST")


def main() -> None:
    folder, first, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    folder.mkdir()
    sandbox = Sandbox(folder / "sandbox")
    try:
        warm_up(folder / "warm", sandbox)
        found = {
            "race": race(folder, sandbox),
            "points": list(sweep(folder, sandbox, first, step)),
        }
    finally:
        sandbox.stop()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
