"""A backfill through Dagster's daemon: this package's assets against assets that do nothing.

Both sides are two multi-assets of two and three assets with the same backfill policies, over the
same partitions; the empty ones yield a materialization for each partition and asset, and that is
all. Daemon, code server and run workers are processes as they are in production, Dagster's storage
and the ledger are SQLite, the provider is the sandbox in a process of its own, which is not
counted. Per side: seconds, CPU of all of Dagster's processes, events, memory at its highest, size
of the databases, and how often a log says "database is locked".

`python -m benchmarks.backfill` takes the issue's 500 partitions of 20 items and about five minutes;
`--only noop` or `--only real` one side; `--submit 100 --collect 50` other partitions per run. The
daemon looks at backfills every 30 seconds: compare CPU rather than seconds. `--keep FOLDER` leaves
everything there to be looked at.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

import batch_assets as ba

PROJECT = Path(__file__).parents[1]
SIDES = ("noop", "real")
GROUP = "words"
SUBMITTED = ("requests", "batches")
COLLECTED = ("raw_outputs", "results", "bundle")

CODE_SERVER, RUN_WORKER = "code server", "run worker"

LATENCY = 5.0
LOOK_EVERY = 0.5
LONGEST = 3_600.0

_OPEN = {BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING}


def _widths() -> ba.PartitionsPerRun:
    """Partitions per run of both multi-assets."""
    return ba.PartitionsPerRun(**json.loads(os.environ.get("BACKFILL_WIDTHS", "{}")))


def _corpus() -> Path:
    return Path(os.environ["DAGSTER_HOME"]) / "corpus"


@dg.definitions
def noop() -> dg.Definitions:
    """Assets that do nothing but say that they were materialized."""
    keys = sorted(path.stem for path in _corpus().iterdir())
    partitions = dg.StaticPartitionsDefinition(keys)
    upstream: dg.AssetKey | None = None
    assets = []
    for names, width in zip((SUBMITTED, COLLECTED), astuple(_widths()), strict=True):
        specs = []
        for name in names:
            deps = [upstream] if upstream else []
            upstream = dg.AssetKey([GROUP, name])
            specs.append(dg.AssetSpec(upstream, deps=deps, skippable=True))
        assets.append(_empty(specs, partitions, width))
    return dg.Definitions(assets=assets, executor=dg.in_process_executor)


def _empty(
    specs: Sequence[dg.AssetSpec], partitions: dg.StaticPartitionsDefinition, width: int
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{specs[0].key.path[-1]}_and_more",
        specs=specs,
        partitions_def=partitions,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(width),
    )
    def materialize(context: dg.AssetExecutionContext) -> Iterator[dg.AssetMaterialization]:
        for partition_key in context.partition_keys:
            for key in context.selected_asset_keys:
                yield dg.AssetMaterialization(key, partition=partition_key)

    return materialize


@dg.definitions
def real() -> dg.Definitions:
    """An inference over the corpus, with all of its state in DAGSTER_HOME."""
    home = os.environ["DAGSTER_HOME"]
    inference = ba.Inference(
        name=GROUP,
        partitions_per_run=_widths(),
        corpus=ba.FileCorpus(path=str(_corpus()), item_id="id"),
        prompt=ba.Prompt(system="Sort it.", user="Word: {{ word }}"),
        model="gpt-4.1-mini",
        output="batch_assets.defs.glosses.gloss_class:GlossClass",
    )
    resources: dict[str, Any] = {
        "batch_ledger": ba.LedgerResource(url=f"sqlite:///{home}/ledger.db"),
        "batch_files": ba.BatchFilesIOManager(root=f"{home}/files"),
        "openai": ba.OpenAIResource(
            api_key="sandbox", base_url=os.environ.get("BACKFILL_SANDBOX", "http://127.0.0.1:9")
        ),
    }
    return ba.with_operations(
        dg.Definitions.merge(
            ba.batch_inference(inference),
            dg.Definitions(resources=resources, executor=dg.in_process_executor),
        )
    )


@dataclass(kw_only=True)
class Figures:
    """What one side took."""

    status: str = ""
    seconds: float = 0.0
    #: Seconds by what the process is.
    cpu: dict[str, float] = field(default_factory=dict)
    #: Highest resident memory of a process, in MiB, by what the process is.
    memory: dict[str, int] = field(default_factory=dict)
    runs: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    sizes: dict[str, float] = field(default_factory=dict)
    locked: int = 0

    def print(self, side: str, partitions: int) -> None:
        """A few lines."""
        took = sum(self.cpu.values())
        print(f"{side}: {self.status}, {self.seconds:.0f} s, {took:.1f} s CPU", end=" ")
        print(f"({1000 * took / partitions:.0f} ms CPU per partition)")
        for what, found in (
            ("CPU, s", {role: round(seconds, 1) for role, seconds in self.cpu.items()}),
            ("runs", dict(self.runs)),
            ("events", dict(self.events.most_common(8)) | {"all": self.events.total()}),
            ("memory, MiB", self.memory),
            ("databases, MB", {name: round(size, 1) for name, size in self.sizes.items()}),
            ("database is locked", self.locked),
        ):
            print(f"  {what}: {found}")
        sys.stdout.flush()


class Processes:
    """The daemon and all that came from it."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._workers: dict[int, float] = {}
        self.memory: dict[str, int] = {}

    def look(self) -> Counter[str]:
        """Seconds of CPU up to now, of those that ended as well; notes the memory.

        Dagster replaces its code server now and then: a server's children count with the daemon's.
        What the run workers took is what was seen of each while it lived.
        """
        total = 0.0
        for process in (self._root, *self._root.children(recursive=True)):
            try:
                times, role = process.cpu_times(), _role(process.cmdline())
                status = Path(f"/proc/{process.pid}/status").read_text()
            except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                continue
            # A parent has the times of its children that ended.
            total += times.user + times.system + times.children_user + times.children_system
            if role == RUN_WORKER:
                self._workers[process.pid] = times.user + times.system
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    highest = int(line.split()[1]) // 1024
                    self.memory[role] = max(self.memory.get(role, 0), highest)
        workers = sum(self._workers.values())
        return Counter({"daemon and code server": total - workers, RUN_WORKER: workers})


