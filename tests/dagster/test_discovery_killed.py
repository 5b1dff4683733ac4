"""The discovery sensor in Dagster's own daemon, which is killed and started again."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import discovery_daemon
import pytest
from factories import a_corpus

FILES = 40
PARTITIONS_PER_RUN = 10
KILLED = -9

Iterate = Callable[..., int]

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Files that are there for a while, and an instance of Dagster's default parts."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    for number in range(FILES):
        a_corpus(tmp_path / "corpus", 1, key=f"file-{number:02}")
    for path in (tmp_path / "corpus").iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return tmp_path


@pytest.fixture
def iterate(home: Path) -> Iterate:
    """One iteration of the daemon; the process's return code."""
    ticks = iter(range(10))
    env = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "WIDTH": str(PARTITIONS_PER_RUN),
    }

    def once(*point: str) -> int:
        command = [sys.executable, discovery_daemon.__file__, str(next(ticks)), *point]
        return subprocess.run(command, env=env, check=False).returncode

    return once


def requested(home: Path) -> Counter[str]:
    """How many runs are to submit each partition."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        order = list(instance.get_dynamic_partitions("words_partitions"))
        ranges = [
            [run.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
            for run in instance.get_runs()
        ]
    return Counter(
        key for first, last in ranges for key in order[order.index(first) : order.index(last) + 1]
    )


@pytest.mark.parametrize("point", [discovery_daemon.REGISTERING, "RUN_CREATED"])
def test_every_file_is_requested_once_wherever_the_daemon_was_killed(home, iterate, point):
    killed = iterate(point)
    before = requested(home)
    after = [iterate(), iterate()]

    assert killed == KILLED
    assert len(before) < FILES
    assert after == [0, 0]
    assert requested(home) == {f"file-{number:02}": 1 for number in range(FILES)}
