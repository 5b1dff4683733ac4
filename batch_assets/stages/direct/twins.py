"""twins: files of the same requests, whose batches would be paid for twice."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from batch_assets.domain.batch_key import content_of
from batch_assets.domain.errors import RequestRefused
from batch_assets.domain.provider import Provider, ProviderBatch
from batch_assets.stages.direct.wanted import Wanted, is_void
from batch_assets.stages.read_back import read_back

#: For so long the answers of an earlier batch are there to be downloaded, at OpenAI by default.
REMEMBERED = timedelta(days=30)


def without_twins(wanted: Sequence[Wanted], provider: Provider, *, now: datetime) -> list[Wanted]:
    """The same, with a refusal for each whose requests are those of another, or of a batch.

    Of a batch that a person created in the last 30 days, unless it ended and brought nothing. A
    provider that has no list of batches, or keeps no key, tells of none. Raises the other errors
    of `Provider.batches`.
    """
    asked = {content_of(each.key) for each in wanted if each.refusal is None}
    batches = _batches_by_content(provider, now - REMEMBERED) if asked else {}
    first: dict[str | None, Wanted] = {}
    found: list[Wanted] = []
    for each in wanted:
        content = content_of(each.key)
        if each.refusal is None and (batch := batches.get(content)) is not None:
            each = replace(each, refusal=_made_already(batch))
        elif each.refusal is None and (twin := first.setdefault(content, each)) is not each:
            each = replace(each, refusal=_same_as(twin))
        found.append(each)
    return found


def _batches_by_content(provider: Provider, since: datetime) -> Mapping[str | None, ProviderBatch]:
    """The oldest of each content, as a list has them that runs from new to old."""
    found: dict[str | None, ProviderBatch] = {}
    with suppress(RequestRefused):
        for batch in read_back(provider.batches(), since):
            content = None if batch.key is None else content_of(batch.key)
            if content is not None and batch.created_at >= since and not is_void(batch):
                found[content] = batch
    return found


def _made_already(batch: ProviderBatch) -> RequestRefused:
    return RequestRefused(
        f"{batch.id} was made of the same requests at {batch.created_at:%Y-%m-%d %H:%M} UTC, and "
        f"is {batch.status}: give --again to pay for another"
    )


def _same_as(twin: Wanted) -> RequestRefused:
    return RequestRefused(
        f"its requests are those of {twin.name}: give --again to pay for them twice"
    )
