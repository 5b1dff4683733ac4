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
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_assets.sandbox import batch_routes, control_routes, file_routes
from batch_assets.sandbox.clock import Clock, SystemClock
from batch_assets.sandbox.errors import ApiError, error_body
from batch_assets.sandbox.faults import Faults
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.scripted_faults import ScriptedFaults
from batch_assets.sandbox.settings import Settings, SettingValues

Call = Callable[[Request], Response | Awaitable[Response]]

MODELS = ("gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o-mini", "gpt-5-mini", "gpt-5-nano")
WRONG_KEY_PREFIX = "sk-wrong"


def list_models(request: Request) -> JSONResponse:
    models = [
        {"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "sandbox"}
        for name in MODELS
    ]
    return JSONResponse({"object": "list", "data": models})


ROUTES: dict[str, tuple[str, str, Call]] = {
    "files.create": ("POST", "/v1/files", file_routes.upload_file),
    "files.list": ("GET", "/v1/files", file_routes.list_files),
    "files.retrieve": ("GET", "/v1/files/{file_id}", file_routes.retrieve_file),
    "files.content": ("GET", "/v1/files/{file_id}/content", file_routes.file_content),
    "files.delete": ("DELETE", "/v1/files/{file_id}", file_routes.delete_file),
    "batches.create": ("POST", "/v1/batches", batch_routes.create_batch),
    "batches.list": ("GET", "/v1/batches", batch_routes.list_batches),
    "batches.retrieve": ("GET", "/v1/batches/{batch_id}", batch_routes.retrieve_batch),
    "batches.cancel": ("POST", "/v1/batches/{batch_id}/cancel", batch_routes.cancel_batch),
    "models.list": ("GET", "/v1/models", list_models),
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
            Route(path, _consulting_faults(name, call), methods=[method], name=name)
            for name, (method, path, call) in ROUTES.items()
        ],
        middleware=[Middleware(_RequestId), Middleware(_BearerKey)],
        exception_handlers={HTTPException: _no_such_route},
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


def _consulting_faults(name: str, call: Call) -> Callable[[Request], Awaitable[Response]]:
    is_async = iscoroutinefunction(call)
    of_the_provider = not name.startswith("sandbox.")

    async def work(request: Request) -> Response:
        try:
            # A call without `async` reads the database and files: it gets a thread of its own.
            answer = call(request) if is_async else await run_in_threadpool(call, request)
            return answer if isinstance(answer, Response) else await answer
        except ApiError as refused:
            return JSONResponse(refused.body, status_code=refused.status_code)

    async def endpoint(request: Request) -> Response:
        sandbox: Sandbox = request.app.state.sandbox
        scripted = sandbox.faults.on_route(name)
        if scripted is not None:
            return scripted
        fault = sandbox.faults.on_call(name) if of_the_provider else None
        return await (work(request) if fault is None else fault.answer(lambda: work(request)))

    return endpoint


def _no_such_route(request: Request, error: Exception) -> JSONResponse:
    status_code = error.status_code if isinstance(error, HTTPException) else 500
    message = f"Invalid URL ({request.method} {request.url.path})"
    return JSONResponse(error_body(message), status_code=status_code)


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


class _BearerKey:
    """Any key will do under /v1, except those that begin with `sk-wrong`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            complaint = _key_complaint(Headers(scope=scope).get("authorization", ""))
            if complaint is not None:
                body = error_body(complaint, code="invalid_api_key")
                return await JSONResponse(body, status_code=401)(scope, receive, send)
        return await self._app(scope, receive, send)


def _key_complaint(authorization: str) -> str | None:
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return (
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
    if key.startswith(WRONG_KEY_PREFIX):
        shown = f"{key[:8]}{'*' * 8}{key[-4:]}"
        return (
            f"Incorrect API key provided: {shown}. "
            "You can find your API key at https://platform.openai.com/account/api-keys."
        )
    return None
