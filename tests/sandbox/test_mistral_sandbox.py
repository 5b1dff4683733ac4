"""The sandbox as Mistral, through its SDK."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from mistralai.client.models import ChatCompletionResponse, EmbeddingResponse

from batch_assets.sandbox import ManualClock, RunningSandbox
from batch_assets.sandbox import running_sandbox as started

CHAT = "/v1/chat/completions"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[RunningSandbox]:
    with started(clock=clock, latency=100.0) as running:
        yield running


@pytest.fixture
def client(sandbox: RunningSandbox) -> Iterator[Mistral]:
    with httpx2.Client() as http:
        yield Mistral(api_key="any", server_url=f"{sandbox.origin}/mistral", client=http)


@pytest.fixture
def uploaded(client: Mistral) -> Callable[..., str]:
    """The id of a file of these bodies, or of lines as they are."""

    def upload(*bodies: dict[str, Any], lines: bytes | None = None) -> str:
        made = [{"custom_id": f"r-{n}", "body": body} for n, body in enumerate(bodies)]
        content = lines or b"".join(json.dumps(line).encode() + b"\n" for line in made)
        file = {"file_name": "a.jsonl", "content": content}
        return client.files.upload(file=file, purpose="batch").id

    return upload


@pytest.fixture
def job_of(client: Mistral, uploaded) -> Callable[..., Any]:
    def create(*bodies: dict[str, Any], **order: Any) -> Any:
        facts = {"endpoint": CHAT, "model": "mistral-small-latest", **order}
        return client.batch.jobs.create(input_files=[uploaded(*bodies or [QUESTION])], **facts)

    return create


QUESTION = {"messages": [{"role": "user", "content": "Word: oak"}]}


def read(client: Mistral, file_id: str) -> list[dict[str, Any]]:
    reply = client.files.download(file_id=file_id)
    try:
        return [json.loads(line) for line in reply.read().splitlines()]
    finally:
        reply.close()


def test_a_job_goes_through_mistrals_statuses(client, job_of, clock):
    job = job_of()
    seen = []
    for seconds in (0, 20, 80):
        clock.advance(seconds)
        seen.append(client.batch.jobs.get(job_id=job.id).status)

    assert seen == ["QUEUED", "RUNNING", "SUCCESS"]


def test_a_body_needs_no_model_since_the_job_has_one(client, job_of, clock):
    job = job_of(model="mistral-large-latest")
    clock.advance(100)

    ended = client.batch.jobs.get(job_id=job.id)
    [line] = read(client, ended.output_file)
    answer = ChatCompletionResponse.model_validate(line["response"]["body"])

    assert (ended.succeeded_requests, ended.completed_requests) == (1, 1)
    assert (answer.model, answer.choices[0].finish_reason) == ("mistral-large-latest", "stop")


def test_embeddings_are_of_the_length_that_is_asked_for(client, job_of, clock):
    job = job_of({"input": "oak", "output_dimension": 8}, endpoint="/v1/embeddings")
    clock.advance(100)

    [line] = read(client, client.batch.jobs.get(job_id=job.id).output_file)
    answer = EmbeddingResponse.model_validate(line["response"]["body"])

    assert len(answer.data[0].embedding) == 8


@pytest.mark.parametrize(
    "odd",
    [
        {"temperature": 1, "max_completion_tokens": 3},
        {"messages": [{"role": "developer", "content": "x"}]},
        {"response_format": {"type": "xml"}},
        {"max_tokens": 0},
    ],
)
def test_a_body_that_mistral_does_not_take_is_an_error_of_its_own(client, job_of, clock, odd):
    job = job_of({**QUESTION, **odd}, QUESTION)
    clock.advance(100)

    ended = client.batch.jobs.get(job_id=job.id)
    [line] = read(client, ended.error_file)

    assert (ended.failed_requests, line["custom_id"]) == (1, "r-0")
    assert line["response"]["status_code"] == 400


def test_a_malformed_line_fails_the_job(client, uploaded, clock):
    file_id = uploaded(lines=b"no JSON\n")
    job = client.batch.jobs.create(input_files=[file_id], endpoint=CHAT, model="m")
    clock.advance(100)

    ended = client.batch.jobs.get(job_id=job.id)

    assert (ended.status, ended.input_files) == ("FAILED", [file_id])
    assert ended.errors[0].message == "This line is not parseable as valid JSON."


def test_the_list_heeds_its_filters(client, job_of, clock):
    old = job_of(metadata={"team": "a"})
    clock.advance(3_600)
    new = job_of(metadata={"team": "b"})
    moment = datetime.fromtimestamp(clock.now(), UTC) - timedelta(minutes=1)

    def ids(**filters: Any) -> list[str]:
        return [job.id for job in client.batch.jobs.list(**filters).data]

    assert ids() == [new.id, old.id]
    assert ids(order_by="created") == [old.id, new.id]
    assert ids(metadata={"team": "a"}) == [old.id]
    assert ids(created_after=moment) == [new.id]
    assert ids(status=["SUCCESS"]) == [old.id]
    assert ids(page=1, page_size=1) == [old.id]


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"endpoint": "/v1/ocr"}, "endpoint"),
        ({"model": None}, "model"),
        ({"timeout_hours": 169}, "timeout_hours"),
    ],
)
def test_a_job_that_mistral_does_not_take_is_refused(job_of, order, said):
    with pytest.raises(SDKError, match=said) as refused:
        job_of(**order)

    assert refused.value.status_code == 422


def test_a_wrong_key_is_answered_as_by_the_gate(sandbox):
    with httpx2.Client() as http:
        client = Mistral(api_key="sk-wrong", server_url=f"{sandbox.origin}/mistral", client=http)
        with pytest.raises(SDKError) as refused:
            client.batch.jobs.list()

    assert (refused.value.status_code, json.loads(refused.value.body)) == (
        401,
        {"detail": "Unauthorized"},
    )


def test_files_are_uploaded_listed_and_deleted(client, uploaded):
    file_id = uploaded(QUESTION)

    [listed] = client.files.list(purpose="batch").data
    assert (listed.id, listed.sample_type, listed.source) == (file_id, "batch_request", "upload")
    assert client.files.delete(file_id=file_id).deleted
    assert client.files.list(purpose="batch").data == []


def test_a_cancelled_job_says_so_at_once(client, job_of, clock):
    job = job_of()

    assert client.batch.jobs.cancel(job_id=job.id).status == "CANCELLATION_REQUESTED"
    clock.advance(5)
    assert client.batch.jobs.get(job_id=job.id).status == "CANCELLED"
