"""Six processes over 500 shards, a small budget and random kills: once each, within the budget.

The same over 90 where requests are packs and each loses an item, which a second wave asks again.

Rows 22, 26 and 51: what was sent is found again, what was in flight is not lost, and the cap holds
before anything is sent. `six_processes` is the program; the sandbox's own count is the judge.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

#: Half a minute for each database where the machine has nothing else to do.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEED = 20261122


@dataclass(frozen=True, kw_only=True)
class Way:
    """What is sent, and on which database."""

    database: str = "sqlite"
    #: Of the first wave, each of three requests.
    first_shards: int = 500
    #: Items of a request.
    pack: int = 1
    #: Of all waves.
    shards: int = 500
    requests: int = 1_500

    @property
    def items(self) -> int:
        return 3 * self.first_shards * self.pack


WAYS = {
    "sqlite": Way(),
    "postgres": Way(database="postgres"),
    # 180 packs of four lose an item each; those are asked again as 90 packs of two.
    "packs": Way(first_shards=60, pack=4, shards=90, requests=270),
}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is a file system for it: nothing here has to survive a power cut."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest, way: Way, folder: Path) -> Iterator[dict[str, Any]]:
    """What there was when all six had nothing left to do."""
    home = folder / f"{way.database}-{way.pack}"
    home.mkdir()
    if way.database == "sqlite":
        yield run(home, f"sqlite:///{home}/ledger.db", way)
        return
    with request.getfixturevalue("new_schema")() as url:
        yield run(home, url, way)


def run(home: Path, url: str, way: Way) -> dict[str, Any]:
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, (here.parent, here.parent / "stages")))
    facts = map(str, (way.first_shards, SEED, way.pack))
    with subprocess.Popen(
        [sys.executable, here / "six_processes.py", home, *facts],
        env=os.environ | {"LEDGER_URL": url, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A group of its own, so that none of its processes outlives an interrupted test.
        start_new_session=True,
    ) as program:
        try:
            printed, said = program.communicate()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
    assert program.returncode == 0, said
    return json.loads(printed)


def test_every_shard_is_executed_once_however_many_of_the_processes_die(found, way):
    assert found["kills"] >= way.shards / 50
    assert found["shards"] == way.shards
    assert found["executions"]["requests_executed"] == way.requests
    assert found["executions"]["distinct_bodies"] == way.requests
    assert found["executions"]["max_executions_of_one_body"] == 1
    assert found["executions"]["batches_created"] == way.shards


def test_the_budget_is_used_to_the_full_and_exceeded_at_no_event(found):
    for unit, most in found["peaks"].items():
        assert 0.9 * found["budget"][unit] <= most <= found["budget"][unit]


def test_the_provider_never_has_more_batches_open_than_the_budget_allows(found):
    assert found["open_at_once"] <= found["budget"]["batches"]


def test_no_item_is_lost_and_every_partition_has_its_results(found, way):
    assert len(found["items"]) == len(set(found["items"])) == way.items
    assert found["outcomes"] == ["ok"]
    assert found["unresolved"] == 0


def test_nothing_is_left_open_and_no_budget_stays_held(found):
    assert (found["states"], found["held"]) == (["collected"], 0)


def test_all_is_done_in_the_turns_it_takes_and_those_that_the_dead_cost(found, way):
    """A turn is ten seconds of the clock, and the budget lets twenty shards finish in each. Whoever
    dies in a call keeps a twentieth of the budget for eighteen turns, until the list is believed.
    """
    assert way.shards / 20 <= found["turns"] <= 2 * way.shards / 20 + 60
