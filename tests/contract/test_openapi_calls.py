"""The calls around the requests, as they leave the real SDK, held against OpenAI's description."""

import email
import email.policy
import json
from typing import Any

import pytest
from published_requests import CALLS, complaints

ENDPOINT = "/v1/chat/completions"
KEY = "0123456789abcdef0123456789abcdef"
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "all": {
        "metadata": {f"name {number}".ljust(64, "-"): "v" * 512 for number in range(15)},
        "input_expires_after_seconds": 3_600,
        "output_expires_after_seconds": 2_592_000,
    },
}


def a_batch(call: Any) -> dict[str, Any]:
    """What OpenAI answers to the creation of a batch."""
    asked = json.loads(call.body)
    return {"id": "batch_1", "object": "batch", "status": "validating", "created_at": 1, **asked}


def form_of(call: Any) -> dict[str, Any]:
    """The fields of a multipart form; `a[b]` is a field of an object."""
    head = f"content-type: {call.headers['content-type']}\r\n\r\n".encode()
    form: dict[str, Any] = {}
    for part in email.message_from_bytes(head + call.body, policy=email.policy.HTTP).iter_parts():
        name = part.get_param("name", header="content-disposition")
        value: Any = part.get_payload(decode=True).decode()
        outer, _, inner = name.rstrip("]").partition("[")
        if inner:
            form.setdefault(outer, {})[inner] = int(value) if value.isdigit() else value
        else:
            form[name] = value
    return form


@pytest.fixture
def calls(server, provider_at, a_shard):
    """The calls of one submission, in their order; keywords are the resource's."""

    def submit(**options: Any) -> list[Any]:
        server.on("POST /v1/batches", lambda call: server.answer(a_batch(call)))
        provider = provider_at(server.base_url, **options)
        provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)
        provider.close()
        return server.calls

    return submit


@pytest.mark.parametrize("options", OPTIONS)
def test_a_submission_is_two_calls_as_published(calls, options):
    upload, creation = calls(**OPTIONS[options])

    assert [upload.route, creation.route] == ["POST /v1/files", "POST /v1/batches"]
    assert complaints("/files", form_of(upload)) == []
    assert complaints("/batches", json.loads(creation.body)) == []


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/batches", {"input_file_id": "file-1", "endpoint": ENDPOINT}),
        (
            "/batches",
            {"input_file_id": "f", "endpoint": "/v1/audio/speech", "completion_window": "24h"},
        ),
        (
            "/batches",
            {"input_file_id": "f", "endpoint": ENDPOINT, "completion_window": "1h"},
        ),
        ("/files", {"file": "…", "purpose": "batches"}),
        ("/files", {"file": "…", "purpose": "batch", "expires_after": {"seconds": 3_600}}),
        (
            "/files",
            {
                "file": "…",
                "purpose": "batch",
                "expires_after": {"anchor": "created_at", "seconds": 60},
            },
        ),
    ],
)
def test_a_wrong_call_is_found_out(path, call):
    assert not CALLS[path].is_valid(call)
