"""What can go wrong with one HTTP call, each fault a type with its own answer.

All are plain data, so that a script can be written in Python and in JSON alike, where `kind` names
the type in snake case: `{"kind": "server_error", "status": 503}`.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    Response,
    StreamingResponse,
)

from batch_assets.sandbox.connection import CutAnswer, NoAnswer, Silence
from batch_assets.sandbox.errors import ApiError

Work = Callable[[], Awaitable[Response]]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
ErrorStatus = Annotated[int, msgspec.Meta(ge=400, le=599)]

PAGE = """<html><head><title>{status}</title></head><body><h1>{status}</h1>gateway</body></html>"""
NOT_UTF_8 = (
    b'{"id": "batch_req_1", "custom_id": "\xff\xfe\x80\xc3(", "response": \xf0\x28\x8c\x28}\n'
)


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class CallFault(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=snake_case
):
    """One misbehaviour of a call; `work` does what the route is for and gives its answer."""

    async def answer(self, work: Work) -> Response:
        raise NotImplementedError


class LostReply(CallFault, frozen=True):
    """The work is done; the connection is cut before a byte of the answer."""

    async def answer(self, work: Work) -> Response:
        await work()
        return NoAnswer()


class ConnectionCut(CallFault, frozen=True):
    """The connection is cut, and nothing was done."""

    async def answer(self, work: Work) -> Response:
        return NoAnswer()


class Hang(CallFault, frozen=True):
    """No answer until the client gives up or the sandbox stops."""

    work_done: bool = False

    async def answer(self, work: Work) -> Response:
        if self.work_done:
            await work()
        return Silence()


class SlowAnswer(CallFault, frozen=True):
    """The right answer, after so many seconds of silence on a real clock."""

    seconds: Annotated[float, msgspec.Meta(ge=0)] = 5.0

    async def answer(self, work: Work) -> Response:
        await asyncio.sleep(self.seconds)
        return await work()


class _OtherAnswer(CallFault, frozen=True, kw_only=True):
    """An answer that the route would not give; with `work_done` it comes after the work."""

    work_done: bool = False

    async def answer(self, work: Work) -> Response:
        if self.work_done:
            await work()
        return self.reply()

    def reply(self) -> Response:
        raise NotImplementedError


class HttpError(_OtherAnswer, frozen=True):
    """An error of any status, in the API's shape; `retry_after` is in seconds."""

    status: ErrorStatus
    message: str = "Scripted error."
    code: str | None = None
    type: str = "invalid_request_error"
    retry_after: float | None = None

    def reply(self) -> Response:
        raise _error(self.status, self.message, self.code, self.type, self.retry_after)


class RateLimited(CallFault, frozen=True):
    """429 with `Retry-After`, in seconds; None leaves the header out."""

    retry_after: float | None = 1.0

    async def answer(self, work: Work) -> Response:
        message = "Rate limit reached for requests. Please try again later."
        raise _error(429, message, "rate_limit_exceeded", "requests", self.retry_after)


class ServerError(_OtherAnswer, frozen=True):
    """A 5xx in the API's shape; a gateway's own page is `HtmlPage(502)`."""

    status: Annotated[int, msgspec.Meta(ge=500, le=599)] = 500

    def reply(self) -> Response:
        message = "The server had an error while processing your request. Sorry about that!"
        raise _error(self.status, message, None, "server_error")


class AccountRefusal(CallFault, frozen=True):
    """The account may not: until a person acts, every call gets the same answer."""

    reason: Literal["invalid_key", "forbidden", "insufficient_quota", "billing_hard_limit"]

    async def answer(self, work: Work) -> Response:
        raise _error(*ACCOUNT_REFUSALS[self.reason])


class TruncatedDownload(CallFault, frozen=True):
    """`content-length` announces the whole, `share` of it is sent, then the connection is cut."""

    share: Share = 0.5

    async def answer(self, work: Work) -> Response:
        answer = await work()
        whole = await _content(answer)
        cut = whole[: int(len(whole) * self.share)]
        return CutAnswer(answer, cut, announced=len(whole))


class HalfDownload(CallFault, frozen=True):
    """`share` of the body, without a `content-length`, and an end as if that were all."""

    share: Share = 0.5

    async def answer(self, work: Work) -> Response:
        answer = await work()
        whole = await _content(answer)
        blocks = iter([whole[: int(len(whole) * self.share)]])
        return StreamingResponse(blocks, answer.status_code, media_type=answer.media_type)


class HtmlPage(_OtherAnswer, frozen=True):
    """A page of some gateway in place of the answer, with status 200 unless told otherwise."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 200

    def reply(self) -> Response:
        return HTMLResponse(PAGE.format(status=self.status), status_code=self.status)


class NotUtf8(_OtherAnswer, frozen=True):
    """Status 200 and bytes that are no UTF-8."""

    def reply(self) -> Response:
        return Response(NOT_UTF_8, media_type="application/octet-stream")


AnyCallFault = (
    LostReply
    | ConnectionCut
    | Hang
    | SlowAnswer
    | HttpError
    | RateLimited
    | ServerError
    | AccountRefusal
    | TruncatedDownload
    | HalfDownload
    | HtmlPage
    | NotUtf8
)

#: Status, message, code and type. Codes as in OpenAI's guide "Error codes"; the billing limit comes
#: with 400 (seen in public error handlers).
ACCOUNT_REFUSALS = {
    "invalid_key": (401, "Incorrect API key provided.", "invalid_api_key", "invalid_request_error"),
    "forbidden": (
        403,
        "You have insufficient permissions for this operation.",
        "insufficient_permissions",
        "invalid_request_error",
    ),
    "insufficient_quota": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    "billing_hard_limit": (
        400,
        "Billing hard limit has been reached.",
        "billing_hard_limit_reached",
        "invalid_request_error",
    ),
}


def _error(
    status: int, message: str, code: str | None, type: str, retry_after: float | None = None
) -> ApiError:
    """To be raised: the wire that was called gives it its shape."""
    headers = None if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return ApiError(status, message, code=code, type=type, headers=headers)


async def _content(answer: Response) -> bytes:
    if isinstance(answer, FileResponse):
        return await run_in_threadpool(Path(answer.path).read_bytes)
    return bytes(answer.body)
