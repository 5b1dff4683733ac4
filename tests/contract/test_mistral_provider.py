"""Mistral's batch jobs through its SDK, against the sandbox's wire and a server with a script."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_assets.domain.batch import BatchProblem
from batch_assets.domain.errors import (
    AccountRefused,
    ArtifactError,
    BatchUnknown,
    CapacityRefused,
    OutOfTime,
    ProviderUnavailable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.provider import KEY_METADATA, Phase, Upload
from batch_assets.resources.mistral import MistralProvider, MistralResource

ENDPOINT = "/v1/chat/completions"
KEY = "0123456789abcdef" * 2
OTHER_KEY = "fedcba9876543210" * 2
JOBS, LIST, FILES = "POST /mistral/v1/batch/jobs", "GET /mistral/v1/batch/jobs", "POST /v1/files"


@pytest.fixture
def waits() -> list[float]:
    """The seconds that the adapter would have waited."""
    return []


@pytest.fixture
def mistral_at(waits: list[float]) -> Iterator[Callable[..., MistralProvider]]:
    """Makes the provider of a MistralResource; keywords are the resource's fields."""
    made: list[MistralProvider] = []

    def make(base_url: str, **fields: Any) -> MistralProvider:
        chosen = {"api_key": "somebody", "timeout_seconds": 5.0, **fields, "base_url": base_url}
        made.append(MistralResource(**chosen).provider(wait=waits.append))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def provider(border, mistral_at) -> MistralProvider:
    """Its calls pass through the border, which counts them, to the sandbox."""
    return mistral_at(border.base_url.removesuffix("/v1") + "/mistral")


@pytest.fixture
def since(clock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


@pytest.fixture
def shard_of(tmp_path: Path) -> Callable[..., Path]:
    def write(requests: int = 3, model: str = "mistral-small-latest", **body: Any) -> Path:
        path = tmp_path / "shard.jsonl"
        message = {"role": "user", "content": "Word: oak"}
        whole = {"model": model, "messages": [message], **body}
        lines = [{"custom_id": f"r-{number}", "body": whole} for number in range(requests)]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return path

    return write


@pytest.fixture
def submitted(provider, shard_of) -> Callable[..., Any]:
    def submit(requests: int = 3, key: str = KEY, **body: Any) -> Any:
        return provider.submit(shard_of(requests, **body), endpoint=ENDPOINT, key=key)

    return submit


def polled(provider: MistralProvider, batch_id: str, since: datetime) -> Any:
    [batch] = provider.poll([batch_id], since=since)
    return batch


def read(provider: MistralProvider, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    sink = io.BytesIO()
    provider.download(file_id, sink)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_a_submitted_job_is_open_and_carries_its_key(submitted, since):
    batch = submitted()

    assert (batch.phase, batch.status, batch.key) == (Phase.OPEN, "QUEUED", KEY)
    assert batch.created_at == since


def test_the_shard_arrives_byte_for_byte(provider, submitted, tmp_path):
    batch = submitted()
    sink = io.BytesIO()

    provider.download(batch.input_file_id, sink)

    assert sink.getvalue() == (tmp_path / "shard.jsonl").read_bytes()


def test_the_job_says_the_model_of_the_first_request_and_how_long_it_may_take(
    border, mistral_at, shard_of
):
    provider = mistral_at(
        border.base_url.removesuffix("/v1") + "/mistral",
        timeout_hours=48,
        metadata={"team": "words"},
    )

    provider.submit(shard_of(model="mistral-large-latest"), endpoint=ENDPOINT, key=KEY)

    [create] = [json.loads(call.body) for call in border.calls if call.route == JOBS]
    assert (create["model"], create["timeout_hours"]) == ("mistral-large-latest", 48)
    assert create["metadata"] == {"team": "words", KEY_METADATA: KEY}


@pytest.mark.parametrize("content", ["", "{}\n", "no JSON\n", '{"body": {"model": 3}}\n'])
def test_a_shard_that_names_no_model_is_not_sent(provider, border, tmp_path, content):
    path = tmp_path / "odd.jsonl"
    path.write_text(content)

    with pytest.raises(ArtifactError, match=r"odd\.jsonl"):
        provider.submit(path, endpoint=ENDPOINT, key=KEY)

    assert border.calls == []


def test_a_job_goes_from_its_shard_to_its_answers(provider, submitted, clock, since):
    batch = submitted(3)
    clock.advance(100)

    ended = polled(provider, batch.id, since)
    answers = read(provider, ended.output_file_id)

    assert (ended.phase, ended.status, ended.problems) == (Phase.ENDED, "SUCCESS", ())
    assert (ended.total, ended.completed, ended.failed) == (3, 3, 0)
    assert {answer["custom_id"] for answer in answers} == {"r-0", "r-1", "r-2"}


def test_requests_that_fail_are_in_the_error_file_and_no_problem_of_the_job(
    provider, submitted, clock, since
):
    batch = submitted(2, tempo=1)
    clock.advance(100)

    ended = polled(provider, batch.id, since)

    assert (ended.status, ended.failed, ended.output_file_id) == ("SUCCESS", 2, None)
    assert len(read(provider, ended.error_file_id)) == 2


def test_a_failed_job_says_why(provider, submitted, clock, since):
    batch = submitted(1, messages=None)
    clock.advance(100)

    ended = polled(provider, batch.id, since)

    assert (ended.phase, ended.status) == (Phase.ENDED, "FAILED")
    assert ended.problems == (BatchProblem(code=None, message="Messages parameter is required."),)


def test_a_job_is_found_by_one_call_behind_hundreds_of_others(
    provider, submitted, since, border, shard_of
):
    batch = submitted()
    for number in range(110):
        submitted(1, key=f"{number:032x}")
    border.calls.clear()

    assert provider.find(KEY, since=since).id == batch.id
    assert provider.find(OTHER_KEY, since=since) is None
    assert border.count(LIST) == 2


def test_a_server_that_heeds_no_metadata_is_read_page_by_page(
    provider, submitted, since, border, sandbox
):
    """How the API reads the exploded parameter is not documented: nothing is taken on trust."""
    sandbox.state.change_settings({"mistral_filters_metadata": False})
    batch = submitted()
    for number in range(110):
        submitted(1, key=f"{number:032x}")
    border.calls.clear()

    assert provider.find(KEY, since=since).id == batch.id
    assert border.count(LIST) == 2


def test_a_job_older_than_the_offer_is_not_asked_for(provider, submitted, since, clock):
    submitted()
    clock.advance(3 * 3_600)

    assert provider.find(KEY, since=since + timedelta(hours=3)) is None


def test_a_job_whose_reply_was_lost_is_found_by_its_key(provider, submitted, since, border):
    forward = border.otherwise
    border.on(JOBS, lambda call: forward(call)[:0])

    with pytest.raises(ReplyLost, match=KEY):
        submitted()

    assert border.count(JOBS) == 1
    assert provider.find(KEY, since=since) is not None


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503, 504])
def test_a_job_is_offered_once_though_the_provider_fails(submitted, border, status, waits):
    border.on(JOBS, border.refusal(status, location="/mistral/v1/batch/jobs"))

    with pytest.raises(ReplyLost):
        submitted()

    assert (border.count(JOBS), waits) == (1, [])


