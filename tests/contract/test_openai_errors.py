"""Whatever goes wrong at OpenAI becomes one error of ours, with a sentence and without the key."""

import traceback
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import openai
import pytest

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    CapacityRefused,
    ProviderUnavailable,
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


#: Status and code of a refusal, and what it says in any call; statuses alone are the contract's.
REFUSALS = [
    (400, "invalid_value", RequestRefused),
    (400, "billing_hard_limit_reached", AccountRefused),
    (400, "token_limit_exceeded", CapacityRefused),
    (401, "invalid_api_key", AccountRefused),
    (429, "rate_limit_exceeded", CapacityRefused),
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


def test_a_creation_that_was_sent_elsewhere_may_have_happened(server, submit):
    server.on(CREATE, server.refusal(302))

    with pytest.raises(ReplyLost):
        submit()
    assert server.count(CREATE) == 1


def test_a_full_queue_is_known_by_its_words_where_the_code_is_missing(server, submit):
    words = "Enqueued token limit reached for gpt-4o. Limit: 90,000 enqueued tokens."
    server.on(CREATE, server.refusal(400, message=words))

    with pytest.raises(CapacityRefused, match="90,000"):
        submit()


#: Replies with status 200 that no file can be read from.
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
def test_an_unreadable_upload_reply_says_that_no_batch_exists(server, submit, garbled):
    server.on("POST /v1/files", garbled(server))

    with pytest.raises(ProviderUnavailable):
        submit()
    assert server.count(CREATE) == 0


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


def translate(error: Exception, *, creating: bool) -> None:
    with BORDER.translated("a call", creating=creating):
        raise error


@pytest.mark.parametrize("kind", [httpx2.ReadTimeout, httpx2.WriteError, httpx2.CloseError])
def test_a_creation_on_a_connection_that_broke_may_have_happened(kind):
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = kind("broken")

    with pytest.raises(ReplyLost):
        translate(error, creating=True)
