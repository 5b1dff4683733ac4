"""How the partitions of a corpus come to be, without a word of Dagster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Cadence = Literal["hourly", "daily", "weekly", "monthly"]


@dataclass(frozen=True, kw_only=True)
class StaticKeys:
    """Known when the code location loads; a new one needs a reload."""

    keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TimeWindows:
    """One for each hour, day, week or month; keys are the windows' beginnings."""

    cadence: Cadence
    start: datetime
    #: None: they go on with time.
    end: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class DiscoveredKeys:
    """Registered by the inference's discovery sensor as they appear."""


@dataclass(frozen=True, kw_only=True)
class GivenPartitions:
    """The partitions of an upstream asset."""

    #: A dagster PartitionsDefinition.
    definition: Any


Partitioning = StaticKeys | TimeWindows | DiscoveredKeys | GivenPartitions


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """What there is now of partitions that are discovered."""

    #: When each was last written to, by its key; None where its source does not say.
    written_at: Mapping[str, datetime | None]
    #: What lies there and cannot be a partition, each with the reason and the way out.
    refused: Sequence[str] = ()
