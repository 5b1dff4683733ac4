"""Answers to chat completion requests (OpenAI API reference, Chat completion object)."""

import json
from typing import Any

from batch_assets.sandbox.documents import excerpt
from batch_assets.sandbox.response_schema import response_schema
from batch_assets.sandbox.tokens import (
    CHARACTERS_PER_TOKEN,
    message_text,
    message_tokens,
    text_tokens,
)

SUMMARY_CHARACTERS = 200


def chat_completion(body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
    content, finish_reason = _cut(_content(body), _token_limit(body))
    count = body.get("n") or 1
    choice: dict[str, Any] = {
        "message": {"role": "assistant", "content": content, "refusal": None, "annotations": []},
        "logprobs": None,
        "finish_reason": finish_reason,
    }
    return {
        "id": f"chatcmpl-{reply_id}",
        "object": "chat.completion",
        "created": created,
        "model": body["model"],
        "choices": [{"index": index, **choice} for index in range(count)],
        "usage": _usage(message_tokens(body["messages"]), text_tokens(content) * count),
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }


def answered_with(
    completion: dict[str, Any], content: str | None, finish_reason: str, **message: Any
) -> dict[str, Any]:
    """The completion as it would be had the model said something else."""
    choices = [
        choice
        | {
            "finish_reason": finish_reason,
            "message": choice["message"] | {"content": content} | message,
        }
        for choice in completion["choices"]
    ]
    return completion | {"choices": choices}


def _content(body: dict[str, Any]) -> str:
    text = _last_user_text(body["messages"])
    wanted = body.get("response_format") or {"type": "text"}
    if wanted["type"] == "json_schema":
        document = response_schema(wanted["json_schema"]).maker.document(text)
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if wanted["type"] == "json_object":
        return json.dumps({"summary": excerpt(text)}, ensure_ascii=False, separators=(",", ":"))
    return f"In short: {excerpt(text, SUMMARY_CHARACTERS)}"


def _last_user_text(messages: list[Any]) -> str:
    asked = [message for message in messages if message.get("role") == "user"]
    return message_text((asked or messages)[-1])


def _token_limit(body: dict[str, Any]) -> int | None:
    limit: int | None = body.get("max_completion_tokens") or body.get("max_tokens")
    return limit


def _cut(content: str, token_limit: int | None) -> tuple[str, str]:
    if token_limit is None or text_tokens(content) <= token_limit:
        return content, "stop"
    return content[: token_limit * CHARACTERS_PER_TOKEN], "length"


def _usage(prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
