"""How a component file says what the partitions are."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field

from batch_assets.component.choice import Choice, Declared
from batch_assets.corpus import ByColumn, ByFile, ByRows, ByTime, Discovered
from batch_assets.corpus.partition_by import PartitionBy
from batch_assets.corpus.partitioning import Cadence, StaticKeys, TimeWindows
from batch_assets.corpus.windows import definition_of
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.import_path import imported


class WindowsModel(Declared):
    """A partition per window of time."""

    cadence: Cadence = Field(description="hourly, daily, weekly or monthly.")
    start: str = Field(description="Beginning of the first window: 2026-01-31, 2026-01-31T05:00.")
    end: str | None = Field(
        default=None, description="Where the windows stop; left out, they go on with time."
    )
    timezone: str | None = Field(
        default=None, description="Zone of start and end, as Europe/Berlin; left out, UTC."
    )

    @property
    def first(self) -> datetime:
        """Beginning of the first window, in the zone."""
        return _moment("start", self.start, self.timezone)

    @property
    def last(self) -> datetime | None:
        """Where they stop."""
        return None if self.end is None else _moment("end", self.end, self.timezone)

    def windows(self) -> TimeWindows:
        """The same as a corpus takes it."""
        return TimeWindows(cadence=self.cadence, start=self.first, end=self.last)

    def check(self) -> None:
        """Have Dagster make the windows."""
        definition_of(self.windows())


def _moment(name: str, text: str, zone: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DeclarationError(
            f"{name} {text!r} is no time; write it as 2026-01-31 or 2026-01-31T05:00"
        ) from error
    if moment.utcoffset() == timedelta(0):
        moment = moment.replace(tzinfo=UTC)
    if moment.tzinfo is not None and (zone is not None or moment.tzinfo is not UTC):
        raise DeclarationError(
            f"{name} {text!r} has an offset of its own; write the time without one, and the name "
            "of its zone as timezone"
        )
    if zone is None:
        return moment
    try:
        return moment.replace(tzinfo=ZoneInfo(zone))
    except (OSError, ValueError, LookupError) as error:
        raise DeclarationError(
            f"timezone {zone!r} is unknown; name one as Europe/Berlin or UTC"
        ) from error


class PartitionByModel(Choice):
    """How the rows of files are cut into partitions."""

    @classmethod
    def forms(cls) -> Mapping[str, type[Self]]:
        forms: Mapping[str, Any] = _BY if cls is PartitionByModel else {}
        return forms

    @classmethod
    def form_of(cls, given: Mapping[str, Any]) -> type[Self]:
        forms, by = cls.forms(), given.get("by")
        if not isinstance(by, str) or by not in forms:
            raise ValueError(f"by is {by!r}; give by, one of {', '.join(forms)}")
        return forms[by]

    def check(self) -> None:
        self.way()

    @abstractmethod
    def way(self) -> PartitionBy:
        """The same as FileCorpus takes it."""


class ByFileModel(PartitionByModel):
    """A partition per file."""

    by: Literal["file"] = Field(description="A partition per file, named as the file.")

    def way(self) -> PartitionBy:
        return ByFile()


class DiscoveredModel(PartitionByModel):
    """A partition per file, found when the file comes."""

    by: Literal["discovered"] = Field(
        description="A partition per file, registered by the discovery sensor when it comes."
    )

    def way(self) -> PartitionBy:
        return Discovered()


class ByRowsModel(PartitionByModel):
    """Partitions of consecutive rows."""

    by: Literal["rows"] = Field(description="Partitions of consecutive rows of a file.")
    rows: int = Field(description="Rows of a partition.")

    def way(self) -> PartitionBy:
        return ByRows(self.rows)


class ByColumnModel(PartitionByModel):
    """A partition per value of a column."""

    by: Literal["column"] = Field(description="A partition per value of a column.")
    column: str = Field(description="The column, or folders that are named column=value.")
    values: list[str] = Field(description='The values that are partitions, in quotes: "7", "no".')

    def way(self) -> PartitionBy:
        return ByColumn(self.column, tuple(self.values))


class ByTimeModel(PartitionByModel, WindowsModel):
    """A partition per window of time."""

    by: Literal["time"] = Field(description="A partition per hour, day, week or month.")
    column: str = Field(description="A column of times, days, or ISO 8601 texts.")

    def way(self) -> PartitionBy:
        return ByTime(self.column, self.cadence, start=self.first, end=self.last)


_BY: Mapping[str, type[PartitionByModel]] = {
    "file": ByFileModel,
    "rows": ByRowsModel,
    "column": ByColumnModel,
    "time": ByTimeModel,
    "discovered": DiscoveredModel,
}


class PartitionsModel(Choice):
    """Partitions that are given by name: a list of keys, or windows of time."""

    short_forms = ({"type": "array", "items": {"type": "string"}}, {"type": "string"})

    @classmethod
    def forms(cls) -> Mapping[str, type[Self]]:
        forms: Mapping[str, Any] = _PARTITIONS if cls is PartitionsModel else {}
        return forms

    @classmethod
    def spelled_out(cls, given: Any) -> Any:
        """A list stands for its keys, a text for an import path."""
        match given:
            case list() | tuple():
                return {"keys": given}
            case str():
                return {"own": given}
            case _:
                return given

    @abstractmethod
    def definition(self) -> "dg.PartitionsDefinition[str]":
        """The same for Dagster."""

    def of_a_query(self) -> StaticKeys | TimeWindows:
        """The same as SqlCorpus takes it. Raises DeclarationError for what a query cannot have."""
        raise DeclarationError(
            "a query's partitions are a list of keys, or windows: cadence, start, end, timezone"
        )


class KeysModel(PartitionsModel):
    """Keys, each a partition."""

    keys: list[str] = Field(description="The keys of the partitions.")

    def __getitem__(self, place: int) -> str:
        # Dagster follows a list's places in the file through what was made of it.
        return self.keys[place]

    def definition(self) -> "dg.PartitionsDefinition[str]":
        return dg.StaticPartitionsDefinition(self.keys)

    def of_a_query(self) -> StaticKeys | TimeWindows:
        return StaticKeys(keys=tuple(self.keys))


class TimesModel(PartitionsModel, WindowsModel):
    """Windows of time."""

    def definition(self) -> "dg.PartitionsDefinition[str]":
        return definition_of(self.windows())

    def of_a_query(self) -> StaticKeys | TimeWindows:
        return self.windows()


class DynamicModel(PartitionsModel):
    """Partitions that come and go."""

    dynamic: str = Field(description="Name of the asset's DynamicPartitionsDefinition.")

    def definition(self) -> "dg.PartitionsDefinition[str]":
        return dg.DynamicPartitionsDefinition(name=self.dynamic)


class OwnPartitionsModel(PartitionsModel):
    """A definition of the project's own."""

    own: str = Field(description="Import path of the asset's PartitionsDefinition.")

    def check(self) -> None:
        self.definition()

    def definition(self) -> "dg.PartitionsDefinition[str]":
        found = imported(self.own, "partitions")
        if not isinstance(found, dg.PartitionsDefinition):
            raise DeclarationError(
                f"partitions {self.own!r} is not a PartitionsDefinition of Dagster's"
            )
        return found


_PARTITIONS: Mapping[str, type[PartitionsModel]] = {
    "keys": KeysModel,
    "cadence": TimesModel,
    "dynamic": DynamicModel,
    "own": OwnPartitionsModel,
}
