"""The lines of output and error files (OpenAI API reference, "The request output object")."""

import pytest
from openai.types.chat import ChatCompletion


def test_an_answer_is_a_chat_completion(ask, clock):
    line = ask(custom_id="r1", text="Word: oak")
    assert line["id"].startswith("batch_req_")
    assert (line["custom_id"], line["error"]) == ("r1", None)
    assert line["response"]["status_code"] == 200
    assert line["response"]["request_id"]
    completion = ChatCompletion.model_validate(line["response"]["body"])
    assert completion.model_dump(
        exclude={"id", "created", "usage", "choices"}, exclude_unset=True
    ) == {
        "object": "chat.completion",
        "model": "gpt-4.1-mini",
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }
    assert completion.choices[0].model_dump(exclude_unset=True) == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "In short: Word: oak",
            "refusal": None,
            "annotations": [],
        },
        "logprobs": None,
        "finish_reason": "stop",
    }


def test_usage_is_counted_per_request_and_for_the_batch(submit, finish, some_requests, lines_of):
    batch = finish(submit(some_requests(7)))
    usages = [line["response"]["body"]["usage"] for line in lines_of(batch.output_file_id)]
    assert sum(usage["prompt_tokens"] for usage in usages) == batch.usage.input_tokens
    assert sum(usage["completion_tokens"] for usage in usages) == batch.usage.output_tokens
    assert all(
        usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        for usage in usages
    )
    assert usages[0]["prompt_tokens_details"]["cached_tokens"] == 0
    assert usages[0]["completion_tokens_details"]["reasoning_tokens"] == 0


def test_output_is_in_another_order_than_input(submit, finish, some_requests, lines_of):
    batch = finish(submit(some_requests(50)))
    custom_ids = [line["custom_id"] for line in lines_of(batch.output_file_id)]
    assert custom_ids != [f"r{number}" for number in range(50)]
    assert sorted(custom_ids) == sorted(f"r{number}" for number in range(50))


def test_the_ids_of_result_lines_are_unique(submit, finish, some_requests, lines_of):
    batch = finish(submit(some_requests(50)))
    lines = lines_of(batch.output_file_id)
    for ids in (
        [line["id"] for line in lines],
        [line["response"]["request_id"] for line in lines],
        [line["response"]["body"]["id"] for line in lines],
    ):
        assert len(set(ids)) == 50


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"creativity": 1}, "creativity", "unknown_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": ["hello"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role", "invalid_value"),
        ({"max_completion_tokens": 0}, "max_completion_tokens", "integer_below_min_value"),
        ({"max_tokens": "many"}, "max_tokens", "invalid_type"),
        ({"response_format": "json"}, "response_format", "invalid_type"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_object"}}, "messages", None),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            "response_format.json_schema.name",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format.json_schema.name",
            "invalid_value",
        ),
    ],
    ids=lambda value: str(value),
)
def test_a_body_the_endpoint_refuses_gets_a_400_line(ask, body, param, code):
    line = ask(**body)
    error = line["response"]["body"]["error"]
    assert (line["response"]["status_code"], line["error"]) == (400, None)
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


def test_a_schema_against_the_strict_rules_gets_a_400_line(ask):
    schema = {"type": "object", "properties": {}, "required": []}
    named = {"name": "answer", "strict": True, "schema": schema}
    line = ask(response_format={"type": "json_schema", "json_schema": named})
    assert line["response"]["status_code"] == 400
    assert line["response"]["body"]["error"] == {
        "message": "Invalid schema for response_format 'answer': In context=(), "
        "'additionalProperties' is required to be supplied and to be false.",
        "type": "invalid_request_error",
        "param": "response_format",
        "code": "invalid_json_schema",
    }


def test_a_schema_that_is_not_strict_may_break_the_strict_rules(ask):
    schema = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}
    named = {"name": "answer", "schema": schema}
    line = ask(response_format={"type": "json_schema", "json_schema": named})
    assert line["response"]["status_code"] == 200
