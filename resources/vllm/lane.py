"""vLLM's batch runner as an offline lane: a file in, one command, a file out.

Flags and lines are those of vLLM's `vllm/entrypoints/openai/run_batch.py`: `-i`, `-o`, `--model`; a
line of output is as OpenAI's, with an `error` object of vLLM's own beside an error status. Newer
versions write each line as it comes, older ones all of them at the end: the file is read as it
grows, so that a command that dies loses what it had not written yet and nothing else.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from batch_assets.domain.batch import Account
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import ProviderUnavailable, ProviderUnreachable, RequestRefused
from batch_assets.domain.lane import Carrying, Lane
from batch_assets.domain.shard import Limits

#: What the runner has a handler for, of what an inference can ask.
ENDPOINTS = frozenset({"/v1/chat/completions", "/v1/embeddings"})

#: Seconds between two looks at the command.
LOOK_EVERY = 1.0

#: Seconds that a command has to end after it was told to.
_GRACE = 30.0

#: Characters of what a command said that stand in an error.
_TAIL = 2_000

_LEASH = Path(__file__).with_name("leash.py")

_read_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class _Body(msgspec.Struct):
    model: str


_model_of = msgspec.json.Decoder(_Body).decode


class VllmLane(Lane):
    """A command that answers a file of requests."""

    def __init__(
        self,
        *,
        command: Sequence[str],
        model: str | None,
        account: str,
        limits: Limits,
        budget: Budget,
        folder: Path | None = None,
        look_every: float = LOOK_EVERY,
    ) -> None:
        """`model` is what --model says; None takes the name that the requests have."""
        self._command = list(command)
        self._model = model
        self._account = account
        self._limits = limits
        self._budget = budget
        self._folder = folder
        self._look_every = look_every

    @property
    def account(self) -> Account:
        return Account(self._account)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def budget(self) -> Budget:
        return self._budget

    @property
    def lacks(self) -> str | None:
        program = self._command[0]
        if shutil.which(program) is None:
            return (
                f"there is no command {program}: install vLLM where the run is, or name the "
                "command that starts it in the resource's command"
            )
        return None

    def takes(self, endpoint: str) -> bool:
        return endpoint in ENDPOINTS

    def carry_out(self, carrying: Carrying, *, endpoint: str) -> None:
        if self.lacks is not None:
            raise ProviderUnreachable(self.lacks)
        with tempfile.TemporaryDirectory(prefix="vllm-", dir=self._folder) as folder:
            work = Path(folder)
            model = _write_input(carrying, work / "input.jsonl")
            if model is not None and carrying.goes_on():
                self._run(carrying, work, self._model or model)

    def _run(self, carrying: Carrying, work: Path, model: str) -> None:
        command = [
            *(*self._command, "-i", str(work / "input.jsonl"), "-o", str(work / "output.jsonl")),
            *("--model", model),
        ]
        answers = _Answers(work / "output.jsonl", carrying)
        with self._running(command, work / "said.txt") as process:
            while process.poll() is None and carrying.goes_on():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(self._look_every)
                answers.read()
            ended = process.poll()
        answers.read(is_whole=ended == 0)
        if ended:
            raise _failure(command, ended, work / "said.txt")

    @contextmanager
    def _running(self, command: list[str], said: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """The command, which does not outlive the block."""
        with said.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, str(_LEASH), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                # Of its own, so that what the command starts ends with it.
                start_new_session=True,
            )
            try:
                yield process
            finally:
                _stop(process)


class _Answers:
    """The lines of an output file that grows."""

    def __init__(self, path: Path, carrying: Carrying) -> None:
        self._path = path
        self._carrying = carrying
        self._at = 0

    def read(self, *, is_whole: bool = False) -> None:
        """Give away what is new; `is_whole` where a last line needs no end."""
        if not self._path.exists():
            return
        with self._path.open("rb") as output:
            output.seek(self._at)
            for line in output:
                if not (line.endswith(b"\n") or is_whole):
                    return
                self._at += len(line)
                if line.strip():
                    self._give(line.rstrip(b"\n"))

    def _give(self, line: bytes) -> None:
        with suppress(msgspec.DecodeError, ValueError):
            found = _read_line(line)
            error = _read_any(found.get("error", b"null"))
            if isinstance(error, dict) and isinstance(error.get("error"), dict):
                # An `ErrorResponse`, which has the facts one level further down than OpenAI.
                found["error"] = msgspec.Raw(_encode(error["error"]))
                line = _encode(found)
            self._carrying.answered(line + b"\n", failed=error is not None)


def _write_input(carrying: Carrying, path: Path) -> str | None:
    """The requests as a file; the model of the first one, None where there is none."""
    model = None
    with path.open("wb") as requests:
        for ask in carrying.asks():
            if model is None:
                model = _model_of(ask.body).model
            requests.write(ask.line if ask.line.endswith(b"\n") else ask.line + b"\n")
    return model


def _stop(process: "subprocess.Popen[bytes]") -> None:
    tell: list[Callable[[], Any]] = [
        lambda: os.killpg(process.pid, signal.SIGTERM),
        lambda: os.killpg(process.pid, signal.SIGKILL),
    ]
    for each in tell:
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            each()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)


def _failure(command: list[str], ended: int, said: Path) -> Exception:
    """What a command that ended otherwise than well means."""
    tail = said.read_bytes()[-_TAIL:].decode(errors="replace").strip()
    last = f"; its last words: {tail}" if tail else ""
    if ended < 0:
        name = signal.Signals(-ended).name
        return ProviderUnavailable(
            f"{shlex.join(command)} was ended by {name}, as for want of memory: it is started "
            f"again for what has no answer{last}"
        )
    return RequestRefused(
        f"{shlex.join(command)} ended with exit code {ended}: correct what it names{last}"
    )
