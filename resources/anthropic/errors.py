"""What the Anthropic SDK raises. Importing this module imports the SDK."""

import json

import anthropic
import httpx2

from batch_assets.resources.border import HttpError, SdkErrors
from batch_assets.resources.replies import Unreadable


def _answer(error: Exception) -> HttpError | None:
    if not isinstance(error, anthropic.APIStatusError):
        return None
    return HttpError(
        status=error.status_code,
        # Most errors have no code but their type.
        code=error.error_code or error.type,
        type=error.type,
        message=error.api_message or str(error.body or ""),
        request_id=error.request_id,
    )


#: As `openai/errors.py`: this SDK wraps what the HTTP client raises, too, except while a streamed
#: body is read (anthropic 2.12, `_base_client.py`), on the same HTTP client.
ERRORS = SdkErrors(
    foreign=(
        anthropic.AnthropicError,
        httpx2.HTTPError,
        httpx2.StreamError,
        httpx2.InvalidURL,
        httpx2.CookieConflict,
        json.JSONDecodeError,
        UnicodeDecodeError,
        Unreadable,
    ),
    wrapper=anthropic.APIConnectionError,
    never_sent=(
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ProxyError,
    ),
    answer=_answer,
)
