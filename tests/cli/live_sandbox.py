"""A sandbox on the real clock, for commands that are processes of their own, and can be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from click.testing import CliRunner, Result
from starlette.responses import Response

from batch_assets.cli import main
from batch_assets.ledger import schema
from batch_assets.ledger.engine import open_engine
from batch_assets.sandbox import RunningSandbox, ScriptedFaults
from batch_assets.sandbox.call_faults import CallFault

#: Seconds from a batch's creation to its completion.
LATENCY = 0.05


class KillsCaller(CallFault, frozen=True):
    """The process that calls dies of SIGKILL, before the work is done or when it is done."""

    when: str
    #: Filled in when the process is there.
    pids: list[int]

    async def answer(self, work: Callable[[], Awaitable[Response]]) -> Response:
        if self.when == "before":
            os.kill(self.pids[0], signal.SIGKILL)
        answer = await work()
        if self.when == "after":
            os.kill(self.pids[0], signal.SIGKILL)
        return answer


class LiveFaults(ScriptedFaults):
    """A script that may kill the caller of one route, once."""

    kills: dict[str, KillsCaller]
    #: The routes that were called, in their order.
    called: list[str]

    def on_call(self, route: str) -> CallFault | None:
        self.called.append(route)
        return self.kills.pop(route, None) or super().on_call(route)

    def clear(self) -> None:
        super().clear()
        self.kills, self.called = {}, []


@dataclass(frozen=True, kw_only=True)
class Live:
    """A deployment on the sandbox, in a folder of its own."""

    sandbox: RunningSandbox
    faults: LiveFaults
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def ledger_url(self) -> str:
        return f"sqlite:///{self.folder}/home/sandbox/ledger.db"

    @property
    def store(self) -> Path:
        return self.folder / "home" / "sandbox" / "files"

    def write(self, name: str, content: str) -> str:
        (self.folder / name).write_text(content)
        return name

    def call(self, name: str, *given: Any) -> Result:
        """A command in this process."""
        return CliRunner().invoke(main, [name, *map(str, given)])

    def process(self, *given: Any, most_bytes: int | None = None) -> "subprocess.Popen[str]":
        """A command in a process of its own; no file of its may be larger, as on a full disk."""
        command = [sys.executable, "-m", "batch_assets.cli", *map(str, given)]
        if most_bytes is not None:
            command = ["prlimit", f"--fsize={most_bytes}", *command]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def killed_at(self, route: str, when: str, *given: Any) -> str:
        """What a command says on stderr that dies of SIGKILL at its first call of a route."""
        fault = KillsCaller(when=when, pids=[])
        self.faults.kills[route] = fault
        with self.process(*given) as process:
            fault.pids.append(process.pid)
            _, said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said
        return said

    def let_pass(self, time: timedelta) -> None:
        """What the ledger remembers happened so much earlier."""
        engine = open_engine(self.ledger_url)
        with engine.begin() as connection:
            for table in (schema.request_set, schema.batch):
                for row in connection.execute(sa.select(table)).mappings().all():
                    earlier = {
                        name: at - time for name, at in row.items() if isinstance(at, datetime)
                    }
                    connection.execute(
                        table.update().where(table.c.id == row["id"]).values(**earlier)
                    )
        engine.dispose()
