"""Whatever goes wrong at OpenAI becomes one error of ours, with a sentence and without the key."""

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import openai
import pytest
from openai import _exceptions as openai_exceptions

from batch_assets.domain.errors import (
    AccountRefused,
    ArtifactError,
    BatchAssetsError,
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.resources.border import Border
from batch_assets.resources.openai.errors import ERRORS

CREATE, LIST = "POST /v1/batches", "GET /v1/batches"
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
KEY = "sk-proj-0123456789abcdefghijklmnop"
BORDER = Border(ERRORS, base_url="http://provider.test", secret=KEY, key_variable="OPENAI_API_KEY")
REQUEST = httpx2.Request("POST", "http://provider.test/v1/batches")


@pytest.fixture
def provider(server, provider_at):
    return provider_at(server.base_url, api_key=KEY, max_retries=0)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "shard.jsonl"
    path.write_text("{}\n")
    return path


@pytest.fixture
def submit(provider, shard):
    return lambda: provider.submit(shard, endpoint="/v1/responses", key="k-1")


#: Status and code of a refusal, and what it says in any call.
REFUSALS = [
    (400, None, RequestRefused),
    (400, "invalid_value", RequestRefused),
    (400, "billing_hard_limit_reached", AccountRefused),
    (400, "token_limit_exceeded", CapacityRefused),
    (401, "invalid_api_key", AccountRefused),
    (402, None, AccountRefused),
    (403, None, AccountRefused),
    (404, None, RequestRefused),
    (409, None, RequestRefused),
    (413, None, RequestRefused),
    (422, None, RequestRefused),
    (429, "rate_limit_exceeded", CapacityRefused),
    (429, None, CapacityRefused),
    (429, "insufficient_quota", AccountRefused),
    (429, "billing_not_active", AccountRefused),
    (429, "project_spend_limit_exceeded", AccountRefused),
]


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS)
def test_a_refused_creation_is_known_not_to_exist(server, submit, status, code, kind):
    server.on(CREATE, server.refusal(status, code=code))

    with pytest.raises(kind):
        submit()


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS)
def test_a_refused_read_is_of_the_same_kind(server, provider, status, code, kind):
    server.on(LIST, server.refusal(status, code=code))

    with pytest.raises(kind):
        provider.find("k-1", since=SINCE)


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503, 504, 529])
def test_a_creation_that_the_server_broke_off_may_have_happened(server, submit, status):
    server.on(CREATE, server.refusal(status))

    with pytest.raises(ReplyLost):
        submit()
    assert server.count(CREATE) == 1


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503, 504, 529])
def test_a_read_that_the_server_broke_off_can_be_tried_later(server, provider, status):
    server.on(LIST, server.refusal(status))

    with pytest.raises(ProviderUnavailable):
        provider.find("k-1", since=SINCE)


def test_a_full_queue_is_known_by_its_words_where_the_code_is_missing(server, submit):
    words = "Enqueued token limit reached for gpt-4o. Limit: 90,000 enqueued tokens."
    server.on(CREATE, server.refusal(400, message=words))

    with pytest.raises(CapacityRefused, match="90,000"):
        submit()


