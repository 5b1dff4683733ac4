"""What a client meets when a call goes wrong, through the SDK over HTTP."""

import time

import httpx2
import openai
import pytest

from batch_assets.sandbox import (
    AccountRefusal,
    ConnectionCut,
    HalfDownload,
    Hang,
    HtmlPage,
    HttpError,
    LostReply,
    NotUtf8,
    RateLimited,
    ServerError,
    SlowAnswer,
    TruncatedDownload,
)


@pytest.fixture
def order(upload, some_requests):
    return {
        "input_file_id": upload(some_requests(4)).id,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }


@pytest.fixture
def batches(client):
    """How many batches exist."""
    return lambda: len(client.batches.list().data)


@pytest.fixture
def output_file_id(submit, finish, some_requests):
    return finish(submit(some_requests(4))).output_file_id


def test_a_lost_reply_cuts_the_connection_after_the_work(faults, client, order, batches):
    faults.calls("batches.create", LostReply())
    with pytest.raises(openai.APIConnectionError, match="Connection error"):
        client.batches.create(**order)
    assert batches() == 1


def test_a_cut_connection_leaves_nothing_done(faults, client, order, batches):
    faults.calls("batches.create", ConnectionCut())
    with pytest.raises(openai.APIConnectionError, match="Connection error"):
        client.batches.create(**order)
    assert batches() == 0


def test_an_upload_can_be_cut(faults, client, upload, some_requests):
    faults.calls("files.create", ConnectionCut())
    with pytest.raises(openai.APIConnectionError):
        upload(some_requests(4))
    assert client.files.list().data == []


def test_an_uploaded_file_stays_where_the_reply_is_lost(faults, client, upload, some_requests):
    faults.calls("files.create", LostReply())
    with pytest.raises(openai.APIConnectionError):
        upload(some_requests(4))
    assert len(client.files.list().data) == 1


@pytest.mark.parametrize(("work_done", "created"), [(False, 0), (True, 1)])
def test_a_hanging_call_never_answers(faults, client, order, batches, work_done, created):
    faults.calls("batches.create", Hang(work_done=work_done))
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=1).batches.create(**order)
    assert batches() == created


def test_a_rate_limit_says_when_to_come_back(faults, client, order, batches):
    faults.calls("batches.create", RateLimited(retry_after=7))
    with pytest.raises(openai.RateLimitError) as refused:
        client.batches.create(**order)
    assert refused.value.response.headers["retry-after"] == "7"
    assert refused.value.code == "rate_limit_exceeded"
    assert batches() == 0


def test_a_rate_limit_may_keep_silent_about_when(faults, client):
    faults.calls("batches.list", RateLimited(retry_after=None))
    with pytest.raises(openai.RateLimitError) as refused:
        client.batches.list()
    assert "retry-after" not in refused.value.response.headers


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize(("work_done", "created"), [(False, 0), (True, 1)])
def test_a_server_error_comes_before_or_after_the_work(
    faults, client, order, batches, status, work_done, created
):
    faults.calls("batches.create", ServerError(status, work_done=work_done))
    with pytest.raises(openai.InternalServerError) as failed:
        client.batches.create(**order)
    assert (failed.value.status_code, failed.value.type) == (status, "server_error")
    assert batches() == created


def test_an_error_can_be_any(faults, client, output_file_id):
    faults.calls("files.content", HttpError(404, "No such file.", code="gone", retry_after=0.5))
    with pytest.raises(openai.NotFoundError, match="No such file") as missing:
        client.files.content(output_file_id)
    assert missing.value.code == "gone"
    assert missing.value.response.headers["retry-after"] == "0.5"


