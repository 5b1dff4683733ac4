"""Anthropic's Message Batches as the sandbox speaks them, through the official SDK and raw HTTP."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import httpx
import pytest
from anthropic.types.messages import MessageBatch

Request = dict[str, Any]


@pytest.fixture(scope="module")
def anthropic_client(served) -> Iterator[anthropic.Anthropic]:
    url = f"{served[0].origin}/anthropic"
    with anthropic.Anthropic(api_key="sk-ant-test", base_url=url, max_retries=0) as client:
        yield client


@pytest.fixture
def batches(sandbox, anthropic_client):
    return anthropic_client.messages.batches


def requests_of(count: int = 3, **params: Any) -> list[Request]:
    return [a_request(f"r-{number}", **params) for number in range(count)]


def a_request(custom_id: str = "r-0", text: str = "Word: oak", **params: Any) -> Request:
    facts = {"model": "claude-haiku-4-5", "max_tokens": 100}
    message = {"role": "user", "content": text}
    return {"custom_id": custom_id, "params": {**facts, "messages": [message], **params}}


@pytest.fixture
def finish(batches, clock) -> Callable[..., MessageBatch]:
    """The batch after its latency."""

    def make(batch: MessageBatch, seconds: float = 1_000.0) -> MessageBatch:
        clock.advance(seconds)
        return batches.retrieve(batch.id)

    return make


@pytest.fixture
def raw(sandbox) -> Iterator[httpx.Client]:
    headers = {"x-api-key": "sk-ant-test", "anthropic-version": "2023-06-01"}
    with httpx.Client(base_url=f"{sandbox.origin}/anthropic/v1/messages", headers=headers) as it:
        yield it


def counts(batch: MessageBatch) -> dict[str, int]:
    return {name: count for name, count in batch.request_counts.to_dict().items() if count}


def kinds(batches: Any, batch: MessageBatch) -> list[str]:
    return sorted(line.result.type for line in batches.results(batch.id))


def test_a_batch_is_in_progress_and_all_of_it_is_processing(batches, clock):
    batch = batches.create(requests=requests_of(3))

    created = datetime.fromtimestamp(clock.now(), UTC)
    assert batch.id.startswith("msgbatch_")
    assert (batch.type, batch.processing_status) == ("message_batch", "in_progress")
    assert counts(batch) == {"processing": 3}
    assert (batch.created_at, batch.expires_at) == (created, created + timedelta(days=1))
    assert (batch.ended_at, batch.results_url, batch.archived_at) == (None, None, None)


def test_no_request_is_counted_as_done_before_the_batch_has_ended(batches, finish):
    batch = batches.create(requests=requests_of(10))

    assert counts(finish(batch, 950)) == {"processing": 10}
    ended = finish(batch, 50)
    assert (ended.processing_status, counts(ended)) == ("ended", {"succeeded": 10})
    assert ended.ended_at == batch.created_at + timedelta(seconds=1_000)


def test_results_come_as_lines_in_an_order_of_their_own(batches, finish):
    batch = finish(batches.create(requests=requests_of(20)))

    results = list(batches.results(batch.id))

    assert batch.results_url.endswith(f"/v1/messages/batches/{batch.id}/results")
    assert [line.custom_id for line in results] != sorted(line.custom_id for line in results)
    assert {line.custom_id for line in results} == {f"r-{number}" for number in range(20)}
    message = results[0].result.message
    assert message.content[0].text == "In short: Word: oak"
    assert (message.stop_reason, message.role) == ("end_turn", "assistant")
    assert (message.usage.service_tier, message.usage.input_tokens > 0) == ("batch", True)


def test_there_are_no_results_before_the_batch_has_ended(batches, raw):
    batch = batches.create(requests=requests_of(1))

    reply = raw.get(f"/batches/{batch.id}/results")

    assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found_error")


def test_requests_of_several_models_share_a_batch(batches, finish):
    requests = [a_request("a"), a_request("b", model="claude-opus-5")]
    batch = finish(batches.create(requests=requests))

    models = {line.custom_id: line.result.message.model for line in batches.results(batch.id)}
    assert models == {"a": "claude-haiku-4-5", "b": "claude-opus-5"}


def test_a_request_with_wrong_params_fails_alone_when_it_runs(batches, finish):
    requests = [a_request("good"), a_request("bad", temperature=1)]
    batch = finish(batches.create(requests=requests))

    by_id = {line.custom_id: line.result for line in batches.results(batch.id)}
    assert counts(batch) == {"succeeded": 1, "errored": 1}
    assert by_id["bad"].error.error.type == "invalid_request_error"
    assert by_id["bad"].error.error.message == "temperature: Extra inputs are not permitted"


def test_a_cancelled_batch_ends_with_what_it_has(batches, clock):
    batch = batches.create(requests=requests_of(10))
    clock.advance(500)

    canceling = batches.cancel(batch.id)
    clock.advance(60)
    ended = batches.retrieve(batch.id)

    assert (canceling.processing_status, counts(canceling)) == ("canceling", {"processing": 10})
    assert canceling.cancel_initiated_at == batch.created_at + timedelta(seconds=500)
    assert (ended.processing_status, counts(ended)) == ("ended", {"succeeded": 5, "canceled": 5})
    assert kinds(batches, ended) == ["canceled"] * 5 + ["succeeded"] * 5


def test_an_expired_batch_ends_with_what_it_has(batches, sandbox, finish):
    sandbox.state.change_settings({"latency": 48 * 3_600.0})
    batch = finish(batches.create(requests=requests_of(4)), 24 * 3_600)

    assert (batch.processing_status, counts(batch)) == ("ended", {"succeeded": 2, "expired": 2})
    assert kinds(batches, batch) == ["expired", "expired", "succeeded", "succeeded"]


def test_a_batch_that_has_ended_cannot_be_cancelled(batches, finish):
    batch = finish(batches.create(requests=requests_of(1)))

    with pytest.raises(anthropic.BadRequestError, match="has ended"):
        batches.cancel(batch.id)


def test_results_are_archived_after_29_days(batches, finish, raw):
    batch = finish(batches.create(requests=requests_of(1)), 29 * 24 * 3_600)

    assert batch.results_url is None
    assert batch.archived_at == batch.created_at + timedelta(days=29)
    assert raw.get(f"/batches/{batch.id}/results").status_code == 404


def test_only_a_batch_that_has_ended_can_be_deleted(batches, finish):
    batch = batches.create(requests=requests_of(1))

    with pytest.raises(anthropic.BadRequestError, match="cannot be deleted"):
        batches.delete(batch.id)
    finish(batch)
    assert batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(batch.id)
    assert list(batches.list()) == []


def test_batches_are_listed_from_new_to_old_page_by_page(batches):
    ids = [batches.create(requests=requests_of(1)).id for _ in range(5)]

    page = batches.list(limit=2)

    assert [batch.id for batch in page.data] == [ids[4], ids[3]]
    assert (page.has_more, page.first_id, page.last_id) == (True, ids[4], ids[3])
    assert [batch.id for batch in batches.list(limit=2)] == ids[::-1]


def test_a_list_goes_on_behind_or_before_a_batch(batches):
    ids = [batches.create(requests=requests_of(1)).id for _ in range(5)]

    behind = batches.list(after_id=ids[1], limit=3)
    before = batches.list(before_id=ids[1], limit=2)

    assert ([batch.id for batch in behind.data], behind.has_more) == ([ids[0]], False)
    assert ([batch.id for batch in before.data], before.has_more) == ([ids[3], ids[2]], True)


@pytest.mark.parametrize(
    ("query", "status", "complaint"),
    [
        ({"limit": 0}, 400, "greater than or equal to 1"),
        ({"limit": 1_001}, 400, "less than or equal to 1000"),
        ({"limit": "x"}, 400, "valid integer"),
        ({"after_id": "a", "before_id": "b"}, 400, "both"),
        ({"after_id": "msgbatch_unknown"}, 404, "No batch found"),
    ],
)
def test_a_list_that_cannot_be_is_refused(raw, query, status, complaint):
    reply = raw.get("/batches", params=query)

    assert reply.status_code == status
    assert complaint in reply.json()["error"]["message"]


REFUSED = {
    "no requests": ({}, "requests: Field required"),
    "a text": ({"requests": "x"}, "requests: Input should be a valid list"),
    "none": ({"requests": []}, "requests: List should have at least 1 item after validation"),
    "no object": ({"requests": [1]}, "requests.0: Input should be a valid dictionary"),
    "no id": ({"requests": [{"params": {}}]}, "requests.0.custom_id: Field required"),
    "no text": ({"requests": [a_request(7)]}, "requests.0.custom_id: Input should be a valid str"),
    "a long id": (
        {"requests": [a_request("x" * 65)]},
        "requests.0.custom_id: String should have at most 64 characters",
    ),
    "an odd id": (
        {"requests": [a_request("a b")]},
        "requests.0.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'",
    ),
    "an empty id": ({"requests": [a_request("")]}, "requests.0.custom_id: String should match"),
    "an id twice": (
        {"requests": [a_request(), a_request()]},
        "requests.1.custom_id: Duplicate custom_id found: r-0",
    ),
    "no params": ({"requests": [{"custom_id": "a"}]}, "requests.0.params: Field required"),
    "odd params": (
        {"requests": [{"custom_id": "a", "params": []}]},
        "requests.0.params: Input should be a valid dictionary",
    ),
    "a stream": ({"requests": [a_request(stream=True)]}, "requests.0.params.stream"),
    "no room": ({"requests": [a_request(max_tokens=0)]}, "requests.0.params.max_tokens"),
}


@pytest.mark.parametrize(("body", "complaint"), REFUSED.values(), ids=REFUSED)
def test_a_batch_that_cannot_be_is_refused_at_once(raw, sandbox, body, complaint):
    reply = raw.post("/batches", json=body)

    said = reply.json()
    assert (reply.status_code, said["type"]) == (400, "error")
    assert said["error"]["type"] == "invalid_request_error"
    assert said["error"]["message"].startswith(complaint)
    assert said["request_id"] == reply.headers["request-id"]
    assert sandbox.state.executions()["batches_created"] == 0


def test_a_body_that_is_no_json_is_refused(raw):
    reply = raw.post("/batches", content=b'{"requests":[')

    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


def test_more_requests_than_a_batch_takes_are_refused(raw, sandbox):
    sandbox.state.change_settings({"max_requests": 2})

    reply = raw.post("/batches", json={"requests": requests_of(3)})

    assert "List should have at most 2 items" in reply.json()["error"]["message"]


def test_the_limits_are_anthropics_own(raw):
    line = json.dumps(a_request("r-NUMBER"))
    requests = ",".join(line.replace("NUMBER", str(number)) for number in range(60_000))

    reply = raw.post("/batches", content=f'{{"requests":[{requests}]}}', timeout=60)

    assert reply.json()["request_counts"]["processing"] == 60_000


def test_a_body_that_is_too_large_is_refused_by_its_own_error(raw, sandbox):
    sandbox.state.change_settings({"max_file_bytes": 1_000})

    reply = raw.post("/batches", json={"requests": requests_of(20)})

    assert (reply.status_code, reply.json()["error"]["type"]) == (413, "request_too_large")


def test_a_full_queue_is_refused_for_its_rate(batches, sandbox):
    sandbox.state.change_settings({"enqueued_token_limit": 10})

    with pytest.raises(anthropic.RateLimitError) as refused:
        batches.create(requests=requests_of(10))
    assert refused.value.type == "rate_limit_error"


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({}, 401, "authentication_error"),
        ({"x-api-key": "sk-wrong-1"}, 401, "authentication_error"),
        ({"authorization": "Bearer sk-wrong-1"}, 401, "authentication_error"),
        ({"x-api-key": "sk-ant-1"}, 400, "invalid_request_error"),
    ],
)
def test_a_call_needs_a_key_and_a_version(sandbox, headers, status, kind):
    reply = httpx.get(f"{sandbox.origin}/anthropic/v1/messages/batches", headers=headers)

    assert (reply.status_code, reply.json()["error"]["type"]) == (status, kind)


def test_a_route_that_is_none_is_refused_in_anthropics_shape(raw):
    reply = raw.get("/nothing")

    assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found_error")


def test_batches_of_one_wire_are_not_seen_through_another(batches, sandbox, client, submit, raw):
    ours = batches.create(requests=requests_of(1))
    theirs = submit([openai_request()])

    assert [batch.id for batch in batches.list()] == [ours.id]
    assert [batch.id for batch in client.batches.list()] == [theirs.id]
    assert raw.get(f"/batches/{theirs.id}").status_code == 404


def openai_request() -> Request:
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "x"}]}
    return {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}


def test_each_execution_is_counted(batches, sandbox, finish):
    finish(batches.create(requests=requests_of(3)))

    assert sandbox.state.executions()["requests_executed"] == 3
    assert sandbox.state.executed_custom_ids() == {"r-0": 1, "r-1": 1, "r-2": 1}
