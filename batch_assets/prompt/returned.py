"""What a callable may return for an item: a text, messages, or a whole body; checked, as JSON.

The shapes are those of the request types in each provider's API reference; what a message or part
has beside its known members goes to the provider as it is.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from batch_assets.prompt.messages import Dialect

#: What a body cannot be given, each with the reason.
_RESERVED = {
    "model": "it is declared as the inference's model",
    "stream": "a batch does not stream",
    "stream_options": "a batch does not stream",
}

_HALF = "a text with half a character, which cannot be sent"

_encode = msgspec.json.Encoder().encode

_Some = Annotated[str, msgspec.Meta(min_length=1)]


class Unusable(Exception):
    """A callable returned what cannot be sent; the text says why."""


class _ImageUrl(msgspec.Struct):
    url: _Some


class _TextPart(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _ImagePart(msgspec.Struct, tag_field="type", tag="image_url"):
    image_url: _ImageUrl


class _FilePart(msgspec.Struct, tag_field="type", tag="file"):
    file: dict[str, Any]


class _AudioPart(msgspec.Struct, tag_field="type", tag="input_audio"):
    input_audio: dict[str, Any]


class _RefusalPart(msgspec.Struct, tag_field="type", tag="refusal"):
    refusal: str


class _System(msgspec.Struct, tag_field="role", tag="system"):
    content: _Some | list[_TextPart]


class _Developer(msgspec.Struct, tag_field="role", tag="developer"):
    content: _Some | list[_TextPart]


class _User(msgspec.Struct, tag_field="role", tag="user"):
    content: (
        _Some
        | Annotated[
            list[_TextPart | _ImagePart | _FilePart | _AudioPart], msgspec.Meta(min_length=1)
        ]
    )


class _Assistant(msgspec.Struct, tag_field="role", tag="assistant"):
    content: str | list[_TextPart | _RefusalPart] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    refusal: str | None = None


class _Tool(msgspec.Struct, tag_field="role", tag="tool"):
    content: str | list[_TextPart]
    tool_call_id: str


class _InputText(msgspec.Struct, tag_field="type", tag="input_text"):
    text: str


class _InputImage(msgspec.Struct, tag_field="type", tag="input_image"):
    image_url: str | None = None
    file_id: str | None = None


class _InputFile(msgspec.Struct, tag_field="type", tag="input_file"):
    file_url: str | None = None
    file_id: str | None = None
    file_data: str | None = None


class _OutputText(msgspec.Struct, tag_field="type", tag="output_text"):
    text: str


_Input = Annotated[list[_InputText | _InputImage | _InputFile], msgspec.Meta(min_length=1)]


class _InputSystem(msgspec.Struct, tag_field="role", tag="system"):
    content: _Some | _Input


class _InputDeveloper(msgspec.Struct, tag_field="role", tag="developer"):
    content: _Some | _Input


class _InputUser(msgspec.Struct, tag_field="role", tag="user"):
    content: _Some | _Input


class _InputAssistant(msgspec.Struct, tag_field="role", tag="assistant"):
    content: str | list[_OutputText | _RefusalPart | _InputText]


class _GeminiPart(msgspec.Struct):
    text: str | None = None
    inlineData: dict[str, Any] | None = None
    fileData: dict[str, Any] | None = None


class _GeminiContent(msgspec.Struct):
    role: Literal["user", "model"]
    parts: Annotated[list[_GeminiPart], msgspec.Meta(min_length=1)]


class _Source(msgspec.Struct):
    type: Literal["base64", "url", "file", "text", "content"]


class _ImageBlock(msgspec.Struct, tag_field="type", tag="image"):
    source: _Source


class _DocumentBlock(msgspec.Struct, tag_field="type", tag="document"):
    source: _Source


class _SearchResultBlock(msgspec.Struct, tag_field="type", tag="search_result"):
    content: list[_TextPart]


class _AnthropicUser(msgspec.Struct, tag_field="role", tag="user"):
    content: (
        _Some
        | Annotated[
            list[_TextPart | _ImageBlock | _DocumentBlock | _SearchResultBlock],
            msgspec.Meta(min_length=1),
        ]
    )


class _AnthropicAssistant(msgspec.Struct, tag_field="role", tag="assistant"):
    content: _Some | Annotated[list[_TextPart], msgspec.Meta(min_length=1)]


_AnthropicMessage = _AnthropicUser | _AnthropicAssistant
_ChatMessage = _System | _Developer | _User | _Assistant | _Tool
_InputMessage = _InputSystem | _InputDeveloper | _InputUser | _InputAssistant


def text_json(value: Any) -> bytes:
    """A text, or several, as JSON. Raises Unusable."""
    if value == "":
        raise Unusable("an empty text")
    if value.__class__ is str:
        try:
            return _encode(value)
        except UnicodeEncodeError as error:
            raise Unusable(_HALF) from error
    return _plain_json(_checked(value, "", _Some | _Texts))


_Texts = Annotated[list[_Some], msgspec.Meta(min_length=1)]


def user_message(text: str, dialect: Dialect) -> bytes:
    """A user message of one text. Raises Unusable."""
    content = text_json(text)
    if dialect == "gemini":
        return b'{"role":"user","parts":[{"text":' + content + b"}]}"
    return b'{"role":"user","content":' + content + b"}"


def messages_json(messages: Sequence[Any], dialect: Dialect) -> bytes:
    """The members of an array of messages, without its brackets. Raises Unusable."""
    _check_messages(messages, dialect)
    return _plain_json(list(messages))[1:-1]


def body_json(body: Mapping[Any, Any], dialect: Dialect) -> bytes:
    """The fields of a whole body as an object. Raises Unusable."""
    for name in body:
        if not isinstance(name, str):
            raise Unusable(f"a body with a field {name!r}, whose name is no text")
        if name in _RESERVED:
            raise Unusable(f"a body with {name}: {_RESERVED[name]}")
    match dialect:
        case "chat" | "anthropic":
            _check_array(body.get("messages"), dialect, "a body without a list of messages")
        case "responses":
            if not (isinstance(body.get("input"), str) and body["input"]):
                _check_array(body.get("input"), dialect, "a body without an input")
        case "gemini":
            _check_array(body.get("contents"), dialect, "a body without a list of contents")
        case "text":
            if not (body.get("input") or body.get("prompt")):
                raise Unusable("a body with neither an input nor a prompt")
    return _plain_json(body)


def _check_array(messages: Any, dialect: Dialect, complaint: str) -> None:
    if not isinstance(messages, (list, tuple)):
        raise Unusable(complaint)
    _check_messages(messages, dialect)


def _check_messages(messages: Sequence[Any], dialect: Dialect) -> None:
    if not messages:
        raise Unusable("an empty list of messages")
    for place, message in enumerate(messages):
        where = f"message {place}"
        if not isinstance(message, Mapping):
            raise Unusable(f"{where} is {type(message).__name__} and not a dict")
        if dialect == "chat":
            _check_answered(_checked(message, where, _ChatMessage), where)
        elif dialect == "anthropic":
            _checked(message, where, _AnthropicMessage)
        elif dialect == "gemini":
            _check_parts(_checked(message, where, _GeminiContent), where)
        elif "role" in message or message.get("type", "message") == "message":
            _checked({k: v for k, v in message.items() if k != "type"}, where, _InputMessage)


def _check_answered(message: Any, where: str) -> None:
    if isinstance(message, _Assistant) and not (
        message.content or message.tool_calls or message.refusal
    ):
        raise Unusable(f"{where} of the assistant says nothing: it needs content")


def _check_parts(content: _GeminiContent, where: str) -> None:
    for place, part in enumerate(content.parts):
        if not (part.text or part.inlineData or part.fileData):
            raise Unusable(f"{where}: its part {place} has neither text, inlineData nor fileData")


def _checked(value: Any, where: str, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Unusable(f"{where}: {error}" if where else str(error)) from error


def _plain_json(value: Any) -> bytes:
    # Stricter than msgspec, which writes a NaN as null and bytes as base64.
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except UnicodeEncodeError as error:
        raise Unusable(_HALF) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise Unusable(f"what cannot be written as JSON ({error})") from error
