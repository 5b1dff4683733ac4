"""Texts of a prompt: a template's, or a column's as it is."""

from collections.abc import Iterator
from typing import Any

import msgspec

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.prompt.messages import Columns, DescribeRow, Varying, half_a_character
from batch_assets.prompt.template import Renderer

_encode = msgspec.json.Encoder().encode


def template_text(source: str, message: str) -> bytes | Varying:
    """A template's text as a JSON string; bytes where it is the same for every row."""
    renderer = Renderer(source, message)
    return TemplateText(renderer, source, message) if renderer.fields else constant(renderer)


def constant(renderer: Renderer) -> bytes:
    """The JSON string of a template without fields."""
    try:
        return _encode(renderer.constant_text())
    except UnicodeEncodeError as error:
        raise DeclarationError(
            f"a constant text has half a character at position {error.start}: correct it"
        ) from error


class TemplateText(Varying):
    """The text of a template as a JSON string."""

    def __init__(self, renderer: Renderer, source: str, message: str) -> None:
        self._renderer = renderer
        self._message = message
        self.fields = renderer.fields
        self.shape = source

    def encoded(self, columns: Columns, describe_row: DescribeRow) -> Iterator[bytes]:
        texts = self._renderer.texts([columns[name] for name in self.fields], describe_row)
        position = 0
        try:
            for text in texts:
                yield _encode(text)
                position += 1
        except UnicodeEncodeError as error:
            what = f"the text of the {self._message} template"
            raise half_a_character(describe_row(position), what, error.start) from error


class FieldText(Varying):
    """A column's text as it is, as a JSON string.

    Where `takes_lists`, a list of texts is several inputs: an array of strings.
    """

    def __init__(self, name: str, *, takes_lists: bool = False) -> None:
        self._name = name
        self._takes_lists = takes_lists
        self.fields = (name,)
        self.shape = f"the field {name}"

    def encoded(self, columns: Columns, describe_row: DescribeRow) -> Iterator[bytes]:
        for position, value in enumerate(columns[self._name]):
            if value.__class__ is str:
                yield _encode(value)
            elif (complaint := self._complaint(value)) is None:
                yield _encode(value if isinstance(value, list) else str(value))
            else:
                raise CorpusError(f"{describe_row(position)}: {self._name} {complaint}")

    def _complaint(self, value: Any) -> str | None:
        """Why a value that is no text cannot stand for one."""
        match value:
            case None:
                return (
                    "is null and is the whole prompt; fill it in, or write a template that says "
                    "what to ask without it"
                )
            case bytes():
                return "is binary and not text: decode it, or give it as a part of the prompt"
            case []:
                return "is an empty list: leave the row out"
            case list() if self._takes_lists:
                if all(isinstance(each, str) for each in value):
                    return None
                return "holds something else than text: write its elements as text"
            case list() | dict():
                return "is no single text: write a template that says how to print it"
            case _:
                return None
