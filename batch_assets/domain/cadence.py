"""When to ask a provider about a batch again, by how long batches of its kind took before."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

#: A batch of this age is asked about at each tick: the provider checks a request file at once, and
#: small batches are done in minutes.
YOUNG = timedelta(minutes=5)

#: No batch is left alone for longer, wherever it stands.
LONGEST = timedelta(minutes=10)

#: One that is about to end is not left alone for longer than this.
SOON = timedelta(minutes=2)

#: Nor one that should have ended.
OVERDUE = timedelta(minutes=5)

#: Share of a batch's time that its end may go unnoticed.
UNNOTICED = 1 / 20

#: The same where nothing is known of how long it takes, or it takes longer than any other did.
UNNOTICED_IN_THE_DARK = 1 / 10

#: A tick that comes earlier than the one before did, by this share of the interval, is no other.
EARLY = 1 / 4

#: Fewer batches that ended say nothing of the next.
FEWEST = 5


@dataclass(frozen=True, kw_only=True)
class History:
    """How long ended batches of one kind took, from their submission."""

    #: One in ten took less.
    early: timedelta
    #: Half of them took less.
    usual: timedelta
    #: One in ten took longer.
    late: timedelta


def history_of(turnarounds: Iterable[timedelta]) -> History | None:
    """What they have in common; None where they are too few."""
    ordered = sorted(turnarounds)
    if len(ordered) < FEWEST:
        return None

    def at(share: float) -> timedelta:
        return ordered[round(share * (len(ordered) - 1))]

    return History(early=at(0.1), usual=at(0.5), late=at(0.9))


def pause_after(age: timedelta, history: History | None, every: timedelta) -> timedelta:
    """How long a batch is left alone after it was asked about at this age.

    `every` is the interval of those who ask, which no pause is shorter than.
    """
    if age < YOUNG:
        pause = every
    elif history is None:
        pause = age * UNNOTICED_IN_THE_DARK
    else:
        soon = min(max(history.usual * UNNOTICED, every), SOON)
        if age < history.early:
            pause = max(history.early - age, soon)
        elif age <= history.late:
            pause = soon
        else:
            pause = min(max(age * UNNOTICED_IN_THE_DARK, soon), OVERDUE)
    return max(min(pause, LONGEST), every)


def due_at(
    submitted_at: datetime, asked_at: datetime | None, history: History | None, every: timedelta
) -> datetime:
    """When a batch that was last asked about at `asked_at` is asked about again.

    One that never was is asked about at once: what is wrong with its file shows in seconds.
    """
    if asked_at is None:
        return submitted_at
    pause = pause_after(asked_at - submitted_at, history, every)
    return asked_at + pause - every * EARLY


def expected_at(submitted_at: datetime, history: History | None) -> datetime | None:
    """When a batch of this history usually ends; None where nothing is known of that."""
    return None if history is None else submitted_at + history.usual
