"""How the rows of files are cut into partitions."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_assets.corpus.listing import Listing, SourceFile
from batch_assets.corpus.partitioning import (
    Cadence,
    DiscoveredKeys,
    Partitioning,
    StaticKeys,
    TimeWindows,
)
from batch_assets.corpus.row_filter import OneValue, RowFilter, Within
from batch_assets.corpus.windows import definition_of, window_of
from batch_assets.domain.errors import CorpusError, DeclarationError


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What a partition has of one file."""

    file: SourceFile
    #: Positions in the file; None: all.
    rows: range | None = None
    only: RowFilter | None = None


class PartitionBy(ABC):
    """A way to cut the rows of files into partitions."""

    @abstractmethod
    def keys(self, files: Listing, count: Callable[[SourceFile], int]) -> list[str]:
        """The keys that are there now, in their order; `count` gives the rows of a file."""

    @abstractmethod
    def slices(self, files: Listing, partition_key: str) -> list[Slice]:
        """What a partition consists of, in its order."""

    def partitioning(self, files: Listing, count: Callable[[SourceFile], int]) -> Partitioning:
        """How Dagster knows the partitions."""
        return StaticKeys(keys=tuple(self.keys(files, count)))


@dataclass(frozen=True)
class ByFile(PartitionBy):
    """A partition per file, named by the file's path below the corpus's root without its ending."""

    def keys(self, files: Listing, count: Callable[[SourceFile], int]) -> list[str]:
        """Sorted."""
        return list(files.files())

    def slices(self, files: Listing, partition_key: str) -> list[Slice]:
        """The file."""
        return [Slice(file=files.file(partition_key))]


@dataclass(frozen=True)
class Discovered(ByFile):
    """A partition per file, registered by the discovery sensor when the file appears."""

    def keys(self, files: Listing, count: Callable[[SourceFile], int]) -> list[str]:
        """Sorted; none before the first file."""
        return list(files.files(may_be_none=True))

    def partitioning(self, files: Listing, count: Callable[[SourceFile], int]) -> Partitioning:
        """Nothing is listed while a code location loads."""
        return DiscoveredKeys()


@dataclass(frozen=True)
class ByRows(PartitionBy):
    """Partitions of at most `rows` consecutive rows of a file.

    They are named `part-00000` and so on where the corpus is one file, and with the file's own key
    before it (`2026/may/part-00000`) where it is a folder, a pattern or several paths: a file that
    comes later changes no partition that is there. A file that grows fills its last partition.
    The rows of Parquet files are known from their footers; those of other files are counted by
    reading the files whenever a code location loads.
    """

    rows: int

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise DeclarationError(f"ByRows({self.rows}): a partition has one row at least")

    def keys(self, files: Listing, count: Callable[[SourceFile], int]) -> list[str]:
        """File by file."""
        alone = files.is_one_file
        return [
            _part(number) if alone else f"{file.key}/{_part(number)}"
            for file in files.files().values()
            for number in range(-(-count(file) // self.rows))
        ]

    def slices(self, files: Listing, partition_key: str) -> list[Slice]:
        """The rows of one file."""
        key, _, part = partition_key.rpartition("/")
        digits = part.removeprefix("part-")
        if not digits.isdecimal() or _part(int(digits)) != part or bool(key) == files.is_one_file:
            raise CorpusError(
                f"{files.ref} has no partition {partition_key!r}: reload the code location"
            )
        file = files.file(key) if key else next(iter(files.files().values()))
        first = int(digits) * self.rows
        return [Slice(file=file, rows=range(first, first + self.rows))]


def _part(number: int) -> str:
    return f"part-{number:05}"


@dataclass(frozen=True)
class ByColumn(PartitionBy):
    """A partition for each of the keys: the rows of all files whose column has it as its value.

    Values that are no text count as they are written: `7`, `true`, `2026-01-31`. Rows with other
    values or none are in no partition. A column can also be the name of folders `column=value`;
    only the files in those of the key are then opened.
    """

    column: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.values or isinstance(self.values, str):
            raise DeclarationError(
                f"ByColumn({self.column!r}): list the values that are partitions, one at least"
            )
        if len(set(self.values)) != len(self.values):
            raise DeclarationError(f"ByColumn({self.column!r}): a value is there twice")

    def keys(self, files: Listing, count: Callable[[SourceFile], int]) -> list[str]:
        """As they are declared."""
        return list(self.values)

    def slices(self, files: Listing, partition_key: str) -> list[Slice]:
        """Those files that may have such rows."""
        if partition_key not in self.values:
            raise CorpusError(
                f"{files.ref} has no partition {partition_key!r} by {self.column}: "
                "reload the code location"
            )
        only = OneValue(column=self.column, value=partition_key)
        return [
            Slice(file=file, only=only)
            for file in files.files().values()
            if file.folder_values.get(self.column, partition_key) == partition_key
        ]


@dataclass(frozen=True)
class ByTime(PartitionBy):
    """A partition per hour, day, week or month: the rows of all files whose column is a time in it.

    The column has times, days, or texts as ISO 8601 has them; those without a zone are in the
    zone of `start`, or in UTC. Rows outside of all windows, or without a time, are in no partition.
    """

    column: str
    cadence: Cadence
    start: datetime
    end: datetime | None = None

    def __post_init__(self) -> None:
        definition_of(self._windows)

    @property
    def _windows(self) -> TimeWindows:
        return TimeWindows(cadence=self.cadence, start=self.start, end=self.end)

    def partitioning(self, files: Listing, count: Callable[[SourceFile], int]) -> Partitioning:
        """Time windows."""
        return self._windows

    def keys(self, files: Listing, count: Callable[[SourceFile], int]) -> list[str]:
        """Those that are over."""
        return list(definition_of(self._windows).get_partition_keys())

    def slices(self, files: Listing, partition_key: str) -> list[Slice]:
        """Those files that may have such rows."""
        start, end = window_of(self._windows, partition_key)
        only = Within(column=self.column, start=start, end=end)
        return [
            Slice(file=file, only=only)
            for file in files.files().values()
            if _may_be_within(file.folder_values.get(self.column), only)
        ]


def _may_be_within(folder: str | None, only: Within) -> bool:
    """Whether a folder of one day may have rows of the window."""
    try:
        day = datetime.fromisoformat(folder or "")
    except ValueError:
        return True
    return only.may_hold(day, day + timedelta(days=1))
