"""What google-genai raises. Importing this module imports the SDK."""

import json
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from google.auth.exceptions import GoogleAuthError, TransportError
from google.genai.errors import APIError, UnknownApiResponseError

from batch_assets.resources.border import HttpError, SdkErrors
from batch_assets.resources.gemini.replies import Unreadable

#: The SDK's HTTP clients: the second, or the first where that is missing or the environment names
#: it (`_api_client.py`: _get_http_client_backend).
_CLIENTS: list[Any] = [import_module(name) for name in ("httpx", "httpx2") if find_spec(name)]

#: How the Files API answers for a file that it does not have, with status 403.
_NO_FILE = "or it may not exist"


def _answer(error: Exception) -> HttpError | None:
    # Credentials are had before anything is sent.
    if isinstance(error, GoogleAuthError) and not isinstance(error, TransportError):
        return HttpError(status=401, message=str(error))
    if not isinstance(error, APIError) or not isinstance(error.code, int):
        return None
    message = error.message if isinstance(error.message, str) else ""
    return HttpError(
        status=404 if error.code == 403 and _NO_FILE in message else error.code,
        code=_reason(error.details) or error.status,
        type=error.status,
        message=message,
    )


def _reason(details: object) -> str | None:
    """The reason of a google.rpc.ErrorInfo, such as API_KEY_INVALID, where the answer has one."""
    error = details.get("error") if isinstance(details, dict) else None
    entries = error.get("details") if isinstance(error, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("reason"), str):
            reason: str = entry["reason"]
            return reason
    return None


#: The SDK lets what its HTTP client raises through as it is.
ERRORS = SdkErrors(
    foreign=(
        APIError,
        UnknownApiResponseError,
        GoogleAuthError,
        Unreadable,
        json.JSONDecodeError,
        UnicodeDecodeError,
        *(getattr(client, name) for client in _CLIENTS for name in ("HTTPError", "StreamError")),
        *(
            getattr(client, name)
            for client in _CLIENTS
            for name in ("InvalidURL", "CookieConflict")
        ),
    ),
    wrapper=None,
    never_sent=(
        TransportError,
        *(
            getattr(client, name)
            for client in _CLIENTS
            for name in ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError")
        ),
    ),
    answer=_answer,
)
