"""vLLM's batch runner as a lane: a real command, real files, and a command that dies.

vLLM itself needs a GPU: `vllm_command` stands in for it, with its flags and its lines.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_live_lane import CHAT

from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    DeclarationError,
    ProviderUnavailable,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.lane import Ask, Carrying
from batch_assets.domain.shard import Limits
from batch_assets.resources.vllm import VllmLane, VllmResource

COMMAND = Path(__file__).with_name("vllm_command.py")


class Work(Carrying):
    """Requests, of which those without a line so far are asked for."""

    def __init__(self, count: int, *, stops_after: int | None = None) -> None:
        self._count = count
        self._stops_after = stops_after
        self.lines: dict[str, dict[str, Any]] = {}

    def asks(self) -> Iterator[Ask]:
        for number in range(self._count):
            custom_id = f"r-{number}"
            message = {"role": "user", "content": f"Question {number}"}
            body = {"model": "tiny", "messages": [message]}
            line = {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}
            if custom_id not in self.lines:
                yield Ask(
                    custom_id=custom_id,
                    body=json.dumps(body).encode(),
                    line=json.dumps(line).encode() + b"\n",
                )

    def answered(self, line: bytes, *, failed: bool = False) -> None:
        assert line.endswith(b"\n")
        found = json.loads(line)
        self.lines[found["custom_id"]] = found

    def goes_on(self) -> bool:
        return self._stops_after is None or len(self.lines) < self._stops_after


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """What the command has answered, all its starts together."""
    return tmp_path / "book.txt"


@pytest.fixture
def a_lane(book: Path) -> Callable[..., VllmLane]:
    def make(*flags: str, model: str | None = None) -> VllmLane:
        return VllmLane(
            command=[sys.executable, str(COMMAND), "--book", str(book), *flags],
            model=model,
            account="vllm",
            limits=Limits(requests=100, bytes=10**6),
            budget=Budget(),
            look_every=0.01,
        )

    return make


def statuses(work: Work) -> list[int]:
    return [line["response"]["status_code"] for line in work.lines.values()]


def test_a_command_answers_every_request(a_lane) -> None:
    work = Work(5)

    a_lane().carry_out(work, endpoint=CHAT)

    assert statuses(work) == [200] * 5
    assert work.lines["r-0"]["response"]["body"]["choices"]


def test_the_model_of_the_requests_is_the_commands(a_lane) -> None:
    work = Work(2)

    a_lane(model="other").carry_out(work, endpoint=CHAT)

    assert statuses(work) == [404, 404]


def test_an_error_of_vllms_own_shape_becomes_one_of_openais(a_lane) -> None:
    work = Work(1)

    a_lane(model="other").carry_out(work, endpoint=CHAT)

    assert work.lines["r-0"]["error"]["message"] == "The model `tiny` does not exist."


def test_a_command_that_is_killed_keeps_its_answers_and_goes_on_with_the_rest(
    a_lane, book: Path
) -> None:
    work = Work(5)

    with pytest.raises(ProviderUnavailable, match="ended by SIGKILL"):
        a_lane("--die-after", "3").carry_out(work, endpoint=CHAT)
    kept = list(work.lines)
    a_lane().carry_out(work, endpoint=CHAT)

    assert kept == ["r-0", "r-1", "r-2"]
    assert book.read_text().split() == [f"r-{number}" for number in range(5)]


def test_a_command_that_fails_says_why(a_lane) -> None:
    with pytest.raises(RequestRefused, match=r"exit code 3.*no GPU found"):
        a_lane("--exit", "3").carry_out(Work(1), endpoint=CHAT)


def test_a_command_is_ended_where_it_may_not_go_on(a_lane) -> None:
    """It would stay for ten minutes after its last answer."""
    work = Work(3, stops_after=3)

    a_lane("--stay").carry_out(work, endpoint=CHAT)

    assert statuses(work) == [200] * 3


def test_no_command_is_started_for_nothing(a_lane, book: Path) -> None:
    a_lane().carry_out(Work(0), endpoint=CHAT)

    assert not book.exists()


def test_a_command_that_is_not_there_is_said_before_it_is_needed() -> None:
    lane = VllmResource(command=["no-such-vllm"]).create_resource(None)

    with pytest.raises(ProviderUnreachable, match="no command no-such-vllm: install vLLM"):
        lane.carry_out(Work(1), endpoint=CHAT)


def test_the_runner_takes_chat_and_embeddings(a_lane) -> None:
    taken = [url for url in (CHAT, "/v1/embeddings", "/v1/responses") if a_lane().takes(url)]

    assert taken == [CHAT, "/v1/embeddings"]


def test_an_empty_command_is_a_wrong_declaration() -> None:
    with pytest.raises(DeclarationError, match="give the command that starts vLLM"):
        VllmResource(command=[])


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is Linux's")
@pytest.mark.parametrize("inherited", ["SIG_DFL", "SIG_IGN"])
def test_a_command_does_not_outlive_a_run_that_is_killed(book: Path, inherited: str) -> None:
    """Beside the one that goes on with its work it would have no GPU."""
    run = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from test_vllm_lane import *\n"
            f"signal.signal(signal.SIGTERM, signal.{inherited})\n"
            f"VllmLane(command=[sys.executable, {str(COMMAND)!r}, '--book', {str(book)!r}, "
            "'--stay'], model=None, account='vllm', limits=Limits(requests=1, bytes=1), "
            "budget=Budget(), look_every=0.01).carry_out(Work(1), endpoint=CHAT)",
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(COMMAND.parent)])},
    )
    child = _child_of(run.pid, until=book.exists)
    run.kill()
    run.wait()

    assert _ends(child)


def _child_of(pid: int, until: Callable[[], bool]) -> int:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        os.sched_yield()
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def _ends(pid: int) -> bool:
    """Whether the process is gone within the test's time."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if _is_dead(pid):
            return True
    os.kill(pid, signal.SIGKILL)
    return False


def _is_dead(pid: int) -> bool:
    """A dead one that its new parent has not been told of yet."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(") ", 1)[1].startswith("Z")