def _role(command: Sequence[str]) -> str:
    said = " ".join(command)
    roles = {
        "dagster._daemon run": "daemon",
        "api grpc": CODE_SERVER,
        "code-server": CODE_SERVER,
        "multiprocessing.spawn import": RUN_WORKER,
    }
    return next((role for sign, role in roles.items() if sign in said), "other")


@contextmanager
def _process(name: str, home: Path, *command: str) -> Iterator[int]:
    """A process group of its own, which is gone when the block ends; its log is in the home."""
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process.pid
        finally:
            for kind in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, kind)
                    process.wait(timeout=20)
                except ProcessLookupError:
                    break
                except subprocess.TimeoutExpired:
                    continue


def measure(side: str, home: Path, partitions: int, items: int) -> Figures:
    """One backfill of everything, from the moment it is asked for to its end."""
    write_corpus(home / "corpus", partitions, items)
    shutil.copy(PROJECT / "dagster.yaml", home)
    os.environ |= {
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
    }
    os.chdir(home)
    figures = Figures()
    with ExitStack() as stack:
        if side == "real":
            os.environ["BACKFILL_SANDBOX"] = stack.enter_context(_sandbox(home))
        instance = stack.enter_context(dg.DagsterInstance.get())
        daemon = stack.enter_context(
            _process(
                "daemon", home, sys.executable, "-m", "dagster._daemon", "run",
                "-m", "benchmarks.backfill", "-a", side,
            )
        )  # fmt: skip
        processes = Processes(daemon)
        _wait_until_up(home / "daemon.log")
        before, started = processes.look(), time.monotonic()
        backfill_id = _ask(instance, side)
        while True:
            time.sleep(LOOK_EVERY)
            figures.cpu = dict(processes.look() - before)
            found = instance.get_backfill(backfill_id)
            assert found is not None
            figures.seconds = time.monotonic() - started
            if found.status not in _OPEN or figures.seconds > LONGEST:
                break
        figures.status, figures.memory = found.status.value, processes.memory
        figures.runs = Counter(run.status.value for run in instance.get_runs())
    _look_at_files(home, figures)
    return figures


