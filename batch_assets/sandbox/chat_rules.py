"""Which chat completion bodies get a 400 (OpenAI API reference, Create chat completion).

Parameter names are those of the official SDK's `CompletionCreateParams` (openai 3.54).
"""

from typing import Any

from batch_assets.sandbox.errors import error_body, wrong_type
from batch_assets.sandbox.rules import (
    FORMAT_TYPES,
    Refusal,
    empty_array,
    integer_refusal,
    number_refusal,
    schema_refusal,
    unknown_parameter,
    unsupported,
)
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


def chat_refusal(body: dict[str, Any]) -> Refusal:
    """The error body of the first rule that `body` breaks."""
    return (
        unknown_parameter(body, PARAMETERS)
        or _messages_refusal(body)
        or _numbers_refusal(body)
        or _format_refusal(body)
    )


def _numbers_refusal(body: dict[str, Any]) -> Refusal:
    for parameter in POSITIVE_INTEGERS:
        if refused := integer_refusal(body, parameter):
            return refused
    return number_refusal(body, "temperature", low=0, high=2) or number_refusal(
        body, "top_p", low=0, high=1
    )


def _messages_refusal(body: dict[str, Any]) -> Refusal:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return wrong_type("messages", "an array of objects", messages)
    if not messages:
        return empty_array("messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            return wrong_type(f"messages[{index}]", "an object", message)
        if message.get("role") not in ROLES:
            return unsupported(f"messages[{index}].role", message.get("role"), ROLES)
    return None


def _format_refusal(body: dict[str, Any]) -> Refusal:
    wanted = body.get("response_format")
    if wanted is None:
        return None
    if not isinstance(wanted, dict):
        return wrong_type("response_format", "an object", wanted)
    if wanted.get("type") not in FORMAT_TYPES:
        return unsupported("response_format.type", wanted.get("type"), FORMAT_TYPES)
    if wanted["type"] == "json_schema":
        param = "response_format.json_schema"
        return schema_refusal(wanted.get("json_schema"), param, "response_format")
    if wanted["type"] == "json_object" and not _mentions_json(body["messages"]):
        return error_body(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            param="messages",
        )
    return None


def _mentions_json(messages: list[Any]) -> bool:
    return any("json" in message_text(message).lower() for message in messages)
