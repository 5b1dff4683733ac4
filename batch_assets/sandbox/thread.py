"""A sandbox on a loopback port, inside a test."""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import uvicorn
from starlette.applications import Starlette

from batch_assets.sandbox.app import create_app
from batch_assets.sandbox.clock import Clock, SystemClock
from batch_assets.sandbox.connection import KEEP_ALIVE, SandboxProtocol
from batch_assets.sandbox.faults import Faults
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.settings import SettingValues

STOP_TIMEOUT = 10.0


@dataclass(frozen=True, kw_only=True)
class RunningSandbox:
    origin: str
    """The address, to which each wire adds its own prefix."""
    base_url: str
    """For OpenAI's SDK: ends in /v1."""
    control_url: str
    """Ends in /sandbox."""
    state: Sandbox
    clock: Clock


@contextmanager
def running_sandbox(
    state_dir: Path | None = None,
    *,
    clock: Clock | None = None,
    faults: Faults | None = None,
    **settings: Unpack[SettingValues],
) -> Iterator[RunningSandbox]:
    """Without a `state_dir` the state is thrown away at the end; without a `clock` time is real."""
    with ExitStack() as stack:
        folder = state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clock = clock or SystemClock()
        app = create_app(folder, clock=clock, faults=faults, **settings)
        origin = stack.enter_context(served(app))
        yield RunningSandbox(
            origin=origin,
            base_url=f"{origin}/v1",
            control_url=f"{origin}/sandbox",
            state=app.state.sandbox,
            clock=clock,
        )


@contextmanager
def served(app: Starlette, http: type[asyncio.Protocol] = SandboxProtocol) -> Iterator[str]:
    """The address of the app, on a loopback port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # asyncio turns Nagle's delay of 40 ms off only for the sockets that it makes itself.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            app, http=http, log_level="warning", loop="asyncio", timeout_keep_alive=KEEP_ALIVE
        )
        server = uvicorn.Server(config)
        # The socket listens already, so a client that is early waits instead of failing.
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(STOP_TIMEOUT)
