"""A table as lines of text. Those of rich take half a second of CPU for a thousand rows."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len

_GAP = "  "

#: Cells of a terminal below which a column is not made narrower.
_NARROWEST = 3


def table_lines(
    names: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[bool], width: int | None
) -> Iterator[str]:
    """The heading, then a line for each row, or more where its cells do not fit.

    `right` says which columns stand at their right end; `width` is the terminal's, in cells, None
    where nothing is to be folded.
    """
    widths = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
    if width is not None:
        widths = _narrowed(widths, width - len(_GAP) * (len(widths) - 1))
    for row in (names, *rows):
        cells = [_folded(cell, most) for cell, most in zip(row, widths, strict=True)]
        for line in zip_longest(*cells, fillvalue=""):
            parts = zip(line, widths, right, strict=True)
            yield _GAP.join(_padded(*part) for part in parts).rstrip()


def _narrowed(widths: Sequence[int], most: int) -> list[int]:
    """The widest columns give way, all to the same width."""
    found = list(widths)
    while sum(found) > most and max(found) > _NARROWEST:
        found[found.index(max(found))] -= 1
    return found


def _folded(cell: str, width: int) -> list[str]:
    if cell_len(cell) <= width:
        return [cell]
    from rich.console import Console
    from rich.text import Text

    return [str(line).rstrip() for line in Text(cell).wrap(Console(), width)]


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if right else cell + space