#: Replies with status 200 that no batch can be read from.
GARBLED = {
    "hung up": lambda server: b"",
    "cut short": lambda server: server.answer({"id": "batch-1"})[:-4],
    "no JSON": lambda server: server.answer(b"<html>", content_type="application/json"),
    "a web page": lambda server: server.answer(b"<html>", content_type="text/html"),
    "bad UTF-8": lambda server: server.answer(b'{"id": "\xff"}'),
    "null": lambda server: server.answer(None),
    "a list": lambda server: server.answer([1]),
    "an empty object": lambda server: server.answer({}),
    "wrong types": lambda server: server.answer({"id": 1, "data": 2, "status": 3}),
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
def test_an_unreadable_upload_reply_says_that_no_batch_exists(server, submit, garbled):
    server.on("POST /v1/files", garbled(server))

    with pytest.raises(ProviderUnavailable):
        submit()
    assert server.count(CREATE) == 0


def test_a_silent_provider_may_have_created_the_batch(server, provider_at, shard):
    server.on(CREATE, None)
    provider = provider_at(server.base_url, timeout_seconds=0.2)

    with pytest.raises(ReplyLost):
        provider.submit(shard, endpoint="/v1/responses", key="k-1")
    assert server.count(CREATE) == 1


def test_a_shard_that_is_not_there_is_our_own_fault(server, provider, tmp_path):
    with pytest.raises(ArtifactError, match=r"gone\.jsonl"):
        provider.submit(tmp_path / "gone.jsonl", endpoint="/v1/responses", key="k-1")
    assert server.calls == []


def test_the_sentence_names_call_code_request_and_way_out(server, submit):
    text = "Incorrect\nAPI key\x1b[31m provided: sk-pr***mnop."
    server.on(CREATE, server.refusal(401, code="invalid_api_key", message=text, x_request_id="r1"))

    with pytest.raises(AccountRefused) as refused:
        submit()

    assert refused.value.message == (
        "creating the batch k-1: the provider refused the key (HTTP 401, invalid_api_key, "
        "request r1: Incorrect API key[31m provided: sk-…); "
        "check OPENAI_API_KEY or the resource's api_key"
    )


def test_a_long_error_page_is_cut(server, submit):
    server.on(CREATE, server.answer(b"<p>" * 9_999, status=400, content_type="text/html"))

    with pytest.raises(RequestRefused) as refused:
        submit()

    assert len(refused.value.message) < 600


@pytest.mark.parametrize("status", [400, 401, 429, 500])
@pytest.mark.parametrize("key", [KEY, "another-shape-0123456789"])
def test_a_provider_that_repeats_the_key_does_not_spread_it(
    server, provider_at, shard, status, key
):
    server.on(CREATE, server.refusal(status, code=key, message=f"Bad: Bearer {key}"))
    provider = provider_at(server.base_url, api_key=key)

    with pytest.raises(BatchAssetsError) as raised:
        provider.submit(shard, endpoint="/v1/responses", key="k-1")

    assert key not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("key", ["", " "])
def test_without_a_key_nobody_is_called_and_nothing_is_refused_for_good(
    server, provider_at, shard, key
):
    """What was to be sent goes out by itself once the key is there."""
    provider = provider_at(server.base_url, api_key=key)

    with pytest.raises(
        ProviderUnreachable, match="no key: set the environment variable OPENAI_API_KEY"
    ):
        provider.submit(shard, endpoint="/v1/responses", key="k-1")

    assert server.calls == []


@pytest.mark.parametrize("key", ["sk-two words\nsk", "sk-ключ-1234567"])
def test_a_key_that_no_header_can_carry_is_refused_before_any_call(server, provider_at, shard, key):
    provider = provider_at(server.base_url, api_key=key)

    with pytest.raises(AccountRefused, match="OPENAI_API_KEY") as refused:
        provider.submit(shard, endpoint="/v1/responses", key="k-1")

    assert server.calls == []
    assert len(key) < 2 or key not in "".join(traceback.format_exception(refused.value))


def test_the_line_feed_of_a_key_file_is_dropped(server, provider_at):
    server.on(LIST, server.answer({"object": "list", "data": [], "has_more": False}))
    provider = provider_at(server.base_url, api_key=f"{KEY}\n")

    assert provider.find("k-1", since=SINCE) is None
    assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"


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
    if issubclass(kind, openai.APIStatusError):
        status = getattr(kind, "status_code", 500)
        error = kind.__new__(kind, "No.")
        response = httpx2.Response(status, request=REQUEST)
        openai.APIStatusError.__init__(error, "No.", response=response, body=None)
        return error
    return kind.__new__(kind, "No.")


WARNINGS = {kind for kind in exceptions_of(httpx2) if issubclass(kind, Warning)}
FOREIGN = {
    *subclasses(openai.OpenAIError),
    *exceptions_of(openai_exceptions),
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
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = kind("refused")

    with pytest.raises(ProviderUnreachable, match=r"provider\.test"):
        translate(error, creating=True)


@pytest.mark.parametrize("kind", [httpx2.ReadTimeout, httpx2.WriteError, httpx2.CloseError])
def test_a_creation_on_a_connection_that_broke_may_have_happened(kind):
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = kind("broken")

    with pytest.raises(ReplyLost):
        translate(error, creating=True)


def test_a_bug_of_our_own_is_not_translated():
    with pytest.raises(AttributeError):
        translate(AttributeError("ours"), creating=True)
