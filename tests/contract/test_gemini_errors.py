"""Whatever goes wrong at Gemini becomes one error of ours, with a sentence and without the key."""

import io
import traceback
from datetime import UTC, datetime
from typing import Any

import httpx
import httpx2
import pytest
from gemini_border import (
    API_KEY,
    BATCHES,
    CREATE,
    ENDPOINT,
    KEY,
    UPLOAD,
    a_provider,
    a_reason,
    a_refusal,
    a_shard,
    address,
    an_operation,
    answer,
)
from google.auth.exceptions import GoogleAuthError
from google.genai import errors as genai_errors

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
from batch_assets.resources.gemini.errors import ERRORS

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
BORDER = Border(ERRORS, base_url="http://provider.test", secret=API_KEY, key_variable="GEMINI")


@pytest.fixture
def server(server):
    """Takes every upload and knows nothing else until it gets a script."""
    server.otherwise = a_refusal(404, "NOT_FOUND")
    url = f"{address(server)}/upload/v1beta/files?upload_id=1"
    server.on(
        UPLOAD,
        answer(b"", x_goog_upload_url=url, x_goog_upload_status="active"),
        answer({"file": {"name": "files/1"}}, x_goog_upload_status="final"),
    )
    return server


@pytest.fixture
def provider(server):
    made = a_provider(address(server))
    yield made
    made.close()


@pytest.fixture
def submit(provider, tmp_path):
    return lambda: provider.submit(a_shard(tmp_path), endpoint=ENDPOINT, key=KEY)


#: Status, name and reason of a refusal, and what it says in any call.
REFUSALS = [
    (400, "INVALID_ARGUMENT", None, RequestRefused),
    (400, "FAILED_PRECONDITION", None, RequestRefused),
    (400, "INVALID_ARGUMENT", "API_KEY_INVALID", AccountRefused),
    (401, "UNAUTHENTICATED", None, AccountRefused),
    (403, "PERMISSION_DENIED", None, AccountRefused),
    (403, "PERMISSION_DENIED", "BILLING_DISABLED", AccountRefused),
    (404, "NOT_FOUND", None, RequestRefused),
    (409, "ABORTED", None, RequestRefused),
    (413, "INVALID_ARGUMENT", None, RequestRefused),
    (429, "RESOURCE_EXHAUSTED", None, CapacityRefused),
]


def refusal(status: int, name: str, reason: str | None) -> Any:
    return a_refusal(status, name, details=a_reason(reason) if reason else [])


@pytest.mark.parametrize(("status", "name", "reason", "kind"), REFUSALS)
def test_a_refused_creation_is_known_not_to_exist(server, submit, status, name, reason, kind):
    server.on(CREATE, refusal(status, name, reason))

    with pytest.raises(kind, match=reason or name):
        submit()


@pytest.mark.parametrize(("status", "name", "reason", "kind"), REFUSALS)
def test_a_refused_read_is_of_the_same_kind(server, provider, status, name, reason, kind):
    server.on(BATCHES, refusal(status, name, reason))

    with pytest.raises(kind):
        provider.find(KEY, since=SINCE)


@pytest.mark.parametrize("status", [201, 204, 302, 408, 500, 502, 503, 504])
def test_a_creation_that_the_server_broke_off_may_have_happened(server, submit, status):
    server.on(CREATE, a_refusal(status, "UNKNOWN"))

    with pytest.raises(ReplyLost):
        submit()
    assert server.count(CREATE) == 1


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503, 504])
def test_a_read_that_the_server_broke_off_can_be_tried_later(server, provider, status):
    server.on(BATCHES, a_refusal(status, "UNKNOWN"))

    with pytest.raises(ProviderUnavailable):
        provider.find(KEY, since=SINCE)


UNTIMELY = {
    "without a time": an_operation(1, createTime=None),
    "a time that is none": an_operation(1, createTime="yesterday"),
}

#: Replies with status 200 that no batch can be read from.
GARBLED = {
    "hung up": b"",
    "cut short": answer(an_operation(1))[:-4],
    "no JSON": answer(b"<html>"),
    "a web page": answer(b"<html>", content_type="text/html"),
    "bad UTF-8": answer(b'{"name": "\xff"}'),
    "null": answer(None),
    "a list": answer([1]),
    "a text": answer("batch"),
    "nothing in it": answer({}),
    "without a state": answer({"name": "batches/1", "metadata": {}}),
    **{name: answer(operation) for name, operation in UNTIMELY.items()},
    "metadata of another kind": answer({"name": "batches/1", "metadata": [1]}),
}


@pytest.mark.parametrize("name", GARBLED)
def test_a_creation_whose_reply_cannot_be_read_may_have_happened(server, submit, name):
    server.on(CREATE, GARBLED[name])

    with pytest.raises(ReplyLost):
        submit()


@pytest.mark.parametrize("name", sorted(set(GARBLED) - {"nothing in it"}))
def test_a_batch_that_cannot_be_read_is_asked_for_again_later(server, provider, name):
    server.on("GET /gemini/v1beta/batches/b1", GARBLED[name])
    server.on(BATCHES, answer({}))

    with pytest.raises(ProviderUnavailable):
        list(provider.poll({"batches/b1"}, since=SINCE))


