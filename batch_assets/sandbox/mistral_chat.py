"""Mistral's chat completions and embeddings: what is refused, and what is answered.

Names are those of mistralai 3.7 (`client/models/chatcompletionrequest.py`,
`chatcompletionresponse.py`, `embeddingrequest.py`).
"""

from typing import Any

from batch_assets.sandbox.answers import chat_completion
from batch_assets.sandbox.embeddings import embedding_list
from batch_assets.sandbox.errors import wrong_type
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

#: Beside OpenAI's of the same urls.
CHAT, EMBEDDINGS = "mistral:/v1/chat/completions", "mistral:/v1/embeddings"

CHAT_PARAMETERS = frozenset({
    "frequency_penalty", "guardrails", "logprobs", "max_tokens", "messages", "metadata",
    "min_tokens", "model", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "prompt_cache_key", "prompt_logprobs", "prompt_mode", "random_seed", "reasoning_effort",
    "repetition_penalty", "response_format", "safe_prompt", "service_tier", "stop", "stream",
    "temperature", "tool_choice", "tools", "top_k", "top_logprobs", "top_p", "top_prompt_logprobs",
})  # fmt: skip
EMBEDDING_PARAMETERS = frozenset({
    "encoding_format", "input", "metadata", "model", "output_dimension", "output_dtype",
})  # fmt: skip
ROLES = ("assistant", "system", "tool", "user")

#: Length of the vectors of mistral-embed (docs.mistral.ai, embeddings).
VECTOR_LENGTH = 1024


def mistral_chat_refusal(body: dict[str, Any]) -> Refusal:
    """The error body of the first rule that `body` breaks."""
    return (
        unknown_parameter(body, CHAT_PARAMETERS)
        or _messages_refusal(body.get("messages"))
        or integer_refusal(body, "max_tokens")
        or number_refusal(body, "top_p", low=0, high=1)
        or _format_refusal(body.get("response_format"))
    )


def mistral_completion(body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
    whole = chat_completion(body, reply_id, created)
    reason = {"prompt_mode": "reasoning"}.items() <= body.items()
    choices = []
    for choice in whole["choices"]:
        said = choice["message"]["content"]
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]}
        content = [thought, {"type": "text", "text": said}] if reason else said
        message = {"role": "assistant", "content": content, "tool_calls": None, "prefix": False}
        choices.append({
            "index": choice["index"],
            "message": message,
            "finish_reason": choice["finish_reason"],
        })  # fmt: skip
    counts = whole["usage"]
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {
        "id": reply_id,
        "object": "chat.completion",
        "created": created,
        "model": body["model"],
        "choices": choices,
        "usage": {name: counts[name] for name in names},
    }


def mistral_embeddings_refusal(body: dict[str, Any]) -> Refusal:
    return unknown_parameter(body, EMBEDDING_PARAMETERS) or integer_refusal(
        body, "output_dimension"
    )


def mistral_embeddings(body: dict[str, Any], reply_id: str) -> dict[str, Any]:
    length = body.get("output_dimension") or VECTOR_LENGTH
    asked: dict[str, Any] = {
        name: body[name] for name in ("model", "input", "encoding_format") if name in body
    }
    return {"id": reply_id, **embedding_list({**asked, "dimensions": length})}


def _messages_refusal(messages: Any) -> Refusal:
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


def _format_refusal(wanted: Any) -> Refusal:
    if wanted is None:
        return None
    if not isinstance(wanted, dict):
        return wrong_type("response_format", "an object", wanted)
    if wanted.get("type") not in FORMAT_TYPES:
        return unsupported("response_format.type", wanted.get("type"), FORMAT_TYPES)
    if wanted["type"] == "json_schema":
        param = "response_format.json_schema"
        return schema_refusal(wanted.get("json_schema"), param, "response_format")
    return None
