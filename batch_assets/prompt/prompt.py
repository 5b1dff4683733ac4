"""The prompt: what a model is asked about each item."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.calls import Call, CallPiece
from batch_assets.prompt.content import content_pieces, wrapped_text
from batch_assets.prompt.messages import Dialect, Messages, Varying
from batch_assets.prompt.parts import Part
from batch_assets.prompt.template import Renderer
from batch_assets.prompt.texts import FieldText, template_text

#: What a prompt of which nothing is known may have beside text.
ANY_MEDIA = frozenset({"image", "audio", "video"})

#: A user message: one template, or several parts of which strings are templates.
UserMessage = str | Sequence[str | Part]

_encode = msgspec.json.Encoder().encode

#: What stands before the text of an array of one block, in Anthropic's dialect.
_TEXT_BLOCK = (b'[{"type":"text","text":',)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A question and its answer, shown to the model before the item.

    Texts are templates; an answer that is no text is shown as its JSON.
    """

    user: UserMessage
    assistant: str | BaseModel | Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What is asked about each item: exactly one of `field`, `user` and `call`.

    `field` is the column whose text is the user message. `user` is a Jinja2 template over the
    columns, or a list of templates, images, files and audio. `call` is a function, or its import
    path `package.module:function`, that is given the columns its parameters name (or those of
    `columns`) and returns a text, a list of messages, or a whole body.

    Templates run sandboxed. A field that no column has is an error before anything is sent, and so
    is printing a null: write {{ field or '' }} where a null is meant to print nothing.
    """

    user: UserMessage | None = None
    field: str | None = None
    call: Callable[..., Any] | str | None = None
    #: The columns `call` is given by name, where its parameters do not name them.
    columns: Sequence[str] | None = None
    #: A template, shown first.
    system: str | None = None
    examples: Sequence[Example] = ()

    def __post_init__(self) -> None:
        sources = {"field": self.field, "user": self.user, "call": self.call}
        given = [name for name, value in sources.items() if value is not None]
        if len(given) != 1:
            raise DeclarationError(
                f"the prompt has {' and '.join(given) or 'neither field, user nor call'}: "
                "give exactly one of field, user and call"
            )
        if self.columns is not None and self.call is None:
            raise DeclarationError("the prompt has columns, which are for a call, and no call")
        if isinstance(self.columns, str):
            raise DeclarationError(f"the prompt's columns are a text: write [{self.columns!r}]")
        for example in self.examples:
            if not isinstance(example, Example):
                raise DeclarationError(
                    f"the prompt has an example of type {type(example).__name__}: "
                    "write Example(user=…, assistant=…)"
                )
        for message in (self.user, *(example.user for example in self.examples)):
            _check_message(message)

    def fields(self) -> tuple[str, ...]:
        """The columns it reads, sorted."""
        named: set[str] = set() if self.field is None else {self.field}
        if self.call is not None:
            named |= set(Call(self.call, self.columns).fields)
        for source, message in self._templates():
            named |= set(
                source.fields if isinstance(source, Part) else Renderer(source, message).fields
            )
        return tuple(sorted(named))

    def media(self) -> frozenset[str]:
        """What its messages may have beside text: image, audio, video; of a call, anything.

        A document's pages are taken for images.
        """
        if self.call is not None:
            return ANY_MEDIA
        kinds = {source.kind for source, _ in self._templates() if isinstance(source, Part)}
        return frozenset({"image" if kind == "file" else kind for kind in kinds})

    def texts(self) -> tuple[str, ...]:
        """The templates of its messages; of parts beside text and of a call there is none."""
        return tuple(source for source, _ in self._templates() if isinstance(source, str))

    def compiled(self, dialect: Dialect, *, mark: bytes = b"") -> Messages:
        """The prompt as an endpoint of that dialect sends it.

        `mark` are members of Anthropic's text block that ends what stands before the item.

        Raises DeclarationError, naming the message and the reason, for what cannot be compiled or
        what the dialect has no place for.
        """
        if dialect == "text":
            return self._text()
        first: list[bytes | Varying] = []
        if mark and self.system is None and not self.examples:
            raise DeclarationError(
                "the prompt has neither a system message nor examples, so nothing stands before "
                "the item that could be cached: leave the setting out"
            )
        behind = self._behind(dialect, b"" if self.examples else mark)
        if self.system is not None and not behind:
            first += _message("system", [template_text(self.system, "system")], dialect)
        for number, example in enumerate(self.examples):
            where = f"user of example {number}"
            first += _message("user", content_pieces(example.user, where, dialect), dialect)
            answer = wrapped_text(_answer(example.assistant, number), dialect)
            if mark and example is self.examples[-1]:
                answer = [*_TEXT_BLOCK, *answer, mark, b"}]"]
            first += _message("assistant", answer, dialect)
        if self.call is None:
            last = _message("user", self._content(dialect), dialect)
            # Every message ends in a comma, the last one too.
            return Messages(dialect, [b"[", *first, *last[:-1], b"}]", *behind])
        stands_alone = not (first or behind)
        call = CallPiece(Call(self.call, self.columns), dialect, stands_alone=stands_alone)
        if stands_alone:
            return Messages(dialect, [call], gives_bodies=True)
        return Messages(dialect, [b"[", *first, call, b"]", *behind])

    def _behind(self, dialect: Dialect, mark: bytes) -> list[bytes | Varying]:
        """The field of a body that the system message is, where it is no message."""
        if self.system is None:
            return []
        match dialect:
            case "gemini":
                parts = wrapped_text(template_text(self.system, "system"), dialect)
                return [b',"systemInstruction":{"parts":', *parts, b"}"]
            case "anthropic":
                text = template_text(self.system, "system")
                return [b',"system":', *_TEXT_BLOCK, text, mark, b"}]"]
            case _:
                return []

    def _text(self) -> Messages:
        """One text, where an endpoint knows no messages."""
        for given, what in (
            (self.system is not None, "a system message"),
            (self.examples, "examples"),
        ):
            if given:
                raise DeclarationError(
                    f"the prompt has {what}, and the endpoint takes one text and no messages: "
                    "write it into the user template"
                )
        if self.call is not None:
            call = Call(self.call, self.columns)
            return Messages("text", [CallPiece(call, "text", stands_alone=True)], gives_bodies=True)
        if self.field is not None:
            return Messages("text", [FieldText(self.field, takes_lists=True)])
        if not isinstance(self.user, str):
            raise DeclarationError(
                "the prompt's user message has parts, and the endpoint takes one text: "
                "give one template"
            )
        return Messages("text", [template_text(self.user, "user")])

    def _content(self, dialect: Dialect) -> list[bytes | Varying]:
        if self.field is not None:
            return wrapped_text(FieldText(self.field), dialect)
        assert self.user is not None
        return content_pieces(self.user, "user", dialect)

    def _templates(self) -> Iterator[tuple[str | Part, str]]:
        if self.system is not None:
            yield self.system, "system"
        for number, example in enumerate(self.examples):
            yield from ((part, f"user of example {number}") for part in _parts(example.user))
            if isinstance(example.assistant, str):
                yield example.assistant, f"assistant of example {number}"
        if self.user is not None:
            yield from ((part, "user") for part in _parts(self.user))


def _message(
    role: str, content: Sequence[bytes | Varying], dialect: Dialect
) -> list[bytes | Varying]:
    field = "content"
    if dialect == "gemini":
        role, field = {"assistant": "model"}.get(role, role), "parts"
    return [f'{{"role":"{role}","{field}":'.encode(), *content, b"},"]


def _parts(message: UserMessage) -> Sequence[str | Part]:
    return [message] if isinstance(message, str) else message


def _check_message(message: UserMessage | None) -> None:
    if message is None or isinstance(message, str):
        return
    if not message:
        raise DeclarationError("the prompt has a user message without parts: give it a text")
    for part in message:
        if not isinstance(part, (str, Part)):
            raise DeclarationError(
                f"the prompt has a part of type {type(part).__name__}: "
                "a part is a text, an Image, a File or Audio"
            )


def _answer(answer: Any, number: int) -> bytes | Varying:
    if isinstance(answer, str):
        return template_text(answer, f"assistant of example {number}")
    try:
        return _encode(to_json(answer).decode())
    except (PydanticSerializationError, ValueError) as error:
        raise DeclarationError(
            f"the answer of example {number} cannot be written as JSON ({error}): "
            "give it plain values"
        ) from error
