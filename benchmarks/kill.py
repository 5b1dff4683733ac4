"""Kills the run's process with SIGKILL in prepare, in submit and in collect, three times each.

A partition of 60,000 items goes through Dagster runs in processes of their own, against a sandbox
in another. After each kill the same assets are materialized again. At the end the sandbox's own
counter says how often each request was executed, and the results are compared with the corpus.
`python -m benchmarks.kill` takes about five minutes: a batch whose process died is looked up at
the provider when its lease of a minute is over.
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from batch_assets import (
    BatchFilesIOManager,
    FileCorpus,
    Inference,
    LedgerResource,
    OpenAIResource,
    Prompt,
    batch_inference,
)
from benchmarks.data_path import write_corpus

ITEMS = 60_000
KILLS = 3
PORT = 8771
LATENCY = 5.0
#: Longest time from the sign that a stage is at work to the kill, in seconds.
LONGEST_DELAY = 0.8


def definitions(home: Path) -> dg.Definitions:
    """One inference over the corpus in `home`, with all of its state there."""
    inference = Inference(
        name="kill",
        corpus=FileCorpus(path=str(home / "corpus"), item_id="id"),
        prompt=Prompt(system="Sort it.", user="Word: {{ word }}\nDefinition: {{ gloss }}"),
        model="gpt-5-mini",
        output="batch_assets.defs.glosses.gloss_class:GlossClass",
    )
    resources: dict[str, Any] = {
        "batch_ledger": LedgerResource(url=f"sqlite:///{home}/ledger.db"),
        "batch_files": BatchFilesIOManager(root=str(home / "files")),
        "openai": OpenAIResource(
            api_key="sandbox",
            base_url=f"http://127.0.0.1:{PORT}/v1",
            max_requests_per_batch=20_000,
        ),
    }
    return dg.Definitions.merge(batch_inference(inference), dg.Definitions(resources=resources))


def materialize(home: Path, names: list[str], *, wait: bool) -> None:
    """One run over the partition, in this process."""
    config = {"ops": {"kill__collect": {"config": {"wait": True}}}} if wait else {}
    job = definitions(home).resolve_implicit_global_asset_job_def()
    job.execute_in_process(
        partition_key="all",
        asset_selection=[dg.AssetKey(["kill", name]) for name in names],
        run_config=config,
        instance=dg.DagsterInstance.ephemeral(),
    )


def run_process(home: Path, names: list[str], *, wait: bool = False) -> subprocess.Popen[bytes]:
    """The same in a process of its own, which can be killed."""
    code = (
        f"from benchmarks.kill import *; materialize(Path({str(home)!r}), {names!r}, wait={wait})"
    )
    with (home / "runs.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log)


def killed(stage: str, process: subprocess.Popen[bytes], at_work: Callable[[], bool]) -> bool:
    """Kill the process a moment after the stage is at work. False where it was faster."""
    while not at_work():
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    time.sleep(random.uniform(0, LONGEST_DELAY))
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    print(f"killed in {stage}: {standing(Path(os.environ['KILL_HOME']))}", flush=True)
    return True


def standing(home: Path) -> str:
    """The states of the ledger's batches, and what the sandbox counted."""
    states: dict[str, int] = {}
    if (home / "ledger.db").exists():
        with sqlite3.connect(home / "ledger.db") as connection:
            rows = "SELECT state, count(*) FROM batch GROUP BY state"
            states = dict(connection.execute(rows).fetchall())
    counted = executions()
    return (
        f"ledger {states or 'empty'}, provider has {counted['batches_created']} batches, "
        f"{counted['requests_executed']} requests executed"
    )


def executions() -> dict[str, int]:
    """The sandbox's counter."""
    url = f"http://127.0.0.1:{PORT}/sandbox/executions"
    with urllib.request.urlopen(url, timeout=60) as reply:
        counted: dict[str, int] = json.load(reply)
    return counted


def writes_below(folder: Path, pattern: str) -> Callable[[], bool]:
    """Whether a file of that pattern is being written there, other than those there before."""
    before = set(folder.rglob(pattern))
    return lambda: bool(set(folder.rglob(pattern)) - before)


def has_reserved(home: Path) -> Callable[[], bool]:
    """Whether a batch is on its way to the provider."""

    def reserved() -> bool:
        if not (home / "ledger.db").exists():
            return False
        with sqlite3.connect(home / "ledger.db") as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'batch'")
            if not tables.fetchone()[0]:
                return False
            now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
            query = "SELECT count(*) FROM batch WHERE state = 'reserved' AND lease_until > ?"
            return bool(connection.execute(query, (now,)).fetchone()[0])

    return reserved


def finish(home: Path, names: list[str], *, wait: bool = False) -> None:
    """Materialize again, to the end."""
    process = run_process(home, names, wait=wait)
    if process.wait() != 0:
        raise SystemExit(f"kill: the run after the kills failed; see {home / 'runs.log'}")


def main() -> int:
    """0 where nothing was lost and nothing executed twice."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ["KILL_HOME"] = name
        (home / "corpus").mkdir()
        write_corpus(home / "corpus", ITEMS)
        sandbox = subprocess.Popen(
            [
                sys.executable, "-m", "batch_assets.cli", "sandbox", "serve",
                "--port", str(PORT), "--latency", str(LATENCY),
                "--state-dir", str(home / "sandbox"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            time.sleep(3)
            return go_through(home)
        finally:
            sandbox.kill()


def go_through(home: Path) -> int:
    """The three stages, each killed three times and then finished."""
    files = home / "files" / "kill"
    kills = {"prepare": 0, "submit": 0, "collect": 0}
    while kills["prepare"] < KILLS:
        process = run_process(home, ["requests"])
        if killed("prepare", process, writes_below(files, ".new-*")):
            kills["prepare"] += 1
        else:
            # It was faster than the kill, and the same request set is never written again.
            shutil.rmtree(files, ignore_errors=True)
    while kills["submit"] < KILLS:
        process = run_process(home, ["requests", "batches"])
        if not killed("submit", process, has_reserved(home)):
            break
        kills["submit"] += 1
    wait_for_leases(home)
    finish(home, ["requests", "batches"])
    outputs = ["raw_outputs", "results", "bundle"]
    while kills["collect"] < KILLS:
        process = run_process(home, outputs, wait=True)
        kills["collect"] += killed("collect", process, writes_below(files, ".new-*"))
    finish(home, outputs, wait=True)
    counted = executions()
    results = pq.read_table(files / "results" / "all.parquet", columns=["item_id", "outcome"])
    corpus = pq.read_table(home / "corpus" / "all.parquet", columns=["id"])
    whole = corpus["id"].to_pylist() == results["item_id"].to_pylist()
    print(json.dumps({"kills": kills, "items": results.num_rows, "each item once": whole}))
    print(json.dumps(counted))
    return 0 if whole and counted["max_executions_of_one_body"] == 1 else 1


def wait_for_leases(home: Path) -> None:
    """Until no batch is in the hands of a process that was killed."""
    while has_reserved(home)():
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
