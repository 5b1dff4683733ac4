"""Reads Gemini's list of batches, whose order is not documented: it is taken to run from new to old
only as long as it is seen to.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from batch_assets.domain.errors import BatchUnknown, OutOfTime, RequestRefused
from batch_assets.domain.listing import CLOCK_SKEW, DISORDER
from batch_assets.domain.provider import ProviderBatch
from batch_assets.resources.gemini.replies import created_at, text_of

if TYPE_CHECKING:
    from batch_assets.resources.gemini.client import GeminiClient

#: Batches per list call.
PAGE = 100

_CALL = "listing the batches"


def listed(
    client: "GeminiClient", call: str, since: datetime | None, *, key: str | None = None
) -> Iterator[object]:
    """All batches; those created at `since` or later, and some older ones, where it is given; with
    `key` those that may have it.
    """
    enough = None if since is None else since - CLOCK_SKEW - DISORDER
    lowest: datetime | None = None
    falling = True
    after: str | None = None
    while True:
        entries, after = client.batch_page(call, after, key=key)
        yield from entries
        with client.border.translated(call):
            moments = [created_at(entry) for entry in entries]
        for moment in moments:
            falling = falling and (lowest is None or moment <= lowest + DISORDER)
            lowest = moment if lowest is None else min(lowest, moment)
        is_past = enough is not None and lowest is not None and lowest < enough
        if after is None or (falling and is_past):
            return


class BatchSearch:
    """One search for batches of ours; the first wanted are looked for first."""

    def __init__(self, client: "GeminiClient", wanted: Collection[str]) -> None:
        self._client = client
        self._missing = dict.fromkeys(wanted)
        self._refusals: dict[str, RequestRefused] = {}

    def found(self, since: datetime, among: Sequence[str]) -> Iterator[ProviderBatch]:
        """The batches wanted, and what else of the known ids comes by.

        The list can be entered at its newest end only, so that one that waits longest might never
        be reached in a short time: the first wanted is asked for alone where it stands far back.
        """
        places = {batch_id: place for place, batch_id in enumerate(among)}
        known = places.keys() | self._missing.keys()
        try:
            first = next(iter(self._missing))
            if places.get(first, 0) >= PAGE:
                yield from self._alone(first)
            pages = 1 + max((places.get(each, 0) // PAGE for each in self._missing), default=0)
            if len(self._missing) > pages or not places:
                yield from self._from_the_newest(since, known)
            for batch_id in list(self._missing):
                yield from self._alone(batch_id)
        except OutOfTime as error:
            self._check_refusals(error)
            raise
        self._check_refusals(None)

    def _from_the_newest(self, since: datetime, known: Collection[str]) -> Iterator[ProviderBatch]:
        for batch in listed(self._client, _CALL, since):
            if text_of(batch, "name") in known:
                found = self._client.describe(_CALL, batch)
                self._missing.pop(found.id, None)
                yield found
            if not self._missing:
                return

    def _alone(self, batch_id: str) -> Iterator[ProviderBatch]:
        try:
            found = self._client.retrieve(batch_id)
        except RequestRefused as refusal:
            self._refusals[batch_id] = refusal
        else:
            yield found
        del self._missing[batch_id]

    def _check_refusals(self, cause: Exception | None) -> None:
        """Raise BatchUnknown for those that the provider does not know."""
        if self._refusals:
            first = next(iter(self._refusals.values()))
            raise BatchUnknown(
                f"cannot follow {', '.join(self._refusals)}: {first.message}",
                ids=set(self._refusals),
            ) from cause or first
