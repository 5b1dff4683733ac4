"""Six processes carry the same partitions, and die of SIGKILL at random moments.

A program of its own, since it forks, and the process that forks must have no threads of Python's.
`six_processes.py FOLDER SHARDS SEED PACK` prints what it found in the ledger at LEDGER_URL as JSON.
A request has PACK items; where these are several, the model loses one of each full pack, which is
then asked in a smaller one.

The sandbox runs in a further process. All share one clock, which stands still while anybody works:
a process that is merely slow keeps its leases, and a dead one loses them.
"""

import json
import math
import multiprocessing
import os
import random
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa
import uvicorn
from factories import a_corpus, a_recipe, a_table
from openai import OpenAI
from stage_world import a_provider

from batch_assets.domain.batch import HOLDING
from batch_assets.domain.budget import Budget
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.ledger import Ledger, schema
from batch_assets.ledger.engine import open_engine
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import Faults, ListSlips, create_app
from batch_assets.sandbox.clock import Clock
from batch_assets.sandbox.item_faults import ItemFault
from batch_assets.stages.advance import advance
from batch_assets.stages.plan import layout_of
from batch_assets.stages.poll import poll
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.submit import submit

PROCESSES = 6
PARTITIONS = 5
LIMITS = Limits(requests=3, bytes=10**6)
#: Seconds of the shared clock between two turns; a batch is done one turn after it was sent.
TURN = 10.0
LATENCY = 9.0
#: Of all turns, those in the middle of which their process is killed.
KILLED = 0.2

NOW = multiprocessing.Value("d", 1_760_000_000.0, lock=False)
FORK = multiprocessing.get_context("fork")


class SharedClock(Clock):
    """The same time in every process."""

    def now(self) -> float:
        return NOW.value


