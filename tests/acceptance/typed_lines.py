"""A person at a terminal: lines as docs/howto/coming-from.md has them, over a sandbox."""

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from batch_assets.cli import main
from batch_assets.sandbox import RunningSandbox, ScriptedFaults

#: Seconds from a batch's creation to its completion.
LATENCY = 0.05

#: Waits as often as a test can afford; the page leaves it out.
OFTEN = "--every 0.1"


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """In an empty folder, on a deployment of its own."""

    sandbox: RunningSandbox
    faults: ScriptedFaults
    folder: Path

    def write(self, name: str, content: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def read(self, name: str) -> list[dict[str, Any]]:
        """The rows of a file of JSON lines."""
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def run(self, line: str, more: str = "", **words: str) -> Result:
        """What a line does, in this process.

        `more` are options that the page leaves out; `words` stand for those of the line that a
        person would replace, such as BATCH_ID.
        """
        return CliRunner().invoke(main, _words(line, more, words))

    def rows(self, line: str, more: str = "", *, code: int = 0, **words: str) -> list[Any]:
        """The rows that a line answers with, in JSON."""
        result = self.run(line, f"{more} -o json", **words)
        assert result.exit_code == code, result.output
        rows: list[Any] = json.loads(result.stdout)["rows"]
        return rows

    def kill_when(self, said: str, line: str, more: str = "") -> None:
        """Run a line in a process of its own, which dies of SIGKILL once stderr has that text."""
        command = [sys.executable, "-m", "batch_assets.cli", *_words(line, more, {})]
        with subprocess.Popen(
            command, cwd=self.folder, env=os.environ, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            assert any(said in each for each in process.stderr)
            process.kill()
        assert process.returncode == -signal.SIGKILL

    @property
    def executed(self) -> dict[str, int]:
        """What the sandbox was asked and carried out."""
        return self.sandbox.state.executions()

    def asked(self, inference: str) -> list[dict[str, Any]]:
        """The bodies of the requests that were written for an inference, in their order."""
        store = self.folder / "home" / "sandbox" / "files" / inference
        shards = sorted(store.rglob("requests/wave-0-shard-*.jsonl"))
        return [json.loads(line) for shard in shards for line in shard.read_text().splitlines()]


def _words(line: str, more: str, words: dict[str, str]) -> list[str]:
    program, *rest = shlex.split(line)
    assert program == "batch-assets", line
    return [words.get(word, word) for word in rest] + shlex.split(more)
