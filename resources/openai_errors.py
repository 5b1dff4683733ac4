"""What the OpenAI SDK raises, in the words of our error tree: the one place of translation.

Importing this module imports the SDK, so `batch_assets.resources.openai` does it at its first call.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import openai

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.outcome import CREDIT_CODES
from batch_assets.resources.openai_replies import Unreadable

#: Everything that can come out of the SDK and the HTTP client below it. The SDK wraps what the
#: client raises, except while a streamed body is read, and lets the JSON decoder's errors through.
FOREIGN: tuple[type[Exception], ...] = (
    openai.OpenAIError,
    openai.InvalidWebhookSignatureError,
    httpx2.HTTPError,
    httpx2.StreamError,
    httpx2.InvalidURL,
    httpx2.CookieConflict,
    json.JSONDecodeError,
    UnicodeDecodeError,
    Unreadable,
)

#: No connection stood, so no byte of the call was sent (httpcore2: `_sync/connection.py`,
#: `_sync/http_proxy.py`, where a proxy error means that the tunnel was refused).
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)

#: Codes of refusals that pass when queued batches end (community.openai.com, topic 1027303).
QUEUE_CODES = frozenset({"rate_limit_exceeded", "token_limit_exceeded"})

#: The refusal of a full queue where it comes without a code: "Enqueued token limit reached for …".
_QUEUE_WORDS = re.compile(r"enqueued[ _-]token", re.IGNORECASE)

#: Providers repeat parts of a key in the text that refuses it.
_KEY_SHAPE = re.compile(r"\bsk-[\w*.…-]+")

#: Shorter keys are placeholders of local servers ("EMPTY", "none") and occur in plain text.
_SHORTEST_SECRET = 8

#: Characters of foreign text in a sentence of ours.
_LONGEST_QUOTE = 400


@dataclass(frozen=True)
class _Verdict:
    """What a foreign error means to us: its type, what happened, and the way out."""

    kind: type[BatchAssetsError]
    happened: str
    way_out: str


_KEY = _Verdict(
    AccountRefused,
    "the provider refused the key",
    "check OPENAI_API_KEY or the resource's api_key",
)
_RIGHTS = _Verdict(
    AccountRefused,
    "the provider refused the account",
    "check the rights of the key, and the resource's organization and project",
)
_MONEY = _Verdict(
    AccountRefused,
    "the account has no credit left or has reached its spending limit",
    "add credit or raise the limit in the provider's billing settings",
)
_FULL = _Verdict(
    CapacityRefused,
    "the provider is full for now",
    "wait, or lower the resource's token_limit or max_open_batches",
)
_REFUSED = _Verdict(
    RequestRefused,
    "the provider refused the call",
    "correct what it names before you try again",
)
_DOWN = _Verdict(
    ProviderUnavailable,
    "the provider gave no usable answer",
    "try again later",
)
_LOST = _Verdict(
    ReplyLost,
    "the answer was lost or cannot be read, so the batch may exist all the same",
    "look for its key at the provider before the shard is offered again",
)
_OFFLINE = _Verdict(
    ProviderUnreachable,
    "no connection to {base_url}",
    "check the network, the proxy and the resource's base_url",
)


@contextmanager
def translated(call: str, *, base_url: str, secret: str, creating: bool = False) -> Iterator[None]:
    """Raise an error of our tree in place of any foreign one.

    `call` begins the sentence, `base_url` names the provider where no connection stands, and
    `secret` never appears: neither in the sentence nor in the chain of causes below it.

    With `creating`, an answer that is lost or unreadable raises ReplyLost, since the batch may
    exist; without, ProviderUnavailable.
    """
    try:
        yield
    except FOREIGN as error:
        verdict = _verdict(error, creating=creating)
        happened = verdict.happened.format(base_url=base_url)
        quote = _quotable(_told(error), secret)
        cause = None if _leaks(error, secret) else error
        raise verdict.kind(f"{call}: {happened} ({quote}); {verdict.way_out}") from cause


def _verdict(error: Exception, *, creating: bool) -> _Verdict:
    if isinstance(error, openai.APIStatusError) and 400 <= error.status_code < 500:
        refusal = _refusal(error)
        if refusal is not None:
            return refusal
    if isinstance(_origin(error), NEVER_SENT):
        return _OFFLINE
    return _LOST if creating else _DOWN


def _refusal(error: openai.APIStatusError) -> _Verdict | None:
    """The meaning of a 4xx; None for 408, which says that the server gave up waiting."""
    codes = {error.code, str(error.type)}
    match error.status_code:
        case 401:
            return _KEY
        case 402:
            return _MONEY
        case _ if codes & CREDIT_CODES:
            return _MONEY
        case 403:
            return _RIGHTS
        case 429:
            return _FULL
        case 408:
            return None
        case _ if codes & QUEUE_CODES or _QUEUE_WORDS.search(_message(error)):
            return _FULL
    return _REFUSED


def _origin(error: Exception) -> BaseException:
    """The HTTP client's own error where the SDK wrapped one."""
    if isinstance(error, openai.APIConnectionError) and error.__cause__ is not None:
        return error.__cause__
    return error


def _told(error: Exception) -> str:
    """What the provider or the connection said: status, code, request id, message."""
    if not isinstance(error, openai.APIStatusError):
        origin = _origin(error)
        return f"{type(origin).__name__}: {origin}"
    request = error.request_id and f"request {error.request_id}"
    facts = (f"HTTP {error.status_code}", error.code, request)
    return ": ".join(filter(None, (", ".join(filter(None, facts)), _message(error))))


def _message(error: openai.APIStatusError) -> str:
    """The provider's own sentence; the start of the body where it is no JSON."""
    if isinstance(error.body, dict):
        return str(error.body.get("message") or error.body.get("detail") or "")
    return str(error.body or "")


def _quotable(text: str, secret: str) -> str:
    """The text on one short line, without the key or characters that steer a terminal."""
    if len(secret) >= _SHORTEST_SECRET:
        text = text.replace(secret, "…")
    text = " ".join(_KEY_SHAPE.sub("sk-…", text).split())
    text = "".join(letter for letter in text if letter.isprintable())
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _leaks(error: BaseException | None, secret: str) -> bool:
    """Whether a traceback that shows the error and what it came from would show the key."""
    while error is not None and len(secret) >= _SHORTEST_SECRET:
        if secret in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
