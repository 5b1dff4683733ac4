"""Whatever goes wrong at Anthropic becomes one error of ours: a sentence, without the key."""

import io
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import dagster as dg
import httpx2
import pytest
from anthropic import _exceptions as anthropic_exceptions

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.provider import Provider
from batch_assets.resources.anthropic import AnthropicResource
from batch_assets.resources.anthropic.errors import ERRORS
from batch_assets.resources.border import Border

CREATE, LIST = "POST /v1/messages/batches", "GET /v1/messages/batches"
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
KEY = "sk-ant-api03-0123456789abcdefghijklmnop"
BORDER = Border(
    ERRORS, base_url="http://provider.test", secret=KEY, key_variable="ANTHROPIC_API_KEY"
)
REQUEST = httpx2.Request("POST", "http://provider.test/v1/messages/batches")


def a_provider(server: Any, **fields: Any) -> Provider:
    chosen: dict[str, Any] = {"api_key": KEY, "timeout_seconds": 5.0, "max_retries": 0, **fields}
    base_url = server.base_url.removesuffix("/v1")
    resource = AnthropicResource(**chosen, base_url=base_url)
    return resource.create_resource(dg.build_init_resource_context())


@pytest.fixture
def provider(server) -> Provider:
    return a_provider(server)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "shard.jsonl"
    path.write_text('{"custom_id":"r-1","params":{}}\n')
    return path


@pytest.fixture
def submit(provider, shard) -> Callable[[], Any]:
    return lambda: provider.submit(shard, endpoint="/v1/messages", key="k-1")


def refusal(
    server: Any,
    status: int,
    kind: str = "api_error",
    *,
    code: str | None = None,
    message: str = "No.",
) -> bytes:
    """An error in Anthropic's shape."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    body = {"type": "error", "error": error, "request_id": "req_1"}
    return server.answer(body, status=status, request_id="req_1", retry_after_ms="1")


#: Status, type and code of a refusal, and what it says in any call.
REFUSALS = [
    (400, "invalid_request_error", None, RequestRefused),
    (400, "invalid_request_error", "organization_on_hold", AccountRefused),
    (400, "invalid_request_error", "cmek_key_disabled", AccountRefused),
    (400, "invalid_request_error", "claude_code_key_creator_not_member", AccountRefused),
    (401, "authentication_error", None, AccountRefused),
    (402, "billing_error", None, AccountRefused),
    (402, "billing_error", "linked_organization_spend_limit_reached", AccountRefused),
    (403, "permission_error", None, AccountRefused),
    (403, "permission_error", "user_profile_not_billable", AccountRefused),
    (404, "not_found_error", None, RequestRefused),
    (409, "conflict_error", None, RequestRefused),
    (413, "request_too_large", None, RequestRefused),
    (429, "rate_limit_error", None, CapacityRefused),
    (429, "rate_limit_error", "ramp_limit_exceeded", CapacityRefused),
    (429, "rate_limit_error", "enforced_spend_limit_reached", AccountRefused),
    (429, "rate_limit_error", "contract_spend_limit_reached", AccountRefused),
]


@pytest.mark.parametrize(("status", "kind", "code", "error"), REFUSALS)
def test_a_refused_creation_is_known_not_to_exist(server, submit, status, kind, code, error):
    server.on(CREATE, refusal(server, status, kind, code=code))

    with pytest.raises(error):
        submit()


@pytest.mark.parametrize(("status", "kind", "code", "error"), REFUSALS)
def test_a_refused_read_is_of_the_same_kind(server, provider, status, kind, code, error):
    server.on(LIST, refusal(server, status, kind, code=code))

    with pytest.raises(error):
        provider.find("k-1", since=SINCE)


def test_an_account_without_credit_is_known_by_its_words(server, submit):
    words = "Your credit balance is too low to access the Anthropic API."
    server.on(CREATE, refusal(server, 400, "invalid_request_error", message=words))

    with pytest.raises(AccountRefused, match="add credit"):
        submit()


@pytest.mark.parametrize("status", [302, 408, 500, 503, 504, 529])
def test_a_creation_that_the_server_broke_off_may_have_happened(server, submit, status):
    server.on(CREATE, refusal(server, status, "overloaded_error"))

    with pytest.raises(ReplyLost):
        submit()
    assert server.count(CREATE) == 1


@pytest.mark.parametrize("status", [302, 408, 500, 503, 504, 529])
def test_a_read_that_the_server_broke_off_can_be_tried_later(server, provider, status):
    server.on(LIST, refusal(server, status, "overloaded_error"))

    with pytest.raises(ProviderUnavailable):
        provider.find("k-1", since=SINCE)


#: Replies with status 200 that no batch can be read from.
GARBLED = {
    "hung up": lambda server: b"",
    "cut short": lambda server: server.answer({"id": "msgbatch_1"})[:-4],
    "no JSON": lambda server: server.answer(b"<html>", content_type="application/json"),
    "a web page": lambda server: server.answer(b"<html>", content_type="text/html"),
    "bad UTF-8": lambda server: server.answer(b'{"id": "\xff"}'),
    "null": lambda server: server.answer(None),
    "a list": lambda server: server.answer([1]),
    "an empty object": lambda server: server.answer({}),
    "wrong types": lambda server: server.answer({"id": 1, "data": 2, "processing_status": 3}),
    "no time": lambda server: server.answer(
        {"id": "m", "processing_status": "ended", "created_at": "soon", "data": [{}]}
    ),
}


@pytest.mark.parametrize("garbled", GARBLED.values(), ids=GARBLED)
def test_a_creation_with_an_unreadable_reply_may_have_happened(server, submit, garbled):
    server.on(CREATE, garbled(server))

    with pytest.raises(ReplyLost):
        submit()


@pytest.mark.parametrize("garbled", GARBLED.values(), ids=GARBLED)
def test_an_unreadable_list_is_not_an_empty_one(server, provider, garbled):
    server.on(LIST, garbled(server))

    with pytest.raises(ProviderUnavailable):
        provider.find("k-1", since=SINCE)


@pytest.mark.parametrize("garbled", GARBLED.values(), ids=GARBLED)
def test_an_unreadable_batch_has_no_results_to_download(server, provider, garbled):
    server.on(f"{LIST}/m", garbled(server))

    with pytest.raises(ProviderUnavailable):
        provider.download("m", io.BytesIO())


def test_a_silent_provider_may_have_created_the_batch(server, shard):
    server.on(CREATE, None)

    with pytest.raises(ReplyLost):
        a_provider(server, timeout_seconds=0.2).submit(shard, endpoint="/v1/messages", key="k-1")
    assert server.count(CREATE) == 1


def test_the_sentence_names_call_code_request_and_way_out(server, submit):
    text = "invalid\nx-api-key\x1b[31m: sk-ant-***mnop"
    server.on(CREATE, refusal(server, 401, "authentication_error", message=text))

    with pytest.raises(AccountRefused) as refused:
        submit()

    assert refused.value.message == (
        "creating the batch k-1: the provider refused the key (HTTP 401, authentication_error, "
        "request req_1: invalid x-api-key[31m: sk-…); "
        "check ANTHROPIC_API_KEY or the resource's api_key"
    )


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_provider_that_repeats_the_key_does_not_spread_it(server, submit, status):
    server.on(CREATE, refusal(server, status, message=f"Bad: Bearer {KEY}"))

    with pytest.raises(BatchAssetsError) as raised:
        submit()

    assert KEY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("key", ["sk-two words\nsk", "sk-ключ-1234567"])
def test_a_key_that_no_header_can_carry_is_refused_before_any_call(server, shard, key):
    with pytest.raises(AccountRefused, match="ANTHROPIC_API_KEY"):
        a_provider(server, api_key=key).submit(shard, endpoint="/v1/messages", key="k-1")

    assert server.calls == []


def test_the_key_of_the_environment_is_never_sent(server, monkeypatch, shard):
    """The account that pays is the one that was declared."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-somebody-else")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-somebody-else")
    server.on(LIST, server.answer({"data": [], "has_more": False}))

    assert a_provider(server).find("k-1", since=SINCE) is None
    assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in server.calls[0].headers


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


