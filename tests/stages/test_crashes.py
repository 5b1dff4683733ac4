"""Wherever a process is killed, another one brings the partition home: nothing lost or paid twice.

Row 26: batches in flight are lost when the process stops. Row 27: a fault-injection suite, not
hope. The points are counted by `crash_sweep`, which kills with SIGKILL before and after each HTTP
call, each file and each commit, on a way with a full queue, a stopped account, a further wave, a
cancellation, a reader and a sweep.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LANES = 2
ITEMS = 12
REQUESTS = 11

#: Every kind of place at which a process was killed.
PLACES = {
    "commit asked for",
    "commit made",
    *(
        f"{call} {state}"
        for state in ("called", "answered")
        for call in (
            "batch_page",
            "cancel",
            "create",
            "delete_file",
            "download",
            "file_page",
            "upload",
        )
    ),
    *(
        f"{name} {state}"
        for state in ("begun", "written")
        for name in (
            "increment.parquet",
            "items.parquet",
            "manifest.json",
            "p.parquet",
            "q.parquet",
            "request_set.json",
            "results.parquet",
            "usage.json",
            "wave-0-shard-00000-attempt-1.errors.jsonl",
            "wave-0-shard-00000-attempt-1.output.jsonl",
            "wave-0-shard-00000-attempt-1.output.jsonl.zst",
            "wave-0-shard-00000.jsonl",
            "wave-0-shard-00000.jsonl.zst",
            "wave-0-shard-00001-attempt-1.errors.jsonl",
            "wave-0-shard-00001-attempt-1.errors.jsonl.zst",
            "wave-0-shard-00001-attempt-1.output.jsonl",
            "wave-0-shard-00001-attempt-1.output.jsonl.zst",
            "wave-0-shard-00001.jsonl",
            "wave-0-shard-00001.jsonl.zst",
            "wave-1-shard-00000-attempt-1.output.jsonl",
            "wave-1-shard-00000-attempt-1.output.jsonl.zst",
            "wave-1-shard-00000.jsonl",
            "wave-1-shard-00000.jsonl.zst",
            "wave-1.json",
        )
    ),
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is a file system for it: nothing here has to survive a power cut."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def lanes(folder: Path) -> Iterator[list[dict[str, Any]]]:
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    running = [
        subprocess.Popen(
            [sys.executable, here / "crash_sweep.py", folder / str(lane), str(lane), str(LANES)],
            env=environment,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        for lane in range(1, LANES + 1)
    ]
    try:
        yield [json.loads(lane.communicate()[0]) for lane in running]
    finally:
        for lane in running:
            if lane.poll() is None:
                os.killpg(lane.pid, signal.SIGKILL)
                lane.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def points(lanes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [point for lane in lanes for point in lane["points"]]


def at(points: list[dict[str, Any]], **expected: Any) -> list[Any]:
    """The points at which something else was found."""
    return [
        (point["point"], {name: point.get(name) for name in expected})
        for point in points
        if any(point.get(name) != value for name, value in expected.items())
    ]


def test_a_process_was_killed_at_every_place_where_it_could_stop(points):
    assert {point["point"] for point in points} == PLACES | {None}
    assert [point["ended"][0] for point in points if point["point"] is None] == [0] * LANES


def test_another_process_always_comes_to_the_end(points):
    died, came_home = -signal.SIGKILL, 0

    assert at([p for p in points if p["point"]], ended=[died, came_home]) == []
    assert at(points, held=0, bundles=1) == []
    assert {state for point in points for state in point["states"]} <= {"collected", "abandoned"}


def test_no_item_is_lost_wherever_the_process_died(points):
    items = [f"i-{row}" for row in range(ITEMS)]
    answers = [f"Word: word {row % REQUESTS:02}" for row in range(ITEMS)]
    again = [int(row == 8) for row in range(ITEMS)]
    attempts = [1 + times for times in again]

    assert at(points, items=items, outcomes=["ok"], answers=answers) == []
    assert at(points, waves=again, attempts=attempts) == []


def test_a_cancelled_partition_keeps_every_item_and_every_answer_it_paid_for(points):
    for point in points:
        outcomes = point["cancelled_outcomes"]
        assert point["cancelled_items"] == [f"i-{row}" for row in range(4)]
        assert set(outcomes) <= {"ok", "cancelled"}
        bought = point["executions"]["requests_executed"] - REQUESTS
        assert outcomes.get("ok", 0) == bought, point["point"]


def test_nothing_is_bought_twice_wherever_the_process_died(points):
    bought = [{"point": point["point"]} | point["executions"] for point in points]

    assert at(bought, max_executions_of_one_body=1, bodies_executed_more_than_once=0) == []
    assert {point["batches_created"] for point in bought} <= {3, 4}


def test_every_result_is_read_once_and_under_one_number(points):
    numbers = list(range(1, ITEMS + 4 + 1))

    assert at(points, sequences=numbers, exported={"p": ITEMS, "q": 4}, exported_items=16) == []


def test_no_upload_is_left_without_its_batch(points):
    assert at(points, orphans=0) == []


def test_who_sends_again_after_that_sends_nothing(points):
    assert at(points, sent_again=0) == []


def test_two_processes_send_each_shard_once(lanes):
    race = lanes[0]["race"]

    assert race["ended"] == [0, 0]
    assert sum(race["sent"]) == REQUESTS
    assert race["executions"]["batches_created"] == REQUESTS
