"""Kills two partitions' way at every point where it could stop, and lets another process go on.

On that way lie a refusal for capacity, an account that is stopped until a person resumes it, a
further wave after its wait, a cancellation at the provider, the reading of results while they come,
the export, and the sweep of what was uploaded in vain.

A program of its own, since it forks, and the process that forks must have no threads of Python's.
`crash_sweep.py FOLDER FIRST STEP` takes the points FIRST, FIRST + STEP, … and prints what it found
as JSON. The sandbox runs in a further process; all of them share one clock.
"""

import contextlib
import gc
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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa
import uvicorn
from crash_points import PointedFiles, Points, pointed_ledger, pointed_provider
from factories import a_corpus, a_recipe, a_table
from stage_world import SETTINGS, a_provider

from batch_assets.corpus import FileCorpus
from batch_assets.domain.control import Scope
from batch_assets.domain.errors import AccountRefused
from batch_assets.domain.shard import Limits
from batch_assets.ledger.engine import open_engine
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import ScriptedFaults, create_app
from batch_assets.sandbox.clock import Clock
from batch_assets.stages.advance import advance
from batch_assets.stages.control import cancel, cancel_at_provider, resume
from batch_assets.stages.export import export
from batch_assets.stages.lease import LEASE
from batch_assets.stages.plan import layout_of
from batch_assets.stages.poll import poll
from batch_assets.stages.prepare import prepare
from batch_assets.stages.read import append_results
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.submit import submit
from batch_assets.stages.sweep import sweep

ITEMS = 12
#: The first and the last item share a request; two shards of 6 and 5 requests.
WORDS = [f"word {row % (ITEMS - 1):02}" for row in range(ITEMS)]
#: The items of the partition that is cancelled while the provider works on it.
CANCELLED = [f"tree {row}" for row in range(4)]
LIMITS = Limits(requests=6, bytes=10**6)
LATENCY = SETTINGS["latency"]
#: What the sandbox does wrong: the request that has an error at first asks for a second wave.
SCRIPT = {
    "calls": [
        {
            "route": "batches.create",
            "fault": {"kind": "account_refusal", "reason": "insufficient_quota"},
            "after": 2,
        },
        # An upload that nobody needs stays, for the sweep.
        {"route": "files.delete", "fault": {"kind": "server_error"}},
    ],
    "batches": [{"faults": [{"kind": "queue_full"}], "after": 1}],
    "items": [{"fault": {"kind": "item_error", "status": 500}, "containing": WORDS[8], "times": 1}],
}

NOW = multiprocessing.Value("d", 1_760_000_000.0, lock=False)


class SharedClock(Clock):
    """The same time in every process."""

    def now(self) -> float:
        return NOW.value


def an_engine(folder: Path) -> sa.Engine:
    return open_engine(f"sqlite:///{folder / 'ledger.sqlite3'}")


def ledger_time() -> datetime:
    return datetime.fromtimestamp(NOW.value, UTC)