def test_a_refused_creation_takes_its_file_back(provider, submitted, border, since):
    border.on(JOBS, border.answer({"detail": "No."}, status=400))

    with pytest.raises(RequestRefused, match="No"):
        submitted()

    assert list(provider.uploads(since=since)) == []


def test_an_upload_is_tried_again_from_its_first_byte(submitted, border, waits):
    upload = "POST /mistral/v1/files"
    border.on(upload, border.refusal(503), border.otherwise)

    assert submitted().phase is Phase.OPEN
    assert [call.body.count(b"custom_id") for call in border.calls[:2]] == [3, 3]
    assert len(waits) == 1


def test_a_read_waits_as_long_as_the_provider_asks_for(provider, border, submitted, since, waits):
    batch = submitted()
    border.on(LIST, border.refusal(429, retry_after="7"), border.otherwise)

    assert polled(provider, batch.id, since).id == batch.id
    assert waits == [7.0]


def test_a_read_is_tried_so_often_and_no_more(provider, border, since, waits):
    border.on(LIST, border.refusal(503))

    with pytest.raises(ProviderUnavailable):
        provider.find(KEY, since=since)

    assert (border.count(LIST), waits) == (3, [0.5, 1.0])


def test_in_a_hurry_nothing_is_tried_again(provider, border, since, waits):
    border.on(LIST, border.refusal(503))

    with provider.within(20), pytest.raises(ProviderUnavailable):
        provider.find(KEY, since=since)

    assert (border.count(LIST), waits) == (1, [])


def test_a_hurry_has_so_many_calls(provider, submitted, since, border):
    ids = [submitted(1, key=f"{number:032x}").id for number in range(3)]
    seen = []

    with provider.within(20, calls=1), pytest.raises(OutOfTime):
        seen.extend(provider.poll(ids, since=since, among=ids[::-1]))

    assert [batch.id for batch in seen] == [ids[0]]


def test_many_jobs_are_asked_about_by_one_call(provider, submitted, since, border):
    ids = [submitted(1, key=f"{number:032x}").id for number in range(5)]
    border.calls.clear()

    assert {batch.id for batch in provider.poll(ids, since=since)} == set(ids)
    assert [call.route for call in border.calls] == [LIST]


def test_a_job_that_is_not_known_is_named_after_the_others(provider, submitted, since):
    batch = submitted()
    seen = []

    with pytest.raises(BatchUnknown, match="gone"):
        seen.extend(provider.poll([batch.id, "gone"], since=since))

    assert [each.id for each in seen] == [batch.id]


def test_a_cancelled_job_keeps_what_was_answered(provider, submitted, since, clock):
    batch = submitted(10)
    clock.advance(50)

    cancelling = provider.cancel(batch.id)
    clock.advance(5)
    ended = polled(provider, batch.id, since)

    assert (cancelling.phase, cancelling.status) == (Phase.OPEN, "CANCELLATION_REQUESTED")
    assert (ended.phase, ended.status) == (Phase.ENDED, "CANCELLED")
    lines = read(provider, ended.output_file_id) + read(provider, ended.error_file_id)
    assert len(lines) == 10


