"""The ASGI application: the routes, who may call them, and the shape of every error."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Unpack

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_assets.sandbox import control_routes
from batch_assets.sandbox.anthropic_wire import ANTHROPIC
from batch_assets.sandbox.clock import Clock, SystemClock
from batch_assets.sandbox.compatible_wire import COMPATIBLE
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.faults import Faults
from batch_assets.sandbox.gemini_bucket import GCS
from batch_assets.sandbox.gemini_wire import GEMINI
from batch_assets.sandbox.mistral_wire import MISTRAL
from batch_assets.sandbox.openai_wire import OPENAI
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.scripted_faults import ScriptedFaults
from batch_assets.sandbox.settings import Settings, SettingValues
from batch_assets.sandbox.wire import Call, Routes, Wire

#: Of the sandbox itself; nothing of them is misbehaved.
CONTROL: Routes = {
    "sandbox.executions": ("GET", "/sandbox/executions", control_routes.show_executions),
    "sandbox.custom_ids": (
        "GET",
        "/sandbox/executions/custom_ids",
        control_routes.show_executed_custom_ids,
    ),
    "sandbox.faults": ("GET", "/sandbox/faults", control_routes.show_faults),
    "sandbox.faults.add": ("POST", "/sandbox/faults", control_routes.add_faults),
    "sandbox.faults.clear": ("DELETE", "/sandbox/faults", control_routes.clear_faults),
    "sandbox.health": ("GET", "/sandbox/health", control_routes.show_health),
    "sandbox.reset": ("POST", "/sandbox/reset", control_routes.reset),
    "sandbox.settings": ("POST", "/sandbox/settings", control_routes.change_settings),
}

#: The first answers where no other has the path.
WIRES: tuple[Wire, ...] = (OPENAI, ANTHROPIC, GEMINI, GCS, *COMPATIBLE, MISTRAL)


def create_app(
    state_dir: Path,
    *,
    clock: Clock | None = None,
    faults: Faults | None = None,
    **settings: Unpack[SettingValues],
) -> Starlette:
    """A sandbox whose whole state is under `state_dir`; `settings` are those of `Settings`.

    Serve it with `uvicorn.Config(app, http=SandboxProtocol)` if faults are to cut connections.
    """
    checked = msgspec.convert(settings, Settings)
    sandbox = Sandbox(state_dir, clock or SystemClock(), checked, faults or ScriptedFaults())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        sandbox.close()

    app = Starlette(
        routes=[
            *(
                Route(path, _answering(call, name), methods=[method], name=name)
                for name, (method, path, call) in CONTROL.items()
            ),
            *(
                Route(
                    wire.prefix + path,
                    # What stands behind a colon tells routes apart that faults do not.
                    _answering(call, name.partition(":")[0], wire),
                    methods=[method],
                    name=f"{wire.name}.{name}",
                )
                for wire in WIRES
                for name, (method, path, call) in wire.routes.items()
            ),
        ],
        middleware=[Middleware(_RequestId), Middleware(_Key)],
        exception_handlers={HTTPException: _no_such_route},
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


def _answering(
    call: Call, name: str, wire: Wire | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """What answers a route; one of a wire after it has asked the script of faults."""
    is_async = iscoroutinefunction(call)
    refused = OPENAI.refused if wire is None else wire.refused

    async def work(request: Request) -> Response:
        try:
            # A call without `async` reads the database and files: it gets a thread of its own.
            answer = call(request) if is_async else await run_in_threadpool(call, request)
            return answer if isinstance(answer, Response) else await answer
        except ApiError as error:
            return refused(error)

    async def endpoint(request: Request) -> Response:
        sandbox: Sandbox = request.app.state.sandbox
        scripted = sandbox.faults.on_route(name)
        if scripted is not None:
            return scripted
        fault = None if wire is None else sandbox.faults.on_call(name)
        if fault is None:
            return await work(request)
        try:
            return await fault.answer(lambda: work(request))
        except ApiError as error:
            return refused(error)

    return endpoint


def _wire_of(path: str) -> Wire | None:
    return next((wire for wire in WIRES if path.startswith(f"{wire.prefix}/")), None)


def _no_such_route(request: Request, error: Exception) -> Response:
    status_code = error.status_code if isinstance(error, HTTPException) else 500
    message = f"Invalid URL ({request.method} {request.url.path})"
    wire = _wire_of(request.url.path) or OPENAI
    return wire.refused(ApiError(status_code, message))


class _RequestId:
    """`x-request-id` on every response (API reference, "Debugging requests")."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = f"req_{secrets.token_hex(16)}"
            await send(message)

        await self._app(scope, receive, send_with_id)


class _Key:
    """Asks for a key on every path of a wire, whether or not it has such a route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = _wire_of(scope["path"]) if scope["type"] == "http" else None
        if wire is not None:
            complaint = wire.key_complaint(Headers(scope=scope))
            if complaint is not None:
                return await wire.refused(complaint)(scope, receive, send)
        return await self._app(scope, receive, send)