class Way:
    """One process on the partitions' way."""

    def __init__(
        self, folder: Path, engine: sa.Engine, provider: OpenAIProvider, points: Points, owner: str
    ) -> None:
        corpus = folder.parent / "corpus"
        if not corpus.exists():  # another process may be reading it
            a_corpus(corpus, a_table(len(CANCELLED), word=CANCELLED), key="q")
            a_corpus(corpus, a_table(ITEMS, word=WORDS))
        self._recipe = a_recipe(FileCorpus(path=str(corpus), item_id="id"))
        self._export = folder / "results.jsonl"
        self.deployment = Deployment(
            ledger=pointed_ledger(engine, points, ledger_time),
            files=PointedFiles(str(folder / "store"), points),
            provider=pointed_provider(provider, points),
            owner=owner,
        )

    def submit(self, key: str = "p", limits: Limits = LIMITS) -> int:
        files = self.deployment.files
        manifest = prepare(self._recipe, key, files=files, limits=limits)
        return submit(self.deployment, self._recipe, manifest).sent

    def go(self) -> None:
        """From wherever it is to its end, without a submission where there was one."""
        for key in ("q", "p"):
            if self._current(key) is None:
                with self._person_who_resumes():
                    self.submit(key)
        NOW.value += LATENCY / 2
        if self._current("q").cancelled_at is None:
            scope = Scope(inference="words", partition_key="q")
            cancel(self.deployment, scope, owner="Ann", reason="enough", at_provider=True)
        for _ in range(20):
            NOW.value += LATENCY
            if self._tick():
                self._sweep()
                return
        raise AssertionError(f"still {self._states()}")

    def _tick(self) -> bool:
        cancel_at_provider(self.deployment)
        poll(self.deployment)
        for key in ("q", "p"):
            if self._current(key).resolved_at is None:
                with self._person_who_resumes():
                    advance(self.deployment, self._recipe, self._current(key))
        append_results(self.deployment, self._recipe, self._export)
        if any(self._current(key).resolved_at is None for key in ("q", "p")):
            return False
        export(self.deployment, self._current("p"))
        return True

    def _sweep(self) -> None:
        NOW.value += 3_600
        sweep(self.deployment)

    @contextmanager
    def _person_who_resumes(self) -> Iterator[None]:
        """Where the account is stopped, the next thing that happens is that it is put right."""
        with contextlib.suppress(AccountRefused):
            yield
        for stop in self.deployment.ledger.pauses.standing():
            resume(self.deployment.ledger, stop.scope, owner="Ann")

    def _current(self, key: str) -> Any:
        return self.deployment.ledger.request_sets.current("words", key)

    def _states(self) -> list[str]:
        return sorted({batch.state.value for batch in self.deployment.ledger.batches()})

    def _rows(self, key: str) -> list[dict[str, Any]]:
        with self.deployment.files.open(layout_of(self._current(key)).results) as source:
            return pq.read_table(source).to_pylist()

    def report(self) -> dict[str, Any]:
        files, ledger = self.deployment.files, self.deployment.ledger
        rows, cancelled = self._rows("p"), self._rows("q")
        exported = [json.loads(line) for line in self._export.read_bytes().splitlines()]
        return {
            "sent_again": self.submit(),
            "items": [row["item_id"] for row in rows],
            "outcomes": sorted({row["outcome"] for row in rows}),
            "answers": [row["output"]["words"][0] for row in rows if row["output"]],
            "waves": [row["wave"] for row in rows],
            "attempts": [row["attempts"] for row in rows],
            "cancelled_items": [row["item_id"] for row in cancelled],
            "cancelled_outcomes": Counter(row["outcome"] for row in cancelled),
            "sequences": [line["sequence"] for line in exported],
            "exported": Counter(line["partition_key"] for line in exported),
            "exported_items": len({(line["partition_key"], line["item_id"]) for line in exported}),
            "states": self._states(),
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
            app = create_app(folder, clock=SharedClock(), faults=ScriptedFaults(), latency=LATENCY)
            config = uvicorn.Config(app, log_level="error", loop="asyncio")
            uvicorn.Server(config).run(sockets=[listener])
            os._exit(0)
        listener.close()
        self.provider = self.connect()
        # Made before any fork that uses it, and without a connection: a child opens its own.
        assert self.provider._client

    def connect(self) -> OpenAIProvider:
        return a_provider(f"{self._url}/v1")

    def ask(self, route: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        sent = None if body is None else json.dumps(body).encode()
        headers = {"authorization": "Bearer judge"}
        call = urllib.request.Request(f"{self._url}/{route}", data=sent, headers=headers)
        with urllib.request.urlopen(call) as reply:
            return json.load(reply)

    def begin(self, script: dict[str, Any]) -> None:
        """Empty, and with this script."""
        self.ask("sandbox/reset", {})
        self.ask("sandbox/settings", SETTINGS)
        self.ask("sandbox/faults", script)

    def found(self) -> dict[str, Any]:
        """What was bought, and the uploads of which there is no batch."""
        uploads = {file["id"] for file in self.ask("v1/files?purpose=batch&limit=1000")["data"]}
        used = {batch["input_file_id"] for batch in self.ask("v1/batches?limit=100")["data"]}
        return {"executions": self.ask("sandbox/executions"), "orphans": len(uploads ^ used)}

    def stop(self) -> None:
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def every_point(folder: Path, sandbox: Sandbox, first: int, step: int) -> Iterator[dict[str, Any]]:
    """One report for each point; the last is of a process that was not killed."""
    home = folder / "home"
    # One engine for all children, each of which opens its own connections: what it compiled before
    # the first fork is compiled.
    engine = an_engine(home)
    way = Way(home, engine, sandbox.provider, Points(0, home / "none"), "run-0")
    sandbox.begin(SCRIPT)
    way.go()
    engine.dispose()
    sandbox.provider.close()
    assert sandbox.provider._client
    # A child lives for less than a second, and would copy what its collector only looks at.
    gc.freeze()
    gc.disable()
    for stop_at in itertools.count(first, step):
        shutil.rmtree(home)
        home.mkdir()
        sandbox.begin(SCRIPT)

        def dies(stop_at: int = stop_at) -> None:
            Way(home, engine, sandbox.provider, Points(stop_at, home / "point"), "run-1").go()

        def goes_on() -> None:
            way = Way(home, engine, sandbox.provider, Points(0, home / "none"), "run-2")
            way.go()
            (home / "report").write_text(json.dumps(way.report()))

        ended = in_a_child(dies)
        NOW.value += LEASE.total_seconds() + 1
        went_on = in_a_child(goes_on)
        killed = ended == -signal.SIGKILL
        yield {
            "point": (home / "point").read_text() if killed else None,
            "ended": [ended, went_on],
            **sandbox.found(),
            **(json.loads((home / "report").read_text()) if went_on == 0 else {}),
        }
        if not killed:
            return


def race(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    """Two processes that send the same 11 shards at the same moment."""
    one_row = Limits(requests=1, bytes=10**6)
    home = folder / "race"
    home.mkdir()
    sandbox.begin({})
    gate_out, gate_in = os.pipe()
    owners = ["run-1", "run-2"]
    children = []
    for owner in owners:
        child = os.fork()
        if child == 0:
            os.close(gate_in)
            way = Way(home, an_engine(home), sandbox.provider, Points(0, home / "none"), owner)
            os.read(gate_out, 1)
            (home / owner).write_text(str(way.submit(limits=one_row)))
            os._exit(0)
        children.append(child)
    os.close(gate_in)
    return {
        "ended": [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children],
        "sent": [int((home / owner).read_text()) for owner in owners],
        "executions": sandbox.ask("sandbox/executions"),
    }


def main() -> None:
    folder, first, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    folder.mkdir()
    sandbox = Sandbox(folder / "sandbox")
    try:
        found: dict[str, Any] = {"points": list(every_point(folder, sandbox, first, step))}
        if first == 1:
            found["race"] = race(folder, sandbox)
    finally:
        sandbox.stop()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
