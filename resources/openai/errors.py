"""What the OpenAI SDK raises. Importing this module imports the SDK."""

import json

import httpx2
import openai

from batch_assets.resources.border import HttpError, SdkErrors
from batch_assets.resources.replies import Unreadable


def _answer(error: Exception) -> HttpError | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    return HttpError(
        status=error.status_code,
        code=error.code,
        type=error.type,
        message=_message(error.body),
        request_id=error.request_id,
    )


def _message(body: object) -> str:
    """The provider's own sentence; the start of the body where it is no JSON."""
    if isinstance(body, dict):
        return str(body.get("message") or body.get("detail") or "")
    return str(body or "")


#: The SDK wraps what the HTTP client raises, except while a streamed body is read, and lets the
#: JSON decoder's errors through. No byte of a call was sent where no connection stood (httpcore2:
#: `_sync/connection.py`; `_sync/http_proxy.py`, where a proxy error means a refused tunnel).
ERRORS = SdkErrors(
    foreign=(
        openai.OpenAIError,
        openai.InvalidWebhookSignatureError,
        httpx2.HTTPError,
        httpx2.StreamError,
        httpx2.InvalidURL,
        httpx2.CookieConflict,
        json.JSONDecodeError,
        UnicodeDecodeError,
        Unreadable,
    ),
    wrapper=openai.APIConnectionError,
    never_sent=(
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ProxyError,
    ),
    answer=_answer,
)