def ledger_time() -> datetime:
    return datetime.fromtimestamp(NOW.value, UTC)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every process works on."""

    home: Path
    url: str
    recipe: Recipe
    keys: Sequence[str]
    provider: OpenAIProvider

    def deployment(self, owner: str) -> Deployment:
        return Deployment(
            ledger=Ledger.open(self.url, ledger_time),
            files=Files(str(self.home / "store")),
            provider=self.provider,
            owner=owner,
        )


def work(job: Job, number: int, orders: Connection) -> None:
    """Take a turn when told to, and say how many partitions are left after it."""
    deployment = job.deployment(f"process-{number}")
    while orders.recv():
        orders.send(take_turn(deployment, job, number))


def take_turn(deployment: Deployment, job: Job, number: int) -> int:
    request_sets, left = deployment.ledger.request_sets, 0
    keys = [*job.keys[number % PARTITIONS :], *job.keys[: number % PARTITIONS]]
    for key in keys:
        if request_sets.current("words", key) is None:
            manifest = prepare(job.recipe, key, files=deployment.files, limits=LIMITS)
            submit(deployment, job.recipe, manifest)
    poll(deployment)
    for key in keys:
        request_set = request_sets.current("words", key)
        assert request_set is not None
        if request_set.resolved_at is None:
            advance(deployment, job.recipe, request_set)
            left += 1
    return left


class Worker:
    """One of the six, for as long as it lives."""

    def __init__(self, job: Job, number: int) -> None:
        self.number = number
        self.orders, theirs = FORK.Pipe()
        self.process = FORK.Process(target=work, args=(job, number, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.orders.send(True)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.orders.close()


class Conductor:
    """Has the six take turns, kills some in the middle of theirs, and replaces them at once."""

    def __init__(self, job: Job, seed: int) -> None:
        self._job = job
        self._chance = random.Random(seed)
        self._seconds = 0.5
        self.turns = self.kills = 0

    def run(self, most_turns: int) -> None:
        crew = [Worker(self._job, number) for number in range(PROCESSES)]
        while self._turn(crew):
            if self.turns == most_turns:
                raise SystemExit(f"not finished after {most_turns} turns")
            NOW.value += TURN
            for worker in crew:
                worker.orders.send(True)
        for worker in crew:
            worker.kill()

    def _turn(self, crew: list[Worker]) -> bool:
        """Wait until all are done with the turn they were told to take; whether work is left."""
        begin = time.monotonic()
        self.turns += 1
        doomed = {
            number: begin + self._chance.uniform(0, self._seconds)
            for number in range(PROCESSES)
            if self._chance.random() < KILLED
        }
        busy = set(range(PROCESSES))
        left = 0
        while busy:
            dying = {number: at for number, at in doomed.items() if number in busy}
            patience = min(dying.values()) - time.monotonic() if dying else None
            heard = wait(
                [crew[number].orders for number in busy],
                None if patience is None else max(patience, 0),
            )
            for worker in [crew[number] for number in busy if crew[number].orders in heard]:
                left += self._answer(worker)
                busy.remove(worker.number)
            for number in [n for n in dying if n in busy and dying[n] <= time.monotonic()]:
                crew[number].kill()
                self.kills += 1
                del doomed[number]
                crew[number] = Worker(self._job, number)
        self._seconds = time.monotonic() - begin
        return left > 0

    @staticmethod
    def _answer(worker: Worker) -> int:
        try:
            return int(worker.orders.recv())
        except EOFError as error:
            raise SystemExit(f"process {worker.number} failed by itself") from error


class LosesOne(Faults):
    """The model leaves one item out of every full pack."""

    def __init__(self, pack: int) -> None:
        self._pack = pack

    def on_request(self, custom_id: str, body: dict[str, Any]) -> ItemFault | None:
        # Each item has a line below the instruction.
        items = body["messages"][-1]["content"].count("\n")
        return ListSlips(dropped=(1,)) if items == self._pack > 1 else None


class Sandbox:
    """The provider in a process of its own."""

    def __init__(self, folder: Path, pack: int) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._process = os.fork()
        if self._process == 0:
            app = create_app(folder, clock=SharedClock(), faults=LosesOne(pack), latency=LATENCY)
            # No connection is closed for being idle while a busy machine comes round to it.
            config = uvicorn.Config(app, log_level="error", loop="asyncio", timeout_keep_alive=3600)
            uvicorn.Server(config).run(sockets=[listener])
            os._exit(0)
        listener.close()

    def ask(self, route: str, method: str = "GET") -> dict[str, Any]:
        call = urllib.request.Request(f"{self.url}/sandbox/{route}", method=method)
        with urllib.request.urlopen(call) as reply:
            return json.load(reply)

    def stop(self) -> None:
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def peaks(url: str) -> dict[str, int]:
    """The most that was held at any event."""
    event, batch = schema.event, schema.batch
    held = {"tokens": 0, "batches": 0}
    most = dict(held)
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(event.c.from_state, event.c.to_state, batch.c.tokens)
            .join(batch, batch.c.id == event.c.batch_id)
            .order_by(event.c.id)
        ).all()
    engine.dispose()
    for row in rows:
        change = (row.to_state in HOLDING) - (row.from_state in HOLDING)
        held["tokens"] += change * row.tokens
        held["batches"] += change
        most = {unit: max(most[unit], held[unit]) for unit in held}
    return most


def open_at_once(base_url: str) -> int:
    """The most batches that the provider itself had open at one time."""
    moments = []
    with OpenAI(api_key="sk-test-0123456789", base_url=base_url) as client:
        for batch in client.batches.list(limit=100):
            moments += [(batch.created_at, 1), (batch.completed_at, -1)]
    opened = most = 0
    for _, change in sorted(moments):
        opened += change
        most = max(most, opened)
    return most


def report(job: Job) -> dict[str, Any]:
    deployment = job.deployment("report")
    ledger, files = deployment.ledger, deployment.files
    items: list[str] = []
    outcomes: set[str] = set()
    for key in job.keys:
        request_set = ledger.request_sets.current("words", key)
        assert request_set is not None
        with files.open(layout_of(request_set).results) as source:
            table = pq.read_table(source, columns=["item_id", "outcome"])
        items += table.column("item_id").to_pylist()
        outcomes |= set(table.column("outcome").to_pylist())
    batches = ledger.batches()
    return {
        "items": items,
        "outcomes": sorted(outcomes),
        "shards": len({(batch.request_set.id, batch.wave, batch.shard) for batch in batches}),
        "batches": len(batches),
        "states": sorted({batch.state.value for batch in batches}),
        "unresolved": len(ledger.batches_of_unresolved()),
        "held": ledger.held(job.provider.account).batches,
        "peaks": peaks(job.url),
    }


def a_job(home: Path, url: str, shards: int, pack: int, base_url: str) -> Job:
    """Partitions of equally many shards, whose requests are of different length."""
    each = shards // PARTITIONS * LIMITS.requests * pack
    keys = [f"p-{number}" for number in range(PARTITIONS)]
    for key in keys:
        rows = a_table(
            each,
            id=[f"{key}-{row}" for row in range(each)],
            word=[f"word {key} {row} {'long ' * (row % 40)}" for row in range(each)],
        )
        corpus = a_corpus(home / "corpus", rows, key=key)
    recipe = a_recipe(corpus, rows_per_request=pack)
    manifest = prepare(recipe, keys[0], files=Files(str(home / "measured")), limits=LIMITS)
    budget = Budget(
        tokens=20 * sum(shard.tokens for shard in manifest.shards) // len(manifest.shards),
        batches=20,
    )
    # Patient, since a machine may be busy: an answer that comes late is no fault to be tested here.
    provider = a_provider(base_url, budget=budget, limits=LIMITS, timeout_seconds=300.0)
    # Made before any fork that uses it, and without a connection: a child opens its own.
    assert provider._client
    return Job(home=home, url=url, recipe=recipe, keys=keys, provider=provider)


def warm_up(folder: Path, pack: int, sandbox: Sandbox) -> None:
    """Import and compile, before any fork, what every child would have to."""
    url = f"sqlite:///{folder}/ledger.db"
    job = a_job(folder, url, PARTITIONS, pack, sandbox.url + "/v1")
    deployment = job.deployment("warm-up")
    while take_turn(deployment, job, 0):
        NOW.value += TURN
    deployment.ledger.close()
    job.provider.close()
    sandbox.ask("reset", "POST")


def main() -> None:
    folder, (shards, seed, pack) = Path(sys.argv[1]), map(int, sys.argv[2:])
    url = os.environ["LEDGER_URL"]
    sandbox = Sandbox(folder / "sandbox", pack)
    try:
        warm_up(folder / "warm", pack, sandbox)
        job = a_job(folder, url, shards, pack, sandbox.url + "/v1")
        conductor = Conductor(job, seed)
        # Twice what it takes without a kill, and what the dead keep of the budget.
        conductor.run(most_turns=2 * math.ceil(shards / 20) + 60)
        found = {
            "turns": conductor.turns,
            "kills": conductor.kills,
            "budget": {
                "tokens": job.provider.budget.tokens,
                "batches": job.provider.budget.batches,
            },
            "executions": sandbox.ask("executions"),
            "open_at_once": open_at_once(sandbox.url + "/v1"),
            **report(job),
        }
    finally:
        sandbox.stop()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
