"""What a person is told of an inference, away from the UI."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlencode

import dagster as dg

from batch_assets.domain.spoken import first_of

#: Partitions that a sentence names, and characters of one reason in it.
NAMED = 5
_LONGEST_REASON = 1_000


class InferenceEventKind(StrEnum):
    """What happened."""

    #: Partitions have results.
    FINISHED = "finished"
    #: A run failed, for the partitions that are named.
    FAILED = "failed"
    #: Nothing new is sent: the provider refused the account, or a person paused something.
    STOPPED = "stopped"
    #: Nothing is sent before a person approves it: `approval: required`, or a canary that did not
    #: pass.
    WAITS_FOR_APPROVAL = "waits_for_approval"
    #: A check did not pass.
    CHECK_FAILED = "check_failed"


@dataclass(frozen=True, kw_only=True)
class InferenceEvent:
    """Something that happened to an inference, of as many partitions as it happened to."""

    kind: InferenceEventKind
    #: None where an account, a backfill or a run is stopped, which several may share.
    inference: str | None
    #: Empty where it is not about partitions.
    partition_keys: Sequence[str] = ()
    #: For a person. It may have several lines, and text of the provider's.
    sentence: str
    #: Where the UI shows it, from its root: /runs/…, /assets/….
    path: str | None = None
    #: Of these partitions together: items, the share of them that is ok, and what they cost. None
    #: where it is not about results, and where a cost is not known of each of them.
    items: int | None = None
    coverage: float | None = None
    cost_usd: float | None = None
    #: Partitions of the inference that are on their way still; None where it is not counted.
    open_partitions: int | None = None


def partition_page(key: dg.AssetKey, partition_keys: Sequence[str], view: str) -> str:
    """The page of an asset: of one partition where it is one, else of all."""
    query = {"view": view, **({"partition": partition_keys[0]} if len(partition_keys) == 1 else {})}
    return f"/assets/{'/'.join(quote(part, safe='') for part in key.path)}?{urlencode(query)}"


def counted(partition_keys: Sequence[str]) -> str:
    """Partitions by number and name: "2 partitions (a, b)"."""
    named = ", ".join(partition_keys[:NAMED])
    more = len(partition_keys) - NAMED
    noun = "partition" if len(partition_keys) == 1 else "partitions"
    return f"{len(partition_keys)} {noun} ({named}{f' and {more} more' if more > 0 else ''})"


def some_of(lines: Iterable[str]) -> str:
    """The first of many lines, each cut to a length that a message takes."""
    cut = (
        line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"
        for line in dict.fromkeys(lines)
    )
    return "\n".join(first_of(cut, NAMED))
