"""Which chat completion bodies get a 400 (OpenAI API reference, Create chat completion).

Parameter names are those of the official SDK's `CompletionCreateParams` (openai 3.54).
"""

import re
from typing import Any

from batch_assets.sandbox.errors import error_body, wrong_type
from batch_assets.sandbox.response_schema import response_schema
from batch_assets.sandbox.tokens import message_text

PARAMETERS = frozenset({
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model",
    "moderation", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort",
    "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user",
    "verbosity", "web_search_options",
})  # fmt: skip
ROLES = ("system", "assistant", "user", "function", "tool", "developer")
POSITIVE_INTEGERS = ("max_completion_tokens", "max_tokens", "n")
FORMAT_TYPES = ("json_object", "json_schema", "text")
FORMAT_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


def chat_refusal(body: dict[str, Any]) -> dict[str, Any] | None:
    """The error body of the first rule that `body` breaks."""
    for parameter in body:
        if parameter not in PARAMETERS:
            return error_body(
                f"Unknown parameter: '{parameter}'.", param=parameter, code="unknown_parameter"
            )
    return _messages_refusal(body) or _integer_refusal(body) or _format_refusal(body)


def _messages_refusal(body: dict[str, Any]) -> dict[str, Any] | None:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return wrong_type("messages", "an array of objects", messages)
    if not messages:
        return error_body(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            param="messages",
            code="empty_array",
        )
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            return wrong_type(f"messages[{index}]", "an object", message)
        if message.get("role") not in ROLES:
            return _unsupported(f"messages[{index}].role", message.get("role"), ROLES)
    return None


def _integer_refusal(body: dict[str, Any]) -> dict[str, Any] | None:
    for parameter in POSITIVE_INTEGERS:
        value = body.get(parameter)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            return wrong_type(parameter, "an integer", value)
        if value < 1:
            return error_body(
                f"Invalid '{parameter}': integer below minimum value. "
                f"Expected a value >= 1, but got {value} instead.",
                param=parameter,
                code="integer_below_min_value",
            )
    return None


def _format_refusal(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = body.get("response_format")
    if wanted is None:
        return None
    if not isinstance(wanted, dict):
        return wrong_type("response_format", "an object", wanted)
    if wanted.get("type") not in FORMAT_TYPES:
        return _unsupported("response_format.type", wanted.get("type"), FORMAT_TYPES)
    if wanted["type"] == "json_schema":
        return _schema_refusal(wanted.get("json_schema"))
    if wanted["type"] == "json_object" and not _mentions_json(body["messages"]):
        return error_body(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            param="messages",
        )
    return None


def _schema_refusal(json_schema: Any) -> dict[str, Any] | None:
    param = "response_format.json_schema"
    if not isinstance(json_schema, dict):
        return (
            _missing(param) if json_schema is None else wrong_type(param, "an object", json_schema)
        )
    name = json_schema.get("name")
    if name is None:
        return _missing(f"{param}.name")
    if not isinstance(name, str) or not FORMAT_NAME.match(name):
        return error_body(
            f"Invalid '{param}.name': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=f"{param}.name",
            code="invalid_value",
        )
    complaint = response_schema(json_schema).complaint
    if complaint is None:
        return None
    return error_body(
        f"Invalid schema for response_format '{name}': {complaint}",
        param="response_format",
        code="invalid_json_schema",
    )


def _mentions_json(messages: list[Any]) -> bool:
    return any("json" in message_text(message).lower() for message in messages)


def _missing(param: str) -> dict[str, Any]:
    return error_body(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def _unsupported(param: str, value: object, supported: tuple[str, ...]) -> dict[str, Any]:
    choices = ", ".join(f"'{choice}'" for choice in supported)
    return error_body(
        f"Invalid value: '{value}'. Supported values are: {choices}.",
        param=param,
        code="invalid_value",
    )
