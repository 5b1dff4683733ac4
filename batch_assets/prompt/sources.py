"""Where the varying value of a message part comes from: an address, a column, a folder."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.prompt.media import Folder, Unfit
from batch_assets.prompt.messages import Columns, DescribeRow, Varying, half_a_character
from batch_assets.prompt.template import Renderer
from batch_assets.prompt.texts import constant

#: Makes what stands in the part of a file's bytes and name. Raises Unfit.
Members = Callable[[bytes, str], bytes]

#: What a provider opens, where it takes an address and bytes in one field.
WEB = ("http://", "https://", "data:")

_encode = msgspec.json.Encoder().encode


class _Source(Varying):
    """A value per row; empty bytes where an optional one is left out."""

    def __init__(self, fields: tuple[str, ...], shape: str, what: str, optional: bool) -> None:
        self.fields = fields
        self.shape = shape
        self._what = what
        self._optional = optional

    def _absent(self, row: str) -> bytes:
        """What stands for a null or empty source: nothing, if that is allowed."""
        if self._optional:
            return b""
        raise CorpusError(
            f"{row}: {', '.join(self.fields)} gives the {self._what} nothing, it is null or empty: "
            "fill it in, or give the part optional=True"
        )

    def _unfit(self, row: str, why: object) -> CorpusError:
        return CorpusError(f"{row}: {', '.join(self.fields)}: the {self._what}: {why}")


class Address(_Source):
    """A URL or a provider's file id, from a template, as a JSON string."""

    def __init__(
        self, renderer: Renderer, what: str, optional: bool, template: str, opens: Sequence[str]
    ) -> None:
        """`opens` are the beginnings that an address may have; without any it may be any text."""
        super().__init__(renderer.fields, f"{what} {template} {optional}", what, optional)
        self._renderer = renderer
        self._opens = tuple(opens)

    def constant(self) -> bytes:
        """The address that all rows have."""
        text = self._renderer.constant_text()
        if (complaint := self._complaint(text)) is not None or not text:
            raise DeclarationError(f"the {self._what} {complaint or 'is empty'}")
        return constant(self._renderer)

    def encoded(self, columns: Columns, describe_row: DescribeRow) -> Iterator[bytes]:
        values = [columns[name] for name in self.fields]
        for position, text in enumerate(self._renderer.texts_or_nulls(values, describe_row)):
            if not text:
                yield self._absent(describe_row(position))
                continue
            if (complaint := self._complaint(text)) is not None:
                raise CorpusError(
                    f"{describe_row(position)}: {', '.join(self.fields)}: the {self._what} "
                    f"{complaint}"
                )
            try:
                yield _encode(text)
            except UnicodeEncodeError as error:
                what = f"the {self._what}"
                raise half_a_character(describe_row(position), what, error.start) from error

    def _complaint(self, text: str) -> str | None:
        if self._opens and not text.startswith(self._opens):
            return (
                f"is {text[:80]!r}, and a provider opens only {', '.join(self._opens)} addresses; "
                "for a file of yours give path and root"
            )
        return None


class FromColumn(_Source):
    """Bytes in a column, or in the field `bytes` of a column of structs."""

    def __init__(self, name: str, members: Members, kind: str, optional: bool, shape: str) -> None:
        super().__init__((name,), shape, kind, optional)
        self._name = name
        self._members = members

    def encoded(self, columns: Columns, describe_row: DescribeRow) -> Iterator[bytes]:
        for position, value in enumerate(columns[self._name]):
            content, name = _bytes_in(value)
            if content is not None and not isinstance(content, bytes):
                raise self._unfit(
                    describe_row(position),
                    f"it is {type(content).__name__} and not bytes; give an address as url, the "
                    "name of a file as path",
                )
            if not content:
                yield self._absent(describe_row(position))
                continue
            try:
                yield self._members(content, name)
            except Unfit as error:
                raise self._unfit(describe_row(position), error) from error


class FromFolder(_Source):
    """Bytes of a file that a template names, read when the row is rendered."""

    def __init__(
        self,
        renderer: Renderer,
        folder: Folder,
        members: Members,
        kind: str,
        optional: bool,
        shape: str,
    ) -> None:
        super().__init__(renderer.fields, shape, kind, optional)
        self._renderer = renderer
        self._folder = folder
        self._members = members

    def encoded(self, columns: Columns, describe_row: DescribeRow) -> Iterator[bytes]:
        values = [columns[name] for name in self.fields]
        for position, name in enumerate(self._renderer.texts_or_nulls(values, describe_row)):
            if not name:
                yield self._absent(describe_row(position))
                continue
            try:
                yield self._members(self._folder.read(name), name)
            except Unfit as error:
                raise self._unfit(describe_row(position), error) from error


def _bytes_in(value: Any) -> tuple[Any, str]:
    """The bytes, and the file's name where it is told."""
    if isinstance(value, dict) and "bytes" in value:
        name = value.get("path")
        return value["bytes"], name if isinstance(name, str) else ""
    return value, ""
