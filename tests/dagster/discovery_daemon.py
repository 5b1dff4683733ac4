"""One iteration of Dagster's sensor daemon in a process of its own, to be killed where it is told.

`python discovery_daemon.py TICK [POINT]`: corpus, ledger and Dagster's storage are in DAGSTER_HOME;
the TICK-th iteration is at a time of its own; POINT is where it gets a SIGKILL. Prints how long the
iteration took, in seconds and in seconds of CPU.
"""

import json
import logging
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration

import batch_assets as ba
from batch_assets.corpus import Discovered
from batch_assets.operations import discovery

SENSOR = "words_discovery"
#: In the evaluation, after some of the new files were registered.
REGISTERING = "REGISTERING"

HOME = Path(os.environ.get("DAGSTER_HOME", "."))


@dg.definitions
def location() -> dg.Definitions:
    """An inference that discovers its files, without the poll sensor."""
    inference = ba.Inference(
        name="words",
        corpus=ba.FileCorpus(path=f"{HOME}/corpus/**", item_id="id", partition_by=Discovered()),
        prompt=ba.Prompt(user="Word: {{ word }}"),
        model="gpt-4.1-mini",
        discovers=True,
        partitions_per_run=ba.PartitionsPerRun(submit=int(os.environ.get("WIDTH", "500"))),
    )
    resources: dict[str, Any] = {
        "batch_ledger": ba.LedgerResource(url=f"sqlite:///{HOME}/ledger.db"),
        "batch_files": ba.BatchFilesIOManager(root=str(HOME / "files")),
        "openai": ba.OpenAIResource(api_key="sk-test", base_url="http://127.0.0.1:9"),
    }
    return dg.Definitions.merge(ba.batch_inference(inference), dg.Definitions(resources=resources))


def _killed_while_registering() -> None:
    register = dg.DagsterInstance.add_dynamic_partitions

    def and_be_killed(*args: Any, **kwargs: Any) -> None:
        register(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    dg.DagsterInstance.add_dynamic_partitions = and_be_killed  # type: ignore[method-assign]


def iterate(tick: int, point: str | None) -> None:
    """One iteration; an error of a tick is this process's."""
    origin = InProcessCodeLocationOrigin(
        loadable_target_origin=LoadableTargetOrigin(
            executable_path=sys.executable, python_file=__file__, attribute="location"
        ),
        location_name="discovering",
    )
    if point == REGISTERING:
        _killed_while_registering()
    flags: Any = {SENSOR: {point: signal.SIGKILL}} if point else None
    at = datetime.now(UTC) + timedelta(minutes=2 * tick)
    with (
        dg.DagsterInstance.get() as instance,
        create_test_daemon_workspace_context(
            InProcessWorkspaceLoadTarget(origin), instance
        ) as workspace,
        freeze_time(at),
    ):
        errors = execute_sensor_iteration(
            workspace, logging.getLogger("daemon"), None, None, debug_crash_flags=flags
        )
        for error in filter(None, errors):
            raise RuntimeError(error.to_string())


if __name__ == "__main__":
    if width := os.environ.get("WIDTH"):
        discovery._KEYS_PER_STATEMENT = int(width)
    wall, cpu = time.perf_counter(), time.process_time()
    iterate(int(sys.argv[1]), *(sys.argv[2:] or [None]))
    took = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    sys.stdout.write(json.dumps(took) + "\n")
