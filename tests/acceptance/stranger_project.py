"""A project of somebody else's: its own environment with our wheel, its own files, its own name.

The files and commands are those of docs/howto/first-inference.md, as they stand there.
"""

import importlib.metadata
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "howto" / "first-inference.md").read_text()

#: What create-dagster 1.13 writes, as far as Dagster reads it.
PYPROJECT = """\
[project]
name = "support"
version = "0.1.0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "support"
registry_modules = ["support.components.*"]
"""

#: Seconds that a command of Dagster's may take on a busy machine.
PATIENCE = 120


def files_of_the_page() -> Mapping[str, str]:
    """Each file that the page tells of, by its path."""
    found = re.findall(r"`([\w./]+\.\w+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return dict(found)


def commands_of_the_page(beginning: str) -> list[str]:
    """The page's commands that begin so, in their order."""
    shells = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for shell in shells for line in shell.splitlines()]
    return [line for line in lines if line.startswith(beginning)]


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """The project, and what its owner types."""

    folder: Path
    environment: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command as it is typed in the project's folder."""
        done = subprocess.run(
            shlex.split(command),
            cwd=self.folder,
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def python(self, code: str) -> str:
        return self.run(shlex.join(["python", "-c", code])).stdout.strip()

    @contextmanager
    def running(self, command: str) -> Iterator[Path]:
        """A command that goes on until it is told to stop; the file of what it says."""
        log = self.folder / f"{shlex.split(command)[0]}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                shlex.split(command),
                cwd=self.folder,
                env=self.env(),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def env(self) -> dict[str, str]:
        return {
            "PATH": f"{self.environment / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.folder.parent),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            **self.variables,
        }


def a_project(folder: Path, environment: Path) -> Stranger:
    """The project of the page, before its inference is scaffolded."""
    stranger = Stranger(folder=folder / "support", environment=environment)
    stranger.write("pyproject.toml", PYPROJECT)
    for package in ("src/support", "src/support/defs"):
        stranger.write(f"{package}/__init__.py", "")
    for path, text in files_of_the_page().items():
        stranger.write(path, text)
    # The stranger's own, which ours must leave alone.
    stranger.write("resources/__init__.py", "TEAMS = ['billing', 'shipping', 'other']\n")
    # What `uv add --editable .` does.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "support.pth").write_text(f"{stranger.folder / 'src'}\n{stranger.folder}\n")
    return stranger


def an_environment(folder: Path, wheel: Path) -> Path:
    """A fresh environment with the wheel installed; what it depends on is this environment's."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--no-deps", "--no-index", "-q", str(wheel)]
    subprocess.run(install, check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "dependencies.pth").write_text(f"{here}\n")
    for script in importlib.metadata.entry_points(group="console_scripts"):
        if script.name in ("dg", "dagster", "dagster-webserver", "dagster-daemon"):
            target = folder / "bin" / script.name
            target.write_text(
                f"#!{python}\nimport sys\nfrom {script.module} import {script.attr}\n"
                f"sys.exit({script.attr}())\n"
            )
            target.chmod(0o755)
    return folder


def a_free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


class Webserver:
    """Dagster's GraphQL API."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        answer = httpx.post(
            self._url, json={"query": query, "variables": variables}, timeout=PATIENCE
        )
        answer.raise_for_status()
        body = answer.json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    def ask_until(self, query: str, is_so: Any, log: Path, **variables: Any) -> Any:
        """Ask again each second until it is so; what is said in the end."""
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            try:
                found = self.ask(query, **variables)
                if is_so(found):
                    return found
            except httpx.TransportError:
                found = None
            assert time.monotonic() < deadline, f"{found}\n{log.read_text()[-5000:]}"
            time.sleep(1)
