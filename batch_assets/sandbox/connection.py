"""Cutting a client's connection: what no ASGI message can say.

uvicorn takes a class of one's own as its HTTP protocol. Ours puts the connection into the ASGI
state of each request, where the responses below find it, and cuts what hangs when the server stops.
"""

import asyncio
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

KEEP_ALIVE = 3_600
"""Seconds. uvicorn's 5 run out just when a slow test calls again, and nobody scripted that cut."""

_STATE = "sandbox_connection"


class Connection:
    """The way to one client."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._hanging = False
        self._stopping = False

    def cut(self) -> None:
        """End the connection at once; bytes that wait to be sent are lost."""
        self._transport.abort()

    def finish(self) -> None:
        """End the connection after the bytes that wait to be sent."""
        self._transport.close()

    def hang(self) -> None:
        """Say nothing until the client gives up or the server stops."""
        self._hanging = True
        if self._stopping:
            self.cut()

    def stop(self) -> None:
        self._stopping = True
        if self._hanging:
            self.cut()


def cuttable(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """One of uvicorn's HTTP protocols, with connections that a response can cut."""

    class CuttableProtocol(protocol):  # type: ignore[valid-type, misc]
        app_state: dict[str, Any]

        def connection_made(self, transport: asyncio.Transport) -> None:
            self.app_state = {**self.app_state, _STATE: Connection(transport)}
            super().connection_made(transport)

        def shutdown(self) -> None:
            super().shutdown()
            self.app_state[_STATE].stop()

    return CuttableProtocol


SandboxProtocol = cuttable(AutoHTTPProtocol)


def _connection(scope: Scope) -> Connection:
    connection = scope.get("state", {}).get(_STATE)
    if connection is None:
        raise RuntimeError("serve the sandbox with `uvicorn.Config(app, http=SandboxProtocol)`")
    return connection  # type: ignore[no-any-return]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class NoAnswer(Response):
    """The connection ends before the first byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _connection(scope).cut()
        await _gone(receive)


class Silence(Response):
    """The connection stays, and nothing comes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _connection(scope).hang()
        await _gone(receive)


class CutAnswer(Response):
    """Announces the whole of an answer, sends a part and ends the connection."""

    def __init__(self, whole: Response, part: bytes, *, announced: int) -> None:
        headers = {"content-length": str(announced)}
        super().__init__(part, whole.status_code, headers, whole.media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: dict[str, Any] = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        _connection(scope).finish()
        await _gone(receive)
