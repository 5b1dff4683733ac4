"""Routes that no provider has: what a test or a demonstration asks the sandbox itself."""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from batch_assets.sandbox.batch_routes import json_object
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.provider import Sandbox


def show_health(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def show_executions(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(sandbox.executions())


def reset(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.reset()
    return JSONResponse(sandbox.executions())


async def change_settings(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    try:
        settings = await run_in_threadpool(sandbox.change_settings, await json_object(request))
    except msgspec.ValidationError as invalid:
        raise ApiError(400, str(invalid)) from invalid
    return JSONResponse(msgspec.to_builtins(settings))
