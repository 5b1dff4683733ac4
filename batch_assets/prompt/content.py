"""The content of a user message: one text, or an array of parts."""

from collections.abc import Iterator, Sequence
from itertools import repeat

from batch_assets.domain.errors import CorpusError
from batch_assets.prompt.messages import Columns, DescribeRow, Dialect, Piece, Varying
from batch_assets.prompt.parts import Part
from batch_assets.prompt.texts import template_text


def content_pieces(
    message: str | Sequence[str | Part], where: str, dialect: Dialect
) -> list[bytes | Varying]:
    """The pieces of a user message's content. Raises DeclarationError for what has no form."""
    if isinstance(message, str):
        return wrapped_text(template_text(message, where), dialect)
    parts = [
        part.piece(dialect) if isinstance(part, Part) else _text_part(part, where, dialect)
        for part in message
    ]
    if any(part.optional and isinstance(part.value, Varying) for part in parts):
        return [_PresentParts(parts)]
    pieces: list[bytes | Varying] = [b"["]
    for part in parts:
        pieces += [part.head, part.value, part.tail, b","]
    return [*pieces[:-1], b"]"]


def wrapped_text(text: bytes | Varying, dialect: Dialect) -> list[bytes | Varying]:
    """A text as the whole content of a message; where the dialect knows parts only, as one."""
    return [b'[{"text":', text, b"}]"] if dialect == "gemini" else [text]


def _text_part(source: str, where: str, dialect: Dialect) -> Piece:
    if dialect == "gemini":
        return Piece(b'{"text":', template_text(source, where), b"}")
    kind = b"input_text" if dialect == "responses" else b"text"
    return Piece(b'{"type":"' + kind + b'","text":', template_text(source, where), b"}")


class _PresentParts(Varying):
    """An array of those parts that the row has."""

    def __init__(self, parts: Sequence[Piece]) -> None:
        self._parts = parts
        varying = [part.value for part in parts if isinstance(part.value, Varying)]
        self.fields = tuple(sorted({name for each in varying for name in each.fields}))
        self.shape = repr(
            [
                (p.head, p.value.shape if isinstance(p.value, Varying) else p.value, p.tail)
                for p in parts
            ]
        )

    def encoded(self, columns: Columns, describe_row: DescribeRow) -> Iterator[bytes]:
        values = [
            part.value.encoded(columns, describe_row)
            if isinstance(part.value, Varying)
            else repeat(part.value)
            for part in self._parts
        ]
        for position, row in enumerate(zip(*values, strict=False)):
            present = [
                part.head + value + part.tail
                for part, value in zip(self._parts, row, strict=True)
                if value
            ]
            if not present:
                raise CorpusError(
                    f"{describe_row(position)}: {', '.join(self.fields)} are null or empty, so "
                    "every part of the message is left out: leave out the row, or add a text"
                )
            yield b"[" + b",".join(present) + b"]"
