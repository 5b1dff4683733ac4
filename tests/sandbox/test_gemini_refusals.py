"""Which generateContent requests the sandbox answers with an error, as the API does."""

from typing import Any

import pytest

from batch_assets.sandbox.endpoints import ENDPOINTS
from batch_assets.sandbox.gemini_answers import GENERATE_CONTENT

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def a_request(**over: Any) -> dict[str, Any]:
    contents = [{"role": "user", "parts": [{"text": "Word: oak"}]}]
    return {"model": "models/gemini-2.5-flash", "contents": contents} | over


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"messages": []}, 'Unknown name "messages" at'),
        ({"generationConfig": {"max_tokens": 5}}, 'Unknown name "max_tokens"'),
        ({"generationConfig": {"responseJsonSchema": SCHEMA}}, "only supported with response mime"),
        ({"generationConfig": {"responseMimeType": "text/html"}}, "Unsupported response mime type"),
        ({"generationConfig": {"temperature": 9}}, "temperature"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ({"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "valid role"),
    ],
)
def test_a_request_the_api_would_not_take_is_refused(request_, complaint):
    reply = ENDPOINTS[GENERATE_CONTENT].reply(a_request(**request_), "id", 0)

    assert reply.status_code == 400
    assert complaint in reply.body["error"]["message"]


def test_tokens_of_an_answer_are_those_of_its_metadata():
    reply = ENDPOINTS[GENERATE_CONTENT].reply(a_request(), "id", 0)

    counted = reply.body["usageMetadata"]
    assert reply.input_tokens == counted["promptTokenCount"] > 0
    assert reply.output_tokens == counted["candidatesTokenCount"] > 0
