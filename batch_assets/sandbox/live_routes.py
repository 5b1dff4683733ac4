"""Calls that ask an endpoint at once, as every provider's own do that have no batch API."""

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from batch_assets.sandbox.batch_routes import json_object
from batch_assets.sandbox.connection import NoAnswer
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.wire import Call, Routes

#: Name of all of them in a script of faults.
LIVE = "live.create"


def live_routes(paths: Mapping[str, str]) -> Routes:
    """The routes of a wire by which endpoints are asked: URLs of ENDPOINTS, by their paths."""
    return {f"{LIVE}:{path}": ("POST", path, _answering(url)) for path, url in paths.items()}


def _answering(url: str) -> Call:
    async def answer_live(request: Request) -> Response:
        """The answer, after the latency of a live call."""
        sandbox: Sandbox = request.app.state.sandbox
        sandbox.live.check_rate(sandbox.settings.live_requests_per_minute)
        body = await json_object(request)
        await sandbox.clock.pass_seconds(sandbox.settings.live_latency)
        said = await run_in_threadpool(sandbox.live.answer, url, body, sandbox.faults)
        if said is None:
            return NoAnswer()
        return Response(said.body, said.status_code, media_type="application/json")

    return answer_live
