"""What the sandbox's model says to a text, for the endpoints that answer in text."""

import json
from typing import Any

from batch_assets.sandbox.documents import excerpt
from batch_assets.sandbox.response_schema import response_schema
from batch_assets.sandbox.tokens import CHARACTERS_PER_TOKEN, message_text, pieces, text_tokens

SUMMARY_CHARACTERS = 200


def said_of(text: str) -> str:
    return f"In short: {excerpt(text, SUMMARY_CHARACTERS)}"


def said_in_format(text: str, kind: str, json_schema: Any) -> str:
    """The answer in a format of that type; `json_schema` is the named schema, if it has one."""
    if kind == "json_schema":
        return _compact(response_schema(json_schema).maker.document(text))
    if kind == "json_object":
        return _compact({"summary": excerpt(text)})
    return said_of(text)


def last_user_text(messages: list[Any]) -> str:
    asked = [message for message in messages if message.get("role") == "user"]
    return message_text((asked or messages)[-1])


def cut(content: str, token_limit: int | None) -> tuple[str, bool]:
    """The content within the limit, and whether something is missing."""
    if token_limit is None or text_tokens(content) <= token_limit:
        return content, False
    return content[: token_limit * CHARACTERS_PER_TOKEN], True


def token_logprobs(content: str) -> list[dict[str, Any]]:
    """A log probability for each token, as chat completions and responses have them."""
    return [
        {
            "token": token,
            "logprob": -0.01 * len(token),
            "bytes": list(token.encode("utf-8", "replace")),
            "top_logprobs": [],
        }
        for token in pieces(content)
    ]


def _compact(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
