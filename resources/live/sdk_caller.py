"""A wire through its official SDK. Importing this module imports the HTTP client of the SDKs.

The SDKs of OpenAI and Anthropic come from one generator: both have a `post` that sends `content` as
it is, and gives the plain response where it is asked to (`_base_client.py` of openai 3.54 and of
anthropic 2.12).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from batch_assets.domain.errors import AccountRefused
from batch_assets.domain.outcome import ACCOUNT_CODES
from batch_assets.resources.border import Border, SdkErrors
from batch_assets.resources.live.caller import Caller, Reply
from batch_assets.resources.live.retry_after import retry_after

#: Longest wait for a connection; the client's own timeout is for silence on one that stands.
CONNECT_SECONDS = 10.0

#: Statuses that say of the account what its codes say.
_ACCOUNT_STATUS = frozenset({401, 402, 403})


class _Usage(msgspec.Struct):
    total_tokens: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class _Body(msgspec.Struct):
    usage: _Usage | None = None


_read = msgspec.json.Decoder(_Body).decode


@dataclass(frozen=True, kw_only=True)
class WireLines:
    """How a wire's batches write what came of a request: a reply, or none and why."""

    of_reply: Callable[[str, Reply], bytes]
    of_silence: Callable[[str, str], bytes]


class SdkCaller(Caller):
    """An SDK's client for one account, which tries nothing twice."""

    def __init__(
        self,
        sdk: Any,
        *,
        border: Border,
        errors: SdkErrors,
        lines: WireLines,
        without: str = "",
        headers: Mapping[str, str] = {},
    ) -> None:
        """`without` is what the SDK's base URL has of the endpoints' own."""
        self._sdk = sdk
        self._border = border
        self._errors = errors
        self._lines = lines
        self._without = without
        self._options = {"headers": {"content-type": "application/json", **headers}}

    def call(self, body: bytes, *, endpoint: str) -> Reply:
        path = endpoint.removeprefix(self._without)
        with self._border.translated(f"asking {endpoint}"):
            try:
                response = self._sdk.post(
                    path, cast_to=httpx2.Response, content=body, options=self._options
                )
            except self._errors.foreign as error:
                answer = self._errors.answer(error)
                if answer is None or _is_of_account(answer.status, answer.codes):
                    raise
                response = error.response  # type: ignore[attr-defined]
        return _reply(response)

    def line(self, custom_id: str, reply: Reply) -> bytes:
        return self._lines.of_reply(custom_id, reply)

    def line_of_silence(self, custom_id: str, why: str) -> bytes:
        return self._lines.of_silence(custom_id, why)

    def close(self) -> None:
        self._sdk.close()


def border_of(errors: SdkErrors, *, api_key: str, key_variable: str, base_url: str) -> Border:
    """The account's border. Raises AccountRefused for a key that no HTTP header can carry."""
    if not (api_key.isascii() and api_key.isprintable()):
        raise AccountRefused(
            "the key holds characters that no key has; "
            f"check {key_variable} or the resource's api_key"
        )
    url = urlsplit(base_url)
    address = f"{url.scheme}://{url.netloc}{url.path}"
    return Border(errors, base_url=address, secret=api_key, key_variable=key_variable)


def _is_of_account(status: int, codes: frozenset[str | None]) -> bool:
    return status in _ACCOUNT_STATUS or bool(codes & ACCOUNT_CODES)


def _reply(response: httpx2.Response) -> Reply:
    headers, body = response.headers, response.content
    tokens, is_readable = None, True
    try:
        usage = _read(body).usage
        if usage is not None:
            tokens = usage.total_tokens or usage.input_tokens + usage.output_tokens
    except (msgspec.ValidationError, OverflowError):
        pass  # counts that cannot be read are none
    except (msgspec.DecodeError, RecursionError):
        is_readable = False
    return Reply(
        status=response.status_code,
        body=body,
        # OpenAI's name for it, and Anthropic's.
        request_id=headers.get("x-request-id") or headers.get("request-id"),
        retry_after=retry_after(headers),
        tokens=tokens,
        is_readable=is_readable,
    )
