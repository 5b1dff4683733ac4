"""What the sandbox's Claude answers, and which bodies it refuses."""

from typing import Any

import pytest

from batch_assets.sandbox.anthropic_messages import message, messages_refusal, prompt_tokens
from batch_assets.sandbox.anthropic_schema import schema_complaint

SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["tree", "animal"]}},
    "required": ["label"],
    "additionalProperties": False,
}
PNG = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


def a_body(**over: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": "Word: oak tree"}]
    body = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": said, **over}
    return {name: value for name, value in body.items() if value is not ...}


def complaint(**over: Any) -> str | None:
    refused = messages_refusal(a_body(**over))
    if refused is None:
        return None
    assert (refused["type"], refused["error"]["type"]) == ("error", "invalid_request_error")
    return refused["error"]["message"]


def answer(reply_id: str = "1abc", **over: Any) -> dict[str, Any]:
    body = a_body(**over)
    assert messages_refusal(body) is None
    return message(body, reply_id)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"model": ...}, "model: Field required"),
        ({"messages": ...}, "messages: Field required"),
        ({"temperature": 1}, "temperature: Extra inputs are not permitted"),
        ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"model": 5}, "model: Input should be a valid string"),
        ({"messages": "x"}, "messages: Input should be a valid list"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": ["x"]}, "messages.0: Input should be a valid dictionary"),
        ({"messages": [{"role": "system", "content": "x"}]}, 'Unexpected role "system"'),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}]}, "must have non-empty content"),
        ({"messages": [{"role": "user", "content": " "}]}, "must contain non-whitespace text"),
        ({"messages": [{"role": "user", "content": 5}]}, "valid string or list"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "content.0.type: Field required"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
            "text content blocks must be non-empty",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]},
            "Input tag 'input_text'",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "image.source: Field required",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "document", "source": PNG}]},
                ]
            },
            "document.source.base64.media_type",
        ),
        ({"system": [{"type": "image"}]}, "system.0.type: Input should be 'text'"),
        ({"system": [{"type": "text", "text": ""}]}, "system: text content blocks"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.enabled.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}}, "`max_tokens` must be greater"),
        ({"output_config": {"format": {"type": "json"}}}, "output_config.format.type"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "output_config.format.schema: For 'object' type, 'additionalProperties'",
        ),
        ({"tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found"),
        (
            {
                "tools": [{"name": "x", "input_schema": SCHEMA}],
                "tool_choice": {"type": "tool", "name": "x"},
                "thinking": {"type": "adaptive"},
            },
            "Thinking may not be enabled",
        ),
    ],
)
def test_a_body_that_breaks_a_rule_is_refused_by_its_name(over, words):
    assert words in str(complaint(**over))


def test_images_and_documents_are_taken():
    blocks = [
        {"type": "image", "source": PNG},
        {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
        {"type": "text", "text": "What is it?"},
    ]

    assert complaint(messages=[{"role": "user", "content": blocks}]) is None


def test_a_text_is_answered_with_a_text():
    said = answer()

    assert (said["type"], said["role"], said["stop_reason"]) == ("message", "assistant", "end_turn")
    assert said["content"] == [
        {"type": "text", "text": "In short: Word: oak tree", "citations": None}
    ]


def test_an_answer_is_cut_at_the_most_tokens():
    said = answer(max_tokens=2)

    assert (said["content"][0]["text"], said["stop_reason"]) == ("In short", "max_tokens")
    assert said["usage"]["output_tokens"] == 2


def test_a_format_is_answered_with_its_json():
    said = answer(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})

    assert said["content"][0]["text"] == '{"label":"tree"}'


def test_a_tool_that_must_be_called_is_called():
    said = answer(
        tools=[{"name": "label", "input_schema": SCHEMA}],
        tool_choice={"type": "tool", "name": "label"},
    )

    [call] = said["content"]
    assert (call["type"], call["name"], call["input"]) == ("tool_use", "label", {"label": "tree"})
    assert said["stop_reason"] == "tool_use"


def test_a_tool_may_have_a_schema_that_a_format_may_not():
    node = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["children"],
    }

    choice = {"type": "tool", "name": "tree"}
    said = answer(tools=[{"name": "tree", "input_schema": node}], tool_choice=choice)

    assert "Recursive" in str(schema_complaint({**node, "additionalProperties": False}))
    assert list(said["content"][0]["input"]) == ["children"]


def test_the_prompt_is_counted_with_its_system_message():
    alone = prompt_tokens(a_body())

    assert prompt_tokens(a_body(system="x" * 400)) == alone + 100
    assert prompt_tokens(a_body(system=[{"type": "text", "text": "x" * 400}])) == alone + 100


def marked(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize(
    ("reply_id", "made", "read"), [("0abc", 2_000, 0), ("1abc", 0, 2_000), ("fabc", 0, 2_000)]
)
def test_what_is_marked_goes_into_the_cache_or_comes_from_it(reply_id, made, read):
    usage = answer(reply_id, system=marked("x" * 8_000))["usage"]

    assert usage["cache_creation_input_tokens"] == made
    assert usage["cache_read_input_tokens"] == read
    assert usage["input_tokens"] == prompt_tokens(a_body())


def test_too_little_is_not_cached():
    usage = answer(system=marked("x" * 400))["usage"]

    assert (usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (0, 0)


def test_a_mark_in_an_example_covers_what_stands_before_it():
    said = [
        {"role": "user", "content": "y" * 4_000},
        {"role": "assistant", "content": marked("z" * 4_000)},
        {"role": "user", "content": "Word: oak"},
    ]
    usage = answer(messages=said)["usage"]

    assert usage["cache_read_input_tokens"] == prompt_tokens(a_body(messages=said[:2]))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 3}, "For 'integer' type, properties maximum"),
        ({"type": "string", "minLength": 1}, "For 'string' type, property minLength"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 3}, "property maxItems"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, "'minItems' values other"),
        ({"type": "object", "properties": {}}, "'additionalProperties' must be explicitly set"),
        ({"type": "string", "format": "color"}, "String format 'color'"),
        ({"$ref": "#"}, "Recursive schemas"),
    ],
)
def test_a_schema_may_not_have_what_the_format_does_not_know(part, words):
    assert words in str(schema_complaint({**SCHEMA, "properties": {"label": part}}))


def of_properties(count: int, part: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    properties = {f"f{number}": part for number in range(count)}
    return {**SCHEMA, "properties": properties, "required": list(properties) if required else []}


def test_a_schema_may_have_so_many_unions_and_optional_fields():
    union = {"type": ["string", "null"]}
    text = {"type": "string"}

    assert schema_complaint(of_properties(16, union)) is None
    assert "union types (17 parameters" in str(schema_complaint(of_properties(17, union)))
    assert schema_complaint(of_properties(24, text, required=False)) is None
    assert "optional parameters (25)" in str(
        schema_complaint(of_properties(25, text, required=False))
    )
