"""Token counts of the sandbox: an estimate, not a tokenizer.

One token per four characters, rounded up, and four tokens around each message. It is
deterministic and of the right size for English; nothing here should be compared with a bill.
"""

from typing import Any

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


def text_tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def message_text(message: Any) -> str:
    """The text of a chat message, whose content is a string or a list of typed parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def message_tokens(messages: Any) -> int:
    if not isinstance(messages, list):
        return 0
    return sum(text_tokens(message_text(message)) + TOKENS_PER_MESSAGE for message in messages)


def input_texts(value: Any) -> list[str]:
    """The texts of an `input` or `prompt`; of an array of tokens, a text of as many tokens."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    if any(isinstance(part, int) for part in value):
        return [_text_of_tokens(value)]
    return [part if isinstance(part, str) else _text_of_tokens(part) for part in value]


def _text_of_tokens(tokens: Any) -> str:
    if not isinstance(tokens, list):
        return ""
    return "".join(
        str(token).rjust(CHARACTERS_PER_TOKEN)[:CHARACTERS_PER_TOKEN] for token in tokens
    )


def pieces(text: str) -> list[str]:
    """The text's tokens."""
    starts = range(0, len(text), CHARACTERS_PER_TOKEN)
    return [text[start : start + CHARACTERS_PER_TOKEN] for start in starts]
