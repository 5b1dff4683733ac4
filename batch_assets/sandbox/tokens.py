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