@pytest.mark.parametrize(
    ("reason", "error", "code"),
    [
        ("invalid_key", openai.AuthenticationError, "invalid_api_key"),
        ("forbidden", openai.PermissionDeniedError, "insufficient_permissions"),
        ("insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("billing_hard_limit", openai.BadRequestError, "billing_hard_limit_reached"),
    ],
)
def test_an_account_is_refused_for_its_reason(faults, client, order, batches, reason, error, code):
    faults.calls("batches.create", AccountRefusal(reason))
    with pytest.raises(error) as refused:
        client.batches.create(**order)
    assert refused.value.code == code
    assert batches() == 0


def test_a_truncated_download_is_cut_before_its_announced_end(faults, client, output_file_id):
    faults.calls("files.content", TruncatedDownload(share=0.5))
    with pytest.raises(openai.APIConnectionError) as cut:
        client.files.content(output_file_id)
    assert "without sending complete message body" in str(cut.value.__cause__)
    assert len(client.files.content(output_file_id).read().splitlines()) == 4


def test_a_truncated_download_sends_its_share_first(faults, client, output_file_id):
    whole = client.files.content(output_file_id).read()
    faults.calls("files.content", TruncatedDownload(share=0.5))
    received = bytearray()
    with client.files.with_streaming_response.content(output_file_id) as reply:
        assert reply.headers["content-length"] == str(len(whole))
        blocks = map(received.extend, reply.iter_bytes())
        with pytest.raises(httpx2.RemoteProtocolError):
            list(blocks)
    assert received == whole[: len(whole) // 2]


def test_a_half_download_looks_like_a_whole_one(faults, client, output_file_id):
    whole = client.files.content(output_file_id).read()
    faults.calls("files.content", HalfDownload(share=0.5))
    half = client.files.content(output_file_id)
    assert "content-length" not in half.response.headers
    assert half.read() == whole[: len(whole) // 2]


def test_a_refused_download_stays_refused_when_it_is_truncated(faults, client):
    faults.calls("files.content", HalfDownload(share=1))
    with pytest.raises(openai.NotFoundError):
        client.files.content("file-unknown")


def test_a_slow_answer_is_the_right_one(faults, client, order, batches):
    fault = faults.calls("batches.list", SlowAnswer(0.05))
    client.batches.create(**order)
    begin = time.monotonic()
    assert len(client.batches.list().data) == 1
    assert time.monotonic() - begin >= 0.05
    assert fault.hits == 1


def test_a_gateway_answers_with_a_page(faults, client, output_file_id):
    faults.calls("files.content", HtmlPage())
    page = client.files.content(output_file_id)
    assert page.response.status_code == 200
    assert page.response.headers["content-type"].startswith("text/html")
    assert page.read().startswith(b"<html>")


def test_a_gateway_fails_with_a_page(faults, client):
    faults.calls("batches.list", HtmlPage(502))
    with pytest.raises(openai.InternalServerError) as failed:
        client.batches.list()
    assert failed.value.response.text.startswith("<html>")


@pytest.mark.parametrize("fault", [HtmlPage(work_done=True), NotUtf8(work_done=True)])
def test_an_unreadable_reply_may_come_after_the_work(faults, client, order, batches, fault):
    faults.calls("batches.create", fault)
    client.batches.with_raw_response.create(**order)
    assert batches() == 1


def test_a_garbled_download_is_no_text(faults, client, output_file_id):
    faults.calls("files.content", NotUtf8())
    with pytest.raises(UnicodeDecodeError):
        client.files.content(output_file_id).read().decode()


def test_only_the_named_route_misbehaves(faults, client, output_file_id):
    faults.calls("files.content", ServerError(), times=None)
    assert client.files.retrieve(output_file_id).id == output_file_id
    with pytest.raises(openai.InternalServerError):
        client.files.content(output_file_id)


def test_every_route_of_the_provider_can_misbehave_at_once(faults, client, sandbox):
    fault = faults.calls("*", ServerError(), times=None)
    for call in (client.batches.list, client.files.list, client.models.list):
        with pytest.raises(openai.InternalServerError):
            call()
    assert fault.hits == 3


def test_calls_pass_before_and_after_those_that_are_hit(faults, client):
    fault = faults.calls("batches.list", ServerError(), after=1, times=2)
    seen = [client.batches.with_raw_response.list().status_code]
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            client.batches.list()
    seen.append(client.batches.with_raw_response.list().status_code)
    assert seen == [200, 200]
    assert fault.hits == 2


def test_faults_of_one_route_follow_one_another(faults, client):
    faults.calls("batches.list", ServerError())
    faults.calls("batches.list", RateLimited())
    with pytest.raises(openai.InternalServerError):
        client.batches.list()
    with pytest.raises(openai.RateLimitError):
        client.batches.list()
    assert client.batches.list().data == []


def test_calls_are_counted_whatever_comes_of_them(faults, client, order):
    faults.calls("batches.create", ConnectionCut())
    with pytest.raises(openai.APIConnectionError):
        client.batches.create(**order)
    client.batches.create(**order)
    assert (faults.called("batches.create"), faults.called("files.create")) == (2, 1)
    assert faults.called("*") == 3


def test_a_retry_of_the_sdk_buys_a_batch_twice(faults, client, order, batches):
    """Why nothing of ours lets an SDK repeat a create."""
    faults.calls("batches.create", LostReply())
    created = client.with_options(max_retries=1).batches.create(**order)
    assert created.status == "validating"
    assert batches() == 2
