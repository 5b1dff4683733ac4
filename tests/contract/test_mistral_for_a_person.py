"""What a person asks of Mistral's adapter: lists, and jobs of files that are uploaded already."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batch_assets.domain.errors import RequestRefused
from batch_assets.domain.provider import KEY_METADATA, ProviderBatch
from batch_assets.resources.mistral import MistralProvider, MistralResource

ENDPOINT = "/v1/chat/completions"
KEY = "0123456789abcdef" * 2
OTHER_KEY = "fedcba9876543210" * 2
JOBS, LIST = "POST /mistral/v1/batch/jobs", "GET /mistral/v1/batch/jobs"


@pytest.fixture
def provider(border) -> Iterator[MistralProvider]:
    """Its calls pass through the border, which counts them, to the sandbox."""
    address = border.base_url.removesuffix("/v1") + "/mistral"
    made = MistralResource(api_key="somebody", timeout_seconds=5.0, base_url=address).provider()
    yield made
    made.close()


@pytest.fixture
def submitted(provider, tmp_path: Path) -> Callable[..., ProviderBatch]:
    """Offers a shard of one request under KEY."""

    def submit(model: str = "mistral-small-latest") -> ProviderBatch:
        message = {"role": "user", "content": "Word: oak"}
        line = {"custom_id": "r-0", "body": {"model": model, "messages": [message]}}
        shard = tmp_path / "shard.jsonl"
        shard.write_text(f"{json.dumps(line)}\n")
        return provider.submit(shard, endpoint=ENDPOINT, key=KEY)

    return submit


def test_the_model_of_an_uploaded_file_is_that_of_its_first_request(submitted, provider, border):
    uploaded = submitted(model="mistral-large-latest").input_file_id
    border.calls.clear()

    provider.create(uploaded, endpoint=ENDPOINT, key=OTHER_KEY, metadata={"owner": "me"})

    [create] = [json.loads(call.body) for call in border.calls if call.route == JOBS]
    assert (create["model"], create["input_files"]) == ("mistral-large-latest", [uploaded])
    assert create["metadata"] == {"owner": "me", KEY_METADATA: OTHER_KEY}


def test_an_uploaded_file_that_names_no_model_makes_no_job(provider, sandbox, border):
    with sandbox.state.receiving("file-odd") as sink:
        sink.write(b'{"custom_id":"a","body":{"messages":[]}}\n')
    sandbox.state.add_upload("file-odd", "odd.jsonl", 86_400.0, wire="mistral")

    with pytest.raises(RequestRefused, match=r"file-odd names no model.*body of each request"):
        provider.create("file-odd", endpoint=ENDPOINT, key=KEY, metadata={})

    assert border.count(JOBS) == 0


def test_files_are_listed_with_what_they_are_for(provider, submitted, clock):
    since, batch = datetime.fromtimestamp(clock.now(), UTC), submitted()
    clock.advance(100)
    [ended] = provider.poll([batch.id], since=since)

    files = {file.id: file for file in provider.files()}

    requests, results = files[batch.input_file_id], files[ended.output_file_id]
    assert (requests.name, requests.purpose) == (f"{KEY}.jsonl", "batch_request")
    assert (results.purpose, results.created_at > since) == ("batch_result", True)


def test_a_job_that_moves_to_the_next_page_is_listed_once(border, provider):
    """As happens where others create jobs while the list is read."""
    jobs = [a_job(number) for number in range(102)]
    border.on(
        LIST, *(border.answer({"data": page, "total": 102}) for page in (jobs[:100], jobs[98:]))
    )

    listed = [job.id for job in provider.batches()]

    assert listed == [job["id"] for job in jobs]


def a_job(number: int) -> dict[str, Any]:
    counts = ("total", "completed", "succeeded", "failed")
    return {
        "id": f"job-{number}",
        "input_files": ["file-1"],
        "endpoint": ENDPOINT,
        "errors": [],
        "status": "QUEUED",
        "created_at": 1_790_000_000,
        **{f"{name}_requests": 0 for name in counts},
    }
