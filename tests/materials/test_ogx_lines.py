"""Lines as ogx 1.5 writes them; docs/howto/servers.md lists what they have otherwise."""

import json
from typing import Any

import pytest
from answer_lines import an_endpoint

from batch_assets.domain.outcome import Failure, Outcome
from batch_assets.prompt.answers import Verdict


def verdict(endpoint: str, line: Any) -> Verdict:
    made = an_endpoint(endpoint, model="backend/chat-model")
    [read] = made.read_lines(json.dumps(line).encode() + b"\n")
    return made.judge(read)


def test_an_answer_inside_a_string_is_read():
    body = {
        "id": "chatcmpl-1",
        "choices": [{"finish_reason": "stop", "index": 0, "message": {"content": "an oak"}}],
        "model": "backend/chat-model",
        "usage": {"completion_tokens": 2, "prompt_tokens": 3, "prompt_tokens_details": None},
    }
    response = {"status_code": 200, "request_id": "batch_req_1", "body": json.dumps(body)}

    found = verdict("chat", {"id": "batch_req_1", "custom_id": "r-0", "response": response})

    assert (found.outcome, found.output, found.executions) == (Outcome.OK, "an oak", 1)
    assert (found.input_tokens, found.output_tokens) == (3, 2)


@pytest.mark.parametrize(
    ("status", "failure"), [(429, Failure.RATE_LIMITED), (500, Failure.SERVER_ERROR)]
)
def test_a_failed_chat_has_its_status_in_words(status, failure):
    error = {"type": "request_failed", "message": f"Error code: {status} - Oops."}

    found = verdict("chat", {"id": "batch_req_1", "custom_id": "r-0", "error": error})

    assert (found.outcome, found.failure, found.error_code) == (
        Outcome.ERRORED,
        failure,
        str(status),
    )


@pytest.mark.parametrize(
    ("message", "failure"),
    [
        ("Error code: 400 - I cannot.", Failure.REJECTED),
        ("Error code: 429 - Slow down.", Failure.RATE_LIMITED),
        ("It broke.", Failure.SERVER_ERROR),
    ],
)
def test_a_failed_message_has_its_error_without_an_envelope(message, failure):
    result = {"type": "errored", "error": {"type": "api_error", "message": message}}

    found = verdict("messages", {"custom_id": "r-0", "result": result})

    assert (found.outcome, found.failure) == (Outcome.ERRORED, failure)
    assert (found.error_code, found.error_message) == ("api_error", message)
