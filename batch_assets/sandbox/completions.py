"""The completions endpoint, one text in and one text out (OpenAI API reference, Completions)."""

from typing import Any

from batch_assets.sandbox.rules import (
    Refusal,
    integer_refusal,
    number_refusal,
    texts_refusal,
    unknown_parameter,
)
from batch_assets.sandbox.texts import cut, said_of
from batch_assets.sandbox.tokens import input_texts, pieces, text_tokens

PARAMETERS = frozenset({
    "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "model", "n",
    "presence_penalty", "prompt", "seed", "stop", "stream", "stream_options", "suffix",
    "temperature", "top_p", "user",
})  # fmt: skip
USUAL_TOKEN_LIMIT = 16
"""The reference's default of `max_tokens`."""


def completions_refusal(body: dict[str, Any]) -> Refusal:
    """The error body of the first rule that `body` breaks."""
    return (
        unknown_parameter(body, PARAMETERS)
        or texts_refusal(body.get("prompt"), "prompt")
        or integer_refusal(body, "max_tokens")
        or integer_refusal(body, "n")
        or integer_refusal(body, "logprobs", low=0, high=5)
        or number_refusal(body, "temperature", low=0, high=2)
    )


def completion(body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
    prompts = input_texts(body["prompt"])
    asked = [prompt for prompt in prompts for _ in range(body.get("n") or 1)]
    choices = [_choice(body, index, prompt) for index, prompt in enumerate(asked)]
    prompt_tokens = sum(map(text_tokens, prompts))
    completion_tokens = sum(text_tokens(choice["text"]) for choice in choices)
    return {
        "id": f"cmpl-{reply_id}",
        "object": "text_completion",
        "created": created,
        "model": body["model"],
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _choice(body: dict[str, Any], index: int, prompt: str) -> dict[str, Any]:
    text, is_cut = cut(said_of(prompt), body.get("max_tokens") or USUAL_TOKEN_LIMIT)
    return {
        "text": prompt + text if body.get("echo") else text,
        "index": index,
        "logprobs": None if body.get("logprobs") is None else _logprobs(text),
        "finish_reason": "length" if is_cut else "stop",
    }


def _logprobs(text: str) -> dict[str, Any]:
    tokens = pieces(text)
    return {
        "tokens": tokens,
        "token_logprobs": [-0.01 * len(token) for token in tokens],
        "top_logprobs": None,
        "text_offset": [4 * position for position in range(len(tokens))],
    }
