"""A file as a source of rows, whatever it is written in, and what is said of one that is bad."""

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from batch_assets.corpus.formats import FORMAT_NAMES
from batch_assets.corpus.listing import SourceFile
from batch_assets.corpus.row_filter import RowFilter
from batch_assets.domain.errors import CorpusError
from batch_assets.files.parquet import DAMAGED, complaint_of

#: Bytes of a text file in hand at a time.
TEXT_BLOCK = 256 * 1024

#: A row of a text file that is longer was most likely cut wrong: a quote or a line end is missing.
LONGEST_ROW = 128 * 1024 * 1024

#: A complaint may quote the row.
_LONGEST_COMPLAINT = 300


class Source(ABC):
    """One file, while it is open."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file

    @abstractmethod
    def whole_schema(self) -> pa.Schema:
        """All of its columns, also where a name is there twice."""

    @abstractmethod
    def schema(self, columns: Sequence[str], rows: range | None) -> pa.Schema:
        """The types of these columns; where they follow from the values, from those of `rows`.

        Raises CorpusError for a column that is not there, or there twice.
        """

    @abstractmethod
    def batches(
        self, schema: pa.Schema, rows: range | None, only: RowFilter | None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches of these columns, each with the position of its first row.

        `rows` are the positions that are wanted; None stands for all. Rows that `only` leaves out
        may be left out here, where that saves reading them.
        """

    @abstractmethod
    def count(self) -> int:
        """The number of its rows."""


def check_columns(file: SourceFile, there: Sequence[str], columns: Sequence[str]) -> None:
    """Raise CorpusError for a column that is not there, or there twice."""
    for name in columns:
        count = there.count(name)
        if count != 1:
            finding = f"has {count} columns named" if count else "no longer has a column"
            raise CorpusError(
                f"{file.ref} {finding} {name!r}; its columns are {', '.join(there)}: "
                "write the file with one"
            )


def only_in(rows: range | None, first: int, batch: pa.RecordBatch) -> tuple[int, pa.RecordBatch]:
    """The part of a batch whose positions are in `rows`, and the position of its first row."""
    if rows is None:
        return first, batch
    start = max(first, rows.start)
    stop = max(start, min(first + batch.num_rows, rows.stop))
    return start, batch.slice(start - first, stop - start)


@contextmanager
def reading(file: SourceFile, row: int, remedy: str = "") -> Iterator[None]:
    """Say of what goes wrong in the block which file it is, after which row, and the way out."""
    try:
        yield
    except FileNotFoundError as error:
        raise CorpusError(
            f"{file.ref} is gone: put it back, or reload the code location"
        ) from error
    except (*DAMAGED, EOFError, UnicodeDecodeError) as error:
        raise unreadable(file, row, error, remedy) from error


def unreadable(file: SourceFile, row: int, error: Exception, remedy: str = "") -> CorpusError:
    """The error for what went wrong at a row or after it."""
    if getattr(error, "errno", None) == errno.EBUSY:
        # So s3fs says that the object is no longer the one that was opened.
        return CorpusError(
            f"{file.ref}, at row {row} or after it: the file changed while it was read: "
            "materialize the partition again"
        )
    return damaged(file, f"at row {row} or after it", complaint_of(error), remedy)


def damaged(file: SourceFile, where: str, complaint: str, remedy: str = "") -> CorpusError:
    """The error for a file that cannot be read on."""
    text = " ".join(complaint.split())
    if len(text) > _LONGEST_COMPLAINT:
        text = f"{text[:_LONGEST_COMPLAINT]}…"
    return CorpusError(
        f"{file.ref}, {where}: not readable as {FORMAT_NAMES[file.format]} ({text}); "
        f"{remedy or 'write the file again, or take it out of the corpus'}"
    )