def test_a_job_that_ran_out_of_time_has_ended(provider, submitted, since, clock, sandbox):
    sandbox.state.change_settings({"latency": 200_000.0})
    batch = submitted()
    clock.advance(25 * 3_600)

    ended = polled(provider, batch.id, since)

    assert (ended.phase, ended.status) == (Phase.ENDED, "TIMEOUT_EXCEEDED")


def test_an_upload_is_known_by_its_key_and_can_be_deleted_twice(provider, submitted, since):
    batch = submitted()
    assert list(provider.uploads(since=since)) == [Upload(id=batch.input_file_id, key=KEY)]

    provider.delete_upload(batch.input_file_id)
    provider.delete_upload(batch.input_file_id)

    assert list(provider.uploads(since=since)) == []


def test_the_list_of_files_is_read_to_its_end(provider, submitted, since, border):
    for number in range(110):
        submitted(1, key=f"{number:032x}")

    assert len(list(provider.uploads(since=since))) == 110


def test_a_truncated_download_never_passes(provider, submitted, clock, since, border):
    batch = submitted()
    clock.advance(100)
    file_id = polled(provider, batch.id, since).output_file_id
    content = f"GET /mistral/v1/files/{file_id}/content"
    short = border.answer(b"{}\n", content_type="application/octet-stream")
    border.on(content, short)

    with pytest.raises(ProviderUnavailable, match="3 bytes came of a file of"):
        provider.download(file_id, io.BytesIO())


def test_only_chat_and_embeddings_are_taken(provider):
    urls = ("/v1/chat/completions", "/v1/embeddings", "/v1/responses", "/v1/messages")

    assert [provider.takes(url) for url in urls] == [True, True, False, False]


#: What the API answers, and what it means in any call.
ERRORS = [
    (400, {"object": "error", "message": "Invalid.", "code": "3051"}, RequestRefused, "Invalid"),
    (401, {"detail": "Unauthorized"}, AccountRefused, "Unauthorized"),
    (401, {"message": "Unauthorized", "request_id": "x"}, AccountRefused, "check MISTRAL_API_KEY"),
    (402, {"message": "Pay."}, AccountRefused, "credit"),
    (403, {"message": "No right."}, AccountRefused, "No right"),
    (404, {"detail": "Not Found"}, RequestRefused, "Not Found"),
    (422, {"detail": [{"loc": ["body"], "msg": "Bad.", "type": "t"}]}, RequestRefused, "Bad"),
    (422, {"object": "error", "message": {"detail": [{"msg": "Deep."}]}}, RequestRefused, "Deep"),
    (429, {"message": "Requests rate limit exceeded"}, CapacityRefused, "rate limit"),
    (500, {"message": "Oops."}, ProviderUnavailable, "Oops"),
    (503, "<html>", ProviderUnavailable, "html"),
]


@pytest.mark.parametrize(("status", "body", "kind", "said"), ERRORS)
def test_every_refusal_is_one_of_our_errors(server, mistral_at, since, status, body, kind, said):
    content = body.encode() if isinstance(body, str) else body
    server.on("GET /v1/batch/jobs", server.answer(content, status=status))
    provider = mistral_at(server.base_url.removesuffix("/v1"), max_retries=0)

    with pytest.raises(kind, match=said):
        provider.find(KEY, since=since)


#: Replies with status 200 that no job can be read from.
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
def test_a_creation_with_an_unreadable_reply_may_have_happened(submitted, border, garbled):
    border.on(JOBS, garbled(border))

    with pytest.raises(ReplyLost):
        submitted()


@pytest.mark.parametrize("garbled", GARBLED.values(), ids=GARBLED)
def test_an_unreadable_list_is_not_an_empty_one(border, provider, since, garbled):
    border.on(LIST, garbled(border))

    with pytest.raises(ProviderUnavailable):
        provider.find(KEY, since=since)


def test_the_key_is_in_no_error(server, mistral_at, since):
    secret = "0123456789abcdefghijklmnopqrstuv"
    told = {"message": f"Unknown key {secret}"}
    server.on("GET /v1/batch/jobs", server.answer(told, status=401))
    provider = mistral_at(server.base_url.removesuffix("/v1"), api_key=secret)

    with pytest.raises(AccountRefused) as refused:
        provider.find(KEY, since=since)

    assert secret not in f"{refused.value}{refused.value.__cause__}"


def test_a_status_that_is_not_known_is_kept_as_it_is(border, provider, submitted, since):
    batch = submitted()
    retrieve = f"GET /mistral/v1/batch/jobs/{batch.id}"
    forward = border.otherwise
    renamed = {b"QUEUED": b"PAUSED"}

    def answer(call):
        reply = forward(call)
        for old, new in renamed.items():
            reply = reply.replace(old, new)
        return reply

    border.on(LIST, answer)
    border.on(retrieve, answer)
    found = polled(provider, batch.id, since)

    assert (found.phase, found.status) == (Phase.UNKNOWN, "PAUSED")
