"""What Mistral's SDK raises. Importing this module imports the SDK."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
from mistralai.client.errors import MistralError, NoResponseError

from batch_assets.resources.border import HttpError, SdkErrors
from batch_assets.resources.replies import Unreadable


def _answer(error: Exception) -> HttpError | None:
    if not isinstance(error, MistralError):
        return None
    try:
        body = json.loads(error.body)
    except ValueError:
        body = error.body
    found = body if isinstance(body, dict) else {}
    code, kind = (found.get(name) for name in ("code", "type"))
    return HttpError(
        status=error.status_code,
        code=None if code is None else str(code),
        type=kind if isinstance(kind, str) else None,
        message=" ".join(_sentences(found or body)),
        request_id=error.headers.get("x-request-id"),
    )


def _sentences(body: Any) -> Iterator[str]:
    """What is said in a body: Mistral's `message`, FastAPI's `detail`, or no JSON at all."""
    match body:
        case str():
            yield body
        case list():
            for part in body:
                yield from _sentences(part)
        case dict():
            yield from (str(body[name]) for name in ("msg", "loc") if name in body)
            for name in ("message", "detail"):
                yield from _sentences(body.get(name))


#: The SDK lets through what the HTTP client raises. A reply of status 200 that is not of its type
#: is a ResponseValidationError, which is a MistralError (`client/utils/unmarshal_json_response.py`,
#: `client/errors`).
ERRORS = SdkErrors(
    foreign=(
        MistralError,
        NoResponseError,
        httpx2.HTTPError,
        httpx2.StreamError,
        httpx2.InvalidURL,
        httpx2.CookieConflict,
        UnicodeDecodeError,
        Unreadable,
    ),
    wrapper=NoResponseError,
    never_sent=(
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ProxyError,
    ),
    answer=_answer,
)