@pytest.mark.parametrize("name", ["hung up", "cut short", "no JSON", "null", "a list"])
def test_a_list_that_cannot_be_read_finds_nothing_and_says_so(server, provider, name):
    server.on(BATCHES, GARBLED[name])

    with pytest.raises(ProviderUnavailable):
        provider.find(KEY, since=SINCE)


@pytest.mark.parametrize("name", UNTIMELY)
def test_a_list_with_a_batch_that_cannot_be_read_says_so(server, provider, name):
    server.on(BATCHES, answer({"operations": [UNTIMELY[name]]}))

    for asked in (lambda: provider.find(KEY, since=SINCE), lambda: list(provider.batches())):
        with pytest.raises(ProviderUnavailable, match=r"createTime|create_time"):
            asked()


def test_a_list_that_repeats_itself_is_not_read_for_ever(server, provider):
    server.on(BATCHES, answer({"operations": [an_operation(1)], "nextPageToken": "t"}))

    with pytest.raises(ProviderUnavailable, match="repeats itself"):
        provider.find(KEY, since=SINCE)


def test_reads_are_tried_again_as_often_as_was_declared(server):
    server.on(BATCHES, a_refusal(503, "UNAVAILABLE"), answer({}))
    provider = a_provider(address(server), max_retries=1)

    assert provider.find(KEY, since=SINCE) is None
    assert server.count(BATCHES) == 2


def test_a_caller_in_a_hurry_has_each_call_tried_once(server):
    server.on(BATCHES, a_refusal(503, "UNAVAILABLE"))
    provider = a_provider(address(server), max_retries=5)

    with provider.within(60.0), pytest.raises(ProviderUnavailable):
        provider.find(KEY, since=SINCE)

    assert server.count(BATCHES) == 1


def test_silence_is_no_answer(server, tmp_path):
    server.on(CREATE, None)
    provider = a_provider(address(server), timeout_seconds=0.2)

    with pytest.raises(ReplyLost):
        provider.submit(a_shard(tmp_path), endpoint=ENDPOINT, key=KEY)


def test_an_unreachable_provider_is_named(tmp_path, closed_port):
    base_url = f"http://127.0.0.1:{closed_port}/gemini"

    with pytest.raises(ProviderUnreachable, match=base_url):
        a_provider(base_url).submit(a_shard(tmp_path), endpoint=ENDPOINT, key=KEY)


def test_a_shard_that_is_gone_is_named_before_any_call(server, provider, tmp_path):
    with pytest.raises(ArtifactError, match=r"gone\.jsonl"):
        provider.submit(tmp_path / "gone.jsonl", endpoint=ENDPOINT, key=KEY)

    assert server.calls == []


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_provider_that_repeats_the_key_does_not_spread_it(server, submit, status):
    server.on(CREATE, a_refusal(status, message=f"Bad: {API_KEY}"))

    with pytest.raises(BatchAssetsError) as raised:
        submit()

    assert API_KEY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("key", ["AIza two\nlines", "AIza-ключ-1234567"])
def test_a_key_that_no_header_can_carry_is_refused_before_any_call(server, key):
    with pytest.raises(AccountRefused, match="GEMINI_API_KEY"):
        a_provider(address(server), api_key=key).find(KEY, since=SINCE)

    assert server.calls == []


def test_without_a_key_nothing_is_called(server):
    provider = a_provider(address(server), api_key=" ")

    assert "GEMINI_API_KEY" in provider.lacks
    with pytest.raises(ProviderUnreachable, match="GEMINI_API_KEY"):
        provider.download("files/1", io.BytesIO())
    assert server.calls == []


def translate(error: Exception, *, creating: bool = False) -> None:
    with BORDER.translated("a call", creating=creating):
        raise error


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(genai_errors).values() if kind in (
        genai_errors.APIError, genai_errors.ClientError, genai_errors.ServerError)]
)  # fmt: skip
def test_every_answer_of_the_sdk_is_translated(kind):
    with pytest.raises(ProviderUnavailable):
        translate(kind(500, {"error": {"code": 500, "message": "x", "status": "INTERNAL"}}))


def kinds_below(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(kinds_below(each) for each in kind.__subclasses__()))


@pytest.mark.parametrize("client", [httpx, httpx2])
def test_every_error_of_the_http_client_is_translated(client):
    kinds = kinds_below(client.HTTPError) | kinds_below(client.StreamError)
    others = {client.InvalidURL, client.CookieConflict, GoogleAuthError}

    untranslated = {kind for kind in kinds | others if not issubclass(kind, ERRORS.foreign)}

    assert untranslated == set()


@pytest.mark.parametrize("client", [httpx, httpx2])
@pytest.mark.parametrize("name", ["ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"])
def test_a_creation_that_found_no_connection_was_never_sent(client, name):
    with pytest.raises(ProviderUnreachable):
        translate(getattr(client, name)("no connection"), creating=True)


@pytest.mark.parametrize("client", [httpx, httpx2])
@pytest.mark.parametrize("name", ["ReadTimeout", "WriteError", "RemoteProtocolError"])
def test_a_creation_on_a_connection_that_broke_may_have_happened(client, name):
    with pytest.raises(ReplyLost):
        translate(getattr(client, name)("broken"), creating=True)
