"""New files under a prefix: seconds, CPU and runs of the discovery sensor, and what a kill leaves.

The files are real, Dagster's instance too: SQLite, or Postgres with `--storage URL`, which is
emptied first. The sensor is evaluated in this process. With `--daemon` Dagster's sensor daemon then
has ticks in processes of their own, the first of which is killed (SIGKILL) when it has made one
run: in the end every partition must be in one run and no more. It is slow: Dagster writes two
events for each partition before a run begins, which is a minute for each 500 on two busy cores.
`python -m benchmarks.discovery` takes the 5,000 files of the issue, `--files 10000` others.
"""

import argparse
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

_DAEMON = Path(__file__).parents[1] / "tests" / "dagster" / "discovery_daemon.py"
_OLD = (1_700_000_000, 1_700_000_000)


def write_files(folder: Path, count: int) -> None:
    """Files of one row each, a hundred to a folder, written long ago."""
    for number in range(count):
        path = folder / f"{number // 100:03}" / f"file-{number:06}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"id": number, "word": f"oak {number}"}) + "\n")
        os.utime(path, _OLD)


def measured(what: str, act: Callable[[], str]) -> None:
    """One line: seconds, CPU seconds, and what came of it."""
    wall, cpu = time.perf_counter(), time.process_time()
    came = act()
    took = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:<44} {took[0]:7.2f} s {took[1]:7.2f} s CPU  {came}", flush=True)


def definitions() -> dg.Definitions:
    """What the daemon's program loads."""
    spec = importlib.util.spec_from_file_location("discovery_daemon", _DAEMON)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    defs: dg.Definitions = module.location()
    return defs


def evaluate(instance: dg.DagsterInstance, defs: dg.Definitions) -> str:
    """A tick without the daemon: nothing is launched, as where it is killed after it."""
    sensor = defs.resolve_sensor_def("words_discovery")
    with dg.build_sensor_context(
        instance=instance, definitions=defs, resources=dict(defs.resources or {})
    ) as context:
        result = sensor.evaluate_tick(context)
    return f"{len(result.run_requests or [])} runs requested; {result.skip_message or ''}"


def iterate(tick: int, *point: str) -> str:
    """The daemon's tick."""
    command = [sys.executable, str(_DAEMON), str(tick), *point]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        return f"return code {done.returncode}"
    took: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return f"{took['seconds']:.1f} s, {took['cpu']:.1f} s CPU in the daemon"


def runs_of(instance: dg.DagsterInstance) -> str:
    """How many runs there are, and how many of them a partition is in."""
    order = instance.get_dynamic_partitions("words_partitions")
    place = {key: position for position, key in enumerate(order)}
    runs = instance.get_runs()
    counts: Counter[str] = Counter()
    for run in runs:
        first, last = (run.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
        counts.update(order[place[first] : place[last] + 1])
    spread = Counter(counts[key] for key in order)
    return f"{len(order)} partitions, {len(runs)} runs; runs per partition: {dict(spread)}"


def launch(instance: dg.DagsterInstance) -> None:
    """The daemon's ticks, the first of them killed."""
    for tick, *point in ((0, "RUN_CREATED"), (1,), (2,)):
        measured(" ".join(["daemon", *point]), partial(iterate, tick, *point))
        measured("", partial(runs_of, instance))


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--storage", help="URL of a Postgres for Dagster's storage")
    parser.add_argument("--daemon", action="store_true", help="launch the runs, with a kill")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ["DAGSTER_HOME"] = name
        config: dict[str, Any] = {"telemetry": {"enabled": False}}
        if given.storage:
            config["storage"] = {"postgres": {"postgres_url": given.storage}}
        (home / "dagster.yaml").write_text(json.dumps(config))
        write_files(home / "corpus", given.files)
        with dg.DagsterInstance.get() as instance:
            instance.wipe()
            defs = definitions()
            measured("evaluation, all files new, then killed", lambda: evaluate(instance, defs))
            measured("evaluation, all registered, none launched", lambda: evaluate(instance, defs))
            if given.daemon:
                launch(instance)
                measured("evaluation, all in runs", lambda: evaluate(instance, defs))


if __name__ == "__main__":
    main()