def exceptions_of(module: object) -> Iterator[type[Exception]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Exception):
            yield value


def an_error(kind: type[Exception]) -> Exception:
    """An instance with what the SDK always sets; others are made without their arguments."""
    if issubclass(kind, anthropic.APIStatusError):
        status = getattr(kind, "status_code", 500)
        error = kind.__new__(kind, "No.")
        response = httpx2.Response(status, request=REQUEST)
        anthropic.APIStatusError.__init__(error, "No.", response=response, body=None)
        return error
    error = kind.__new__(kind, "No.")
    # The one that reads a field of its own for its text.
    vars(error).update({"request_id": None} if kind.__name__ == "WorkloadIdentityError" else {})
    return error


WARNINGS = {kind for kind in exceptions_of(httpx2) if issubclass(kind, Warning)}
FOREIGN = {
    *subclasses(anthropic.AnthropicError),
    *exceptions_of(anthropic_exceptions),
    *exceptions_of(httpx2),
} - WARNINGS


def translate(error: Exception, *, creating: bool) -> None:
    with BORDER.translated("a call", creating=creating):
        raise error


@pytest.mark.parametrize("kind", sorted(FOREIGN, key=lambda kind: kind.__qualname__))
@pytest.mark.parametrize("creating", [True, False])
def test_no_exception_of_the_sdk_or_its_http_client_passes_untranslated(kind, creating):
    with pytest.raises(BatchAssetsError) as raised:
        translate(an_error(kind), creating=creating)

    assert creating or not isinstance(raised.value, ReplyLost)


@pytest.mark.parametrize(
    "kind", [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError]
)
def test_a_creation_without_a_connection_did_not_happen(kind):
    error = anthropic.APIConnectionError(request=REQUEST)
    error.__cause__ = kind("refused")

    with pytest.raises(ProviderUnreachable, match=r"provider\.test"):
        translate(error, creating=True)


@pytest.mark.parametrize("kind", [httpx2.ReadTimeout, httpx2.WriteError, httpx2.CloseError])
def test_a_creation_on_a_connection_that_broke_may_have_happened(kind):
    error = anthropic.APIConnectionError(request=REQUEST)
    error.__cause__ = kind("broken")

    with pytest.raises(ReplyLost):
        translate(error, creating=True)


def test_a_bug_of_our_own_is_not_translated():
    with pytest.raises(AttributeError):
        translate(AttributeError("ours"), creating=True)
