"""Answers to chat completion requests (OpenAI API reference, Chat completion object), and what
faults make of an answer in text, whatever its endpoint.
"""

from typing import Any

from batch_assets.sandbox.anthropic_messages import message_saying, text_of_message
from batch_assets.sandbox.gemini_answers import said_by, saying
from batch_assets.sandbox.responses import response_saying, response_text
from batch_assets.sandbox.texts import cut, last_user_text, said_in_format, token_logprobs
from batch_assets.sandbox.tokens import message_tokens, text_tokens


def chat_completion(body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
    content, is_cut = cut(_content(body), _token_limit(body))
    count = body.get("n") or 1
    logprobs = {"content": token_logprobs(content), "refusal": None}
    choice: dict[str, Any] = {
        "message": {"role": "assistant", "content": content, "refusal": None, "annotations": []},
        "logprobs": logprobs if body.get("logprobs") else None,
        "finish_reason": "length" if is_cut else "stop",
    }
    return {
        "id": f"chatcmpl-{reply_id}",
        "object": "chat.completion",
        "created": created,
        "model": body["model"],
        "choices": [{"index": index, **choice} for index in range(count)],
        "usage": usage(message_tokens(body["messages"]), text_tokens(content) * count),
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }


def answer_text(answer: dict[str, Any]) -> str:
    """What the model said; nothing where the endpoint does not answer in text."""
    match answer.get("object"):
        case "chat.completion":
            text: str = answer["choices"][0]["message"]["content"]
        case "text_completion":
            text = answer["choices"][0]["text"]
        case "response":
            text = response_text(answer)
        case None if "candidates" in answer:
            text = said_by(answer)
        case None if answer.get("type") == "message":
            text = text_of_message(answer)
        case _:
            text = ""
    return text


def answered_with(
    answer: dict[str, Any], content: str | None, finish_reason: str, **message: Any
) -> dict[str, Any]:
    """The answer as it would be had the model said something else.

    Unchanged where the endpoint does not answer in text.
    """
    match answer.get("object"):
        case "chat.completion":
            change = {"content": content, **message}
            choices = [
                {**choice, "finish_reason": finish_reason, "message": choice["message"] | change}
                for choice in answer["choices"]
            ]
        case "text_completion":
            change = {"text": content or "", "finish_reason": finish_reason}
            choices = [choice | change for choice in answer["choices"]]
        case "response":
            return response_saying(answer, content, finish_reason, message.get("refusal"))
        case None if "candidates" in answer:
            return saying(answer, content, finish_reason, message.get("refusal"))
        case None if answer.get("type") == "message":
            return message_saying(answer, content, finish_reason, message.get("refusal"))
        case _:
            return answer
    return answer | {"choices": choices}


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
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


def _content(body: dict[str, Any]) -> str:
    wanted = body.get("response_format") or {"type": "text"}
    text = last_user_text(body["messages"])
    return said_in_format(text, wanted["type"], wanted.get("json_schema"))


def _token_limit(body: dict[str, Any]) -> int | None:
    limit: int | None = body.get("max_completion_tokens") or body.get("max_tokens")
    return limit
