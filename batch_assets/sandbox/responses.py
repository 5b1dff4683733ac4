"""The responses endpoint (OpenAI API reference, "Create a model response", "The response object").

Parameter names are those of the official SDK's `ResponseCreateParams` (openai 3.54).
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
from batch_assets.sandbox.texts import cut, last_user_text, said_in_format, token_logprobs
from batch_assets.sandbox.tokens import message_text, message_tokens, text_tokens

PARAMETERS = frozenset({
    "access_programs", "background", "background_options", "context_management", "conversation",
    "image", "include", "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata",
    "model", "moderation", "parallel_tool_calls", "previous_response_id", "prompt",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning",
    "safety_identifier", "service_tier", "store", "stream", "stream_options", "temperature", "text",
    "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
})  # fmt: skip
ROLES = ("assistant", "system", "developer", "user")
LEAST_OUTPUT_TOKENS = 16
"""Not in the reference; the API's own refusal says ">= 16"."""
LOGPROBS = "message.output_text.logprobs"
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def responses_refusal(body: dict[str, Any]) -> Refusal:
    """The error body of the first rule that `body` breaks."""
    return (
        unknown_parameter(body, PARAMETERS)
        or _input_refusal(body.get("input"))
        or _kinds_refusal(body)
        or integer_refusal(body, "max_output_tokens", low=LEAST_OUTPUT_TOKENS)
        or number_refusal(body, "temperature", low=0, high=2)
        or number_refusal(body, "top_p", low=0, high=1)
        or _format_refusal(body)
    )


def response_tokens(body: dict[str, Any]) -> int:
    instructions = text_tokens(message_text({"content": body.get("instructions")}))
    return instructions + message_tokens(_messages(body.get("input")))


def response(body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
    wanted = _format(body)
    text = last_user_text(_messages(body["input"]))
    content, is_cut = cut(
        said_in_format(text, wanted["type"], wanted), body.get("max_output_tokens")
    )
    logprobs = token_logprobs(content) if LOGPROBS in (body.get("include") or ()) else []
    answer = {
        "id": f"resp_{reply_id}",
        "object": "response",
        "created_at": created,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body["model"],
        "output": [_message(reply_id, content, logprobs)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": (body.get("text") or {}) | {"format": wanted},
        "tool_choice": "auto",
        "tools": [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": _usage(response_tokens(body), text_tokens(content)),
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }
    return _ended(answer, "length" if is_cut else "stop")


def response_text(answer: dict[str, Any]) -> str:
    text: str = answer["output"][-1]["content"][0].get("text", "")
    return text


def response_saying(
    answer: dict[str, Any], text: str | None, finish_reason: str, refusal: str | None
) -> dict[str, Any]:
    """The response as it would be had the model said something else; reasons are those of chat."""
    *before, message = answer["output"]
    if refusal is not None:
        part: dict[str, Any] = {"type": "refusal", "refusal": refusal}
    else:
        part = message["content"][0] | {"text": text or ""}
    return _ended(answer | {"output": [*before, message | {"content": [part]}]}, finish_reason)


def _ended(answer: dict[str, Any], finish_reason: str) -> dict[str, Any]:
    reason = INCOMPLETE.get(finish_reason)
    if reason is None:
        return answer
    *before, message = answer["output"]
    return answer | {
        "status": "incomplete",
        "incomplete_details": {"reason": reason},
        "output": [*before, message | {"status": "incomplete"}],
    }


def _message(reply_id: str, text: str, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
    part = {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": text}
    return {
        "id": f"msg_{reply_id}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }


def _usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }


def _messages(value: Any) -> list[Any]:
    """The input as messages: a text is one of the user's."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _format(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (body.get("text") or {}).get("format") or {"type": "text"}
    return found


def _input_refusal(value: Any) -> Refusal:
    if isinstance(value, str):
        return None
    if not isinstance(value, list):
        return wrong_type("input", "a string or an array of objects", value)
    if not value:
        return empty_array("input")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            return wrong_type(f"input[{index}]", "an object", item)
        if item.get("type", "message") == "message" and item.get("role") not in ROLES:
            return unsupported(f"input[{index}].role", item.get("role"), ROLES)
    return None


def _kinds_refusal(body: dict[str, Any]) -> Refusal:
    kinds: dict[str, tuple[type, str]] = {
        "include": (list, "an array"),
        "instructions": (str, "a string"),
        "text": (dict, "an object"),
    }
    for parameter, (kind, expected) in kinds.items():
        value = body.get(parameter)
        if value is not None and not isinstance(value, kind):
            return wrong_type(parameter, expected, value)
    return None


def _format_refusal(body: dict[str, Any]) -> Refusal:
    wanted = _format(body)
    if not isinstance(wanted, dict):
        return wrong_type("text.format", "an object", wanted)
    match wanted.get("type"):
        case "json_schema":
            return schema_refusal(wanted, "text.format", "text.format.schema")
        case "json_object" if not _mentions_json(body):
            return error_body(
                "Response input messages must contain the word 'json' in some form to use "
                "'text.format' of type 'json_object'.",
                param="input",
            )
        case kind if kind not in FORMAT_TYPES:
            return unsupported("text.format.type", kind, FORMAT_TYPES)
    return None


def _mentions_json(body: dict[str, Any]) -> bool:
    texts = [message_text(message) for message in _messages(body["input"])]
    return any("json" in text.lower() for text in [*texts, body.get("instructions") or ""])
