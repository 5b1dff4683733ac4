"""Routes that no provider has: what a test or a demonstration asks the sandbox itself."""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from batch_assets.sandbox.batch_routes import json_object
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.fault_script import Script
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.scripted_faults import ScriptedFaults


def show_health(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def show_executions(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(sandbox.executions())


def show_executed_custom_ids(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(sandbox.executed_custom_ids())


def show_faults(request: Request) -> JSONResponse:
    return JSONResponse(_script(request).to_json())


async def add_faults(request: Request) -> JSONResponse:
    """Adds the rules of a `Script`, all or, where one is wrong, none."""
    scripted = _script(request)
    try:
        scripted.add(msgspec.convert(await json_object(request), Script))
    except msgspec.ValidationError as invalid:
        raise ApiError(400, str(invalid)) from invalid
    return JSONResponse(scripted.to_json())


def clear_faults(request: Request) -> JSONResponse:
    scripted = _script(request)
    scripted.clear()
    return JSONResponse(scripted.to_json())


def _script(request: Request) -> ScriptedFaults:
    faults = request.app.state.sandbox.faults
    if not isinstance(faults, ScriptedFaults):
        raise ApiError(409, "This sandbox has faults of its own, which take no script.")
    return faults


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