def write_corpus(folder: Path, partitions: int, items: int) -> None:
    """A Parquet file for each partition."""
    folder.mkdir()
    for number in range(partitions):
        ids = [f"{number}-{item}" for item in range(items)]
        table = pa.table({"id": ids, "word": [f"oak {name}" for name in ids]})
        pq.write_table(table, folder / f"part-{number:05}.parquet")


@contextmanager
def _sandbox(home: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with _process(
        "sandbox", home, sys.executable, "-m", "batch_assets.cli", "sandbox", "serve",
        "--port", port, "--latency", str(LATENCY), "--state-dir", str(home / "provider"),
    ):  # fmt: skip
        yield f"http://127.0.0.1:{port}/v1"


def _wait_until_up(log: Path) -> None:
    """Until the daemon looks for backfills."""
    deadline = time.monotonic() + 120
    while "BackfillDaemon" not in log.read_text():
        if time.monotonic() > deadline:
            raise SystemExit(f"the daemon did not start:\n{log.read_text()[-2000:]}")
        time.sleep(LOOK_EVERY)


def _ask(instance: dg.DagsterInstance, side: str) -> str:
    """For all assets over all partitions, as the UI's dialog does."""
    graph = {"noop": noop, "real": real}[side]().resolve_asset_graph()
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=side,
        asset_graph=graph,
        partition_names=sorted(path.stem for path in _corpus().iterdir()),
        asset_selection=[dg.AssetKey([GROUP, name]) for name in (*SUBMITTED, *COLLECTED)],
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return side


def _look_at_files(home: Path, figures: Figures) -> None:
    history = home / ".dagster" / "storage"
    index = next(history.rglob("index.db"))
    with sqlite3.connect(index) as connection:
        kinds = "SELECT coalesce(dagster_event_type, 'log message') FROM event_logs"
        shared = Counter(kind for (kind,) in connection.execute(kinds))
    for path in index.parent.glob("*.db"):
        if path == index:
            continue
        with sqlite3.connect(path) as connection:
            figures.events.update(kind for (kind,) in connection.execute(kinds))
    figures.events |= shared
    figures.sizes = {
        "event log": _size(index.parent.glob("*.db*")),
        "runs": _size(history.rglob("runs.db*")),
        "ledger": _size(home.glob("ledger.db*")),
        "files": _size(path for path in (home / "files").rglob("*") if path.is_file()),
    }
    logs = [*home.glob("*.log"), *(home / ".dagster").rglob("*.err"), *home.rglob("*.out")]
    figures.locked = sum(path.read_text(errors="replace").count("is locked") for path in logs)
    for path in index.parent.glob("*.db"):
        with sqlite3.connect(path) as connection:
            said = "SELECT count(*) FROM event_logs WHERE event LIKE '%database is locked%'"
            figures.locked += connection.execute(said).fetchone()[0]


def _size(paths: Iterable[Path]) -> float:
    """In megabytes."""
    return sum(path.stat().st_size for path in paths) / 1e6


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=SIDES)
    parser.add_argument("--partitions", type=int, default=500)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--submit", type=int, help="partitions per run of requests and batches")
    parser.add_argument("--collect", type=int, help="partitions per run of what is collected")
    parser.add_argument("--keep", type=Path, help="an empty folder for all that comes of it")
    given = parser.parse_args()
    if given.submit or given.collect:
        widths = {name: n for name in ("submit", "collect") if (n := getattr(given, name))}
        os.environ["BACKFILL_WIDTHS"] = json.dumps(widths)
    print(f"{given.partitions} partitions of {given.items} items, per run: {_widths()}")
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for side in [given.only] if given.only else SIDES:
            home = (given.keep or Path(name)).absolute() / side
            home.mkdir(parents=True)
            found[side] = measure(side, home, given.partitions, given.items)
            found[side].print(side, given.partitions)
    if not given.only:
        ours, empty = found["real"], found["noop"]
        cpu = sum(ours.cpu.values()) / sum(empty.cpu.values())
        print(f"ratio: {ours.seconds / empty.seconds:.2f} in seconds, {cpu:.2f} in CPU")


if __name__ == "__main__":
    main()
