"""Time windows as Dagster cuts them: one place knows their keys, beginnings and ends."""

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from batch_assets.corpus.partitioning import TimeWindows
from batch_assets.domain.errors import CorpusError, DeclarationError

if TYPE_CHECKING:
    import dagster as dg


def definition_of(windows: TimeWindows) -> "dg.TimeWindowPartitionsDefinition":
    """Dagster's partitions of the windows, in the zone of their start; without one in UTC.

    Raises DeclarationError for a zone that Dagster cannot name.
    """
    # Corpora are read without Dagster, too.
    import dagster as dg

    kinds = {
        "hourly": dg.HourlyPartitionsDefinition,
        "daily": dg.DailyPartitionsDefinition,
        "weekly": dg.WeeklyPartitionsDefinition,
        "monthly": dg.MonthlyPartitionsDefinition,
    }
    definition: dg.TimeWindowPartitionsDefinition = kinds[windows.cadence](
        start_date=windows.start, end_date=windows.end, timezone=zone_of(windows)
    )
    return definition


def zone_of(windows: TimeWindows) -> str:
    """The name of the windows' time zone."""
    zone: tzinfo = windows.start.tzinfo or UTC
    name = str(getattr(zone, "key", "UTC" if zone is UTC else ""))
    if not name:
        raise DeclarationError(
            f"time windows from {windows.start.isoformat()}: {zone} has no name; give the start a "
            "zoneinfo.ZoneInfo, or none for UTC"
        )
    return name


def window_of(windows: TimeWindows, partition_key: str) -> tuple[datetime, datetime]:
    """Beginning and end of a partition's window, in the windows' zone; the end is outside of it.

    Raises CorpusError for a key that is none of theirs.
    """
    try:
        window = definition_of(windows).time_window_for_partition_key(partition_key)
    except ValueError as error:
        raise CorpusError(
            f"partition {partition_key!r} is no {windows.cadence} window: "
            "materialize one that Dagster shows"
        ) from error
    return window.start, window.end
