"""Looks batches of known ids up in OpenAI's list, which runs from new to old, and one by one.

The list can be entered behind any batch (`batch_list_params.py`: `after`), so that the batch that
waits longest is asked about first without reading what is newer.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from batch_assets.domain.errors import BatchUnknown, OutOfTime, RequestRefused
from batch_assets.domain.provider import ProviderBatch
from batch_assets.resources.replies import CursorGone, NotListed, text_of

#: Batches per list call (`batch_list_params.py`: 1 to 100).
PAGE = 100

#: Pages without a batch that is looked for, after which a list is taken for one that does not run
#: from new to old, or is full of other people's batches.
FUTILE = 2

_CALL = "listing the batches"


class Searched(Protocol):
    """What a search asks of a client."""

    def batch_page(self, call: str, after: str | None) -> tuple[list[object], str | None]: ...

    def describe(self, call: str, batch: object) -> ProviderBatch: ...

    def retrieve(self, batch_id: str) -> ProviderBatch: ...


class BatchSearch:
    """One search for batches of ours; the first wanted are looked for first."""

    def __init__(self, client: Searched, wanted: Collection[str]) -> None:
        self._client = client
        self._missing = dict.fromkeys(wanted)
        self._refusals: dict[str, RequestRefused] = {}

    def listed(
        self, batches: Iterator[object], *, first: Collection[str] = ()
    ) -> Iterator[ProviderBatch]:
        """The batches of the list, as far as it has to be read, then those that are not in it.

        `first` are asked about before, so that none is always behind where the list breaks off.
        """
        try:
            for batch_id in first:
                yield from self._alone(batch_id)
            with suppress(NotListed):
                for batch in batches if self._missing else ():
                    if text_of(batch, "id") in self._missing:
                        yield self._seen(batch)
                    if not self._missing:
                        break
        except OutOfTime as error:
            self._check_refusals(error)
            raise
        yield from self._one_by_one()

    def among(self, known: Sequence[str]) -> Iterator[ProviderBatch]:
        """The same, and what else of the known ids comes by; they stand in the list's order."""
        places = {batch_id: place for place, batch_id in enumerate(known)}
        futile = 0
        try:
            with suppress(NotListed):
                for target in [batch_id for batch_id in self._missing if batch_id in places]:
                    if futile == FUTILE:
                        break
                    if target not in self._missing:
                        continue
                    missing = len(self._missing)
                    yield from self._around(target, known, places)
                    futile += len(self._missing) == missing
                    yield from self._alone(target)
        except OutOfTime as error:
            self._check_refusals(error)
            raise
        yield from self._one_by_one()

    def _around(
        self, target: str, known: Sequence[str], places: dict[str, int]
    ) -> Iterator[ProviderBatch]:
        """The pages from the newest wanted batch that may share one with the target, down to it.

        Other people's batches, and ended ones, take places too: a further page is read as long as
        they bring more than the target alone would.
        """
        place = places[target]
        near = range(max(0, place - PAGE + 1), place + 1)
        start = next(at for at in near if known[at] in self._missing)
        after = known[start - 1] if start else None
        brought = PAGE
        while target in self._missing and brought > 1:
            try:
                entries, after = self._client.batch_page(_CALL, after)
            except CursorGone:
                return
            ours = [batch for batch in entries if text_of(batch, "id") in places]
            brought = sum(text_of(batch, "id") in self._missing for batch in ours)
            for batch in ours:
                yield self._seen(batch)
            if after is None:
                return

    def _one_by_one(self) -> Iterator[ProviderBatch]:
        try:
            for batch_id in sorted(self._missing):
                yield from self._alone(batch_id)
        except OutOfTime as error:
            self._check_refusals(error)
            raise
        self._check_refusals(None)

    def _alone(self, batch_id: str) -> Iterator[ProviderBatch]:
        if batch_id not in self._missing:
            return
        try:
            found = self._client.retrieve(batch_id)
        except RequestRefused as refusal:
            self._refusals[batch_id] = refusal
        else:
            yield found
        del self._missing[batch_id]

    def _seen(self, batch: object) -> ProviderBatch:
        found = self._client.describe(_CALL, batch)
        self._missing.pop(found.id, None)
        return found

    def _check_refusals(self, cause: Exception | None) -> None:
        """Raise BatchUnknown for those that the provider does not know."""
        if self._refusals:
            first = next(iter(self._refusals.values()))
            raise BatchUnknown(
                f"cannot follow {', '.join(self._refusals)}: {first.message}",
                ids=set(self._refusals),
            ) from cause or first
