"""Clients of the session's sandbox, and what they send."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types import Batch, FileObject

from batch_assets.sandbox import ManualClock, RunningSandbox

LATENCY = 1_000.0

Request = dict[str, Any]


@pytest.fixture(scope="session")
def session_client(served: tuple[RunningSandbox, Any]) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-test", base_url=served[0].base_url, max_retries=0) as client:
        yield client


@pytest.fixture
def sandbox(sandbox: RunningSandbox) -> RunningSandbox:
    """A slower one, so that a batch has a middle to look at."""
    sandbox.state.change_settings({"latency": LATENCY, "cancel_delay": 60.0})
    return sandbox


@pytest.fixture
def client(sandbox: RunningSandbox, session_client: openai.OpenAI) -> openai.OpenAI:
    return session_client


@pytest.fixture
def a_request() -> Callable[..., Request]:
    def make(custom_id: str = "r1", text: str = "Word: oak", **body: Any) -> Request:
        messages = [{"role": "user", "content": text}]
        return {
            "custom_id": custom_id,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-4.1-mini", "messages": messages} | body,
        }

    return make


@pytest.fixture
def some_requests(a_request: Callable[..., Request]) -> Callable[[int], list[Request]]:
    def make(count: int) -> list[Request]:
        return [a_request(f"r{number}", f"Word: oak {number}") for number in range(count)]

    return make


@pytest.fixture
def upload(client: openai.OpenAI) -> Callable[..., FileObject]:
    """Uploads requests, or bytes as they are."""

    def make(content: list[Request] | bytes, **options: Any) -> FileObject:
        if isinstance(content, list):
            content = b"".join(json.dumps(line).encode() + b"\n" for line in content)
        return client.files.create(file=("in.jsonl", content), purpose="batch", **options)

    return make


@pytest.fixture
def submit(client: openai.OpenAI, upload: Callable[..., FileObject]) -> Callable[..., Batch]:
    """Uploads requests and creates a batch of them."""

    def make(content: list[Request] | bytes, **options: Any) -> Batch:
        return client.batches.create(
            input_file_id=upload(content).id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            **options,
        )

    return make


@pytest.fixture
def finish(client: openai.OpenAI, clock: ManualClock) -> Callable[[Batch], Batch]:
    def make(batch: Batch) -> Batch:
        clock.advance(LATENCY)
        return client.batches.retrieve(batch.id)

    return make


@pytest.fixture
def lines_of(client: openai.OpenAI) -> Callable[[str | None], list[dict[str, Any]]]:
    """The lines of a result file; none for the file that a batch does not have."""

    def read(file_id: str | None) -> list[dict[str, Any]]:
        if file_id is None:
            return []
        return [json.loads(line) for line in client.files.content(file_id).iter_lines()]

    return read


@pytest.fixture
def ask(
    a_request: Callable[..., Request],
    submit: Callable[..., Batch],
    finish: Callable[[Batch], Batch],
    lines_of: Callable[..., list[dict[str, Any]]],
) -> Callable[..., dict[str, Any]]:
    """The result line of one request that is a batch of its own."""

    def make(**body: Any) -> dict[str, Any]:
        batch = finish(submit([a_request(**body)]))
        assert batch.errors is None, batch.errors
        [line] = lines_of(batch.output_file_id) + lines_of(batch.error_file_id)
        return line

    return make
