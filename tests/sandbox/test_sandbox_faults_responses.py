"""Item faults on the endpoints that answer in text but are no chat."""

import json

import pytest

from batch_assets.sandbox import Answer, LineSeparators, NotJson, Refusal, TruncatedAnswer

TEXT = "oak oak"


@pytest.fixture
def body(faults, client, upload, finish):
    """The body of the answer that a fault made of a request's."""

    def make(fault, url: str = "/v1/responses", field: str = "input"):
        faults.items(fault)
        line = {"custom_id": "r1", "method": "POST", "url": url}
        file = upload([line | {"body": {"model": "m", field: TEXT}}])
        batch = client.batches.create(input_file_id=file.id, endpoint=url, completion_window="24h")
        content = client.files.content(finish(batch).output_file_id).read()
        return json.loads(content)["response"]["body"]

    return make


def test_a_refusal_is_a_part_of_its_own(body):
    found = body(Refusal("No."))

    assert found["status"] == "completed"
    assert found["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_truncated_response_is_incomplete(body):
    found = body(TruncatedAnswer())

    assert (found["status"], found["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert found["output"][0]["content"][0]["text"] == "In short"


@pytest.mark.parametrize("fault", [Answer("Hm."), NotJson("Hm.")])
def test_a_response_may_say_anything(body, fault):
    found = body(fault)

    assert (found["status"], found["output"][0]["content"][0]["text"]) == ("completed", "Hm.")


def test_a_filtered_response_is_incomplete(body):
    found = body(Answer("Hm.", finish_reason="content_filter"))

    assert found["incomplete_details"] == {"reason": "content_filter"}


def test_a_completion_may_say_anything(body):
    [choice] = body(Answer("Hm.", finish_reason="length"), "/v1/completions", "prompt")["choices"]

    assert (choice["text"], choice["finish_reason"]) == ("Hm.", "length")


def test_the_spaces_of_a_completion_become_line_separators(body):
    [choice] = body(LineSeparators(), "/v1/completions", "prompt")["choices"]

    assert choice["text"] == "In\u2028short:\u2028oak\u2028oak"


def test_an_endpoint_that_answers_no_text_says_what_it_would_have_said(body):
    found = body(NotJson(), "/v1/embeddings", "input")

    assert len(found["data"][0]["embedding"]) == 1536
