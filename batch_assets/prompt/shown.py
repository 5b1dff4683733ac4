"""A request's prompt as text for a person to look at; what is no text is named, not shown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Fields of a body that the prompt can stand in, and of a message's part that a text can.
_PROMPTS = ("messages", "input", "prompt", "contents")
_TEXTS = ("text", "refusal")

#: Fields whose texts stand before the prompt.
_BEFORE = ("instructions", "system", "systemInstruction")

#: What a request may have the model write at most, as the endpoints name it.
_MOST = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def prompt_text(body: Mapping[str, Any]) -> str:
    """The prompt of a request's body, each message behind the role that says it."""
    prompt = next((body[name] for name in _PROMPTS if body.get(name) is not None), "")
    said = "\n".join(_texts(prompt))
    before = [body[name] for name in _BEFORE if body.get(name)]
    return "\n".join([*_texts(before), said])


def most_output_tokens(body: Mapping[str, Any]) -> int | None:
    """The most tokens that the request lets the model write, for all its choices together."""
    if isinstance(config := body.get("generationConfig"), Mapping):
        body = {"max_output_tokens": config.get("maxOutputTokens")}
    most = next((body[name] for name in _MOST if isinstance(body.get(name), int)), None)
    choices = body.get("n")
    return most if most is None or not isinstance(choices, int) else most * choices


def _texts(part: Any) -> Iterator[str]:
    match part:
        case str():
            yield part
        case {"role": str(role), "content": content} | {"role": str(role), "parts": content}:
            yield f"{role}: " + "\n".join(_texts(content))
        case {"parts": parts}:
            yield "\n".join(_texts(parts))
        case {"text": str(text)} if "type" not in part:
            yield text
        case {"inlineData": _} | {"fileData": _}:
            yield f"[{next(iter(part))}]"
        case {"type": str(kind)}:
            found = next((part[name] for name in _TEXTS if isinstance(part.get(name), str)), None)
            yield f"[{kind}]" if found is None else found
        case list():
            yield from _of_list(part)
        case _:
            yield f"[{type(part).__name__}]"


def _of_list(parts: Sequence[Any]) -> Iterator[str]:
    """Messages, parts or texts; a list of token numbers is named as one."""
    if parts and all(isinstance(part, int) for part in parts):
        yield f"[{len(parts)} tokens]"
        return
    for part in parts:
        yield from _texts(part)
