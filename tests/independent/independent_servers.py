"""Servers that others wrote, started and stopped; `scripts/independent` installs them."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from threading import Event
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import psutil

#: How long a server may take to start, and how long to end.
START_SECONDS = 120
STOP_SECONDS = 10

AIMOCK = "aimock/node_modules/@copilotkit/aimock/dist/cli.js"


@dataclass(frozen=True)
class Running:
    """A server of another's, with its version."""

    name: str
    origin: str
    process: psutil.Process

    def get(self, path: str) -> Any:
        with urlopen(f"{self.origin}{path}", timeout=30) as reply:
            return json.load(reply)

    def requests_seen(self, **filters: str | int) -> int:
        """How many requests aimock's journal has of a path, a status, …"""
        query = urlencode({**filters, "limit": 1})
        with urlopen(f"{self.origin}/__aimock/journal?{query}", timeout=30) as reply:
            return int(reply.headers["X-Total-Count"])

    @property
    def peak_megabytes(self) -> int:
        """The most memory it has held, as the kernel counts it."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        return int(peak) // 1024


@contextmanager
def aimock(installed: Path, folder: Path, fixtures: Any) -> Iterator[Running]:
    """`fixtures` are what its model says. It keeps a journal of every request."""
    version = json.loads((installed / AIMOCK).parents[1].joinpath("package.json").read_bytes())
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    port = free_port()
    fixed = ["-f", str(folder / "fixtures.json"), "--journal-max", "0", "--log-level", "warn"]
    command = ["node", str(installed / AIMOCK), "-p", str(port), *fixed]
    name = f"aimock {version['version']}"
    with _running(name, command, port, "/v1/models", folder) as running:
        yield running


@contextmanager
def ogx(
    installed: Path, folder: Path, model_url: str, *, port: int | None = None
) -> Iterator[Running]:
    """It asks a model at `model_url`, which speaks OpenAI's chat completions.

    What it knows is in `folder`, and known again when it is started there once more.
    """
    python = installed / "ogx/bin/python"
    asked = [str(python), "-c", "from importlib.metadata import version; print(version('ogx'))"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    pattern = Template((Path(__file__).parent / "ogx.yaml").read_text())
    (folder / "ogx.yaml").write_text(pattern.substitute(folder=folder, model_url=model_url))
    port = port or free_port()
    options = ["run", "--insecure", "--port", str(port)]
    command = [str(installed / "ogx/bin/ogx"), *options, str(folder / "ogx.yaml")]
    with _running(f"ogx {version}", command, port, "/v1/models", folder) as running:
        yield running


@contextmanager
def _running(
    name: str, command: list[str], port: int, ready: str, folder: Path
) -> Iterator[Running]:
    log = folder / "log.txt"
    # A server finds nobody's keys and no home in its environment.
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        running = Running(name, f"http://127.0.0.1:{port}", psutil.Process(process.pid))
        _wait_for(running, ready, process, log)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(running: Running, path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    # A foreign process starts in its own time, so this is one of the few real waits.
    for _ in range(10 * START_SECONDS):
        try:
            running.get(path)
        except (URLError, ConnectionError):
            pass
        else:
            return
        if process.poll() is not None:
            break
        Event().wait(0.1)
    raise RuntimeError(f"{running.name} does not start:\n{log.read_text()[-5_000:]}")


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
