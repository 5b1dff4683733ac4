"""What makes an input file fail; creation itself accepts it."""

import json

import pytest


def found(batch):
    return [(error.code, error.line, error.param) for error in batch.errors.data]


def without(request, name):
    return {key: value for key, value in request.items() if key != name}


def test_bad_input_is_accepted_first_and_fails_later(submit, finish):
    batch = submit(b"not json\n")
    assert (batch.status, batch.errors) == ("validating", None)
    batch = finish(batch)
    assert batch.status == "failed"
    assert batch.failed_at == batch.created_at + 100
    assert found(batch) == [("invalid_json_line", 1, None)]
    assert batch.errors.data[0].message == "This line is not parseable as valid JSON."


def test_a_failed_batch_has_no_counts_and_no_files(submit, finish):
    batch = finish(submit(b"not json\n"))
    assert batch.request_counts.model_dump() == {"completed": 0, "failed": 0, "total": 0}
    assert (batch.output_file_id, batch.error_file_id, batch.model) == (None, None, None)
    assert batch.usage.total_tokens == 0


def test_each_bad_line_is_reported_with_its_number(submit, finish, a_request):
    good = json.dumps(a_request("a")).encode()
    other = json.dumps(a_request("b")).encode()
    batch = finish(submit(b"\n".join([good, b"[1]", other, b"", good]) + b"\n\n"))
    assert found(batch) == [
        ("invalid_json_line", 2, None),
        ("invalid_json_line", 4, None),
        ("duplicate_custom_id", 5, "custom_id"),
    ]


@pytest.mark.parametrize("name", ["custom_id", "method", "url", "body"])
def test_every_part_of_a_line_is_required(submit, finish, a_request, name):
    batch = finish(submit([without(a_request(), name)]))
    assert found(batch) == [("missing_required_parameter", 1, name)]


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_body_without_model_or_messages_fails_the_batch(submit, finish, a_request, name):
    request = a_request()
    batch = finish(submit([request | {"body": without(request["body"], name)}]))
    assert found(batch) == [("invalid_request", 1, f"body.{name}")]


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"url": "/v1/embeddings"}, "invalid_url", "url"),
        ({"method": "GET"}, "invalid_method", "method"),
        ({"custom_id": ""}, "invalid_custom_id", "custom_id"),
        ({"custom_id": 7}, "invalid_type", "custom_id"),
        ({"body": []}, "invalid_type", "body"),
    ],
    ids=lambda value: str(value),
)
def test_a_line_that_breaks_a_rule_is_named(submit, finish, a_request, change, code, param):
    batch = finish(submit([a_request() | change]))
    assert found(batch) == [(code, 1, param)]


def test_streaming_is_not_for_batches(submit, finish, a_request):
    batch = finish(submit([a_request(stream=True)]))
    assert found(batch) == [("streaming_unsupported", 1, "body.stream")]


def test_a_batch_has_one_model(submit, finish, a_request):
    batch = finish(submit([a_request("a"), a_request("b", model="gpt-4o-mini")]))
    assert found(batch) == [("mismatched_model", 2, "body.model")]


def test_an_empty_file_fails(submit, finish):
    assert found(finish(submit(b""))) == [("empty_file", None, None)]


def test_a_file_with_too_many_requests_fails(sandbox, submit, finish, some_requests):
    sandbox.state.change_settings({"max_requests": 3})
    assert finish(submit(some_requests(3))).status == "completed"
    assert found(finish(submit(some_requests(4)))) == [("too_many_tasks", None, None)]


def test_an_unknown_input_file_fails_the_batch(client, finish):
    batch = client.batches.create(
        input_file_id="file-unknown", endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = finish(batch)
    assert found(batch) == [("invalid_request", None, "file_id")]
    assert "Cannot find file file-unknown" in batch.errors.data[0].message


def test_unfinished_batches_of_a_model_share_its_queue(sandbox, submit, finish, a_request):
    """Each request is 100 characters and one message: 29 tokens by the sandbox's count."""
    sandbox.state.change_settings({"enqueued_token_limit": 50})
    first, second = submit([a_request(text="x" * 100)]), submit([a_request(text="x" * 100)])
    other_model = submit([a_request(text="x" * 100, model="gpt-4o-mini")])
    assert finish(first).status == "completed"
    refused = finish(second)
    assert found(refused) == [("token_limit_exceeded", None, None)]
    assert "Limit: 50 enqueued tokens" in refused.errors.data[0].message
    assert finish(other_model).status == "completed"
    assert finish(submit([a_request(text="x" * 100)])).status == "completed"


def test_a_hundred_errors_are_enough(submit, finish):
    assert len(finish(submit(b"bad\n" * 150)).errors.data) == 100
