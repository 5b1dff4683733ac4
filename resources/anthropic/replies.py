"""Anthropic's replies in our own words (anthropic 2.12, `types/messages/message_batch.py`).

They are read as plain JSON: the SDK builds its models without checking them.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from batch_assets.domain.provider import Phase, ProviderBatch
from batch_assets.resources.replies import (
    Unreadable,
    field_of,
    required_text,
    text_of,
)

PHASES = {"in_progress": Phase.OPEN, "canceling": Phase.OPEN, "ended": Phase.ENDED}

#: What a request is counted as. All are `processing` until the whole batch has ended.
COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


class _Result(msgspec.Struct):
    custom_id: str


_decode_result = msgspec.json.Decoder(_Result).decode


def described(batch: object) -> ProviderBatch:
    """The batch of a reply. Raises Unreadable without id, status or time.

    Its results are one file, which has the batch's own id. A batch that has ended and has no
    results, nor had any that are archived, is not done with: they come late.
    """
    status = required_text(batch, "processing_status")
    batch_id = required_text(batch, "id")
    phase = PHASES.get(status, Phase.UNKNOWN)
    has_results = text_of(batch, "results_url") is not None
    if phase is Phase.ENDED and not has_results and not is_archived(batch):
        phase = Phase.OPEN
    has_ended = phase is Phase.ENDED
    return ProviderBatch(
        id=batch_id,
        phase=phase,
        status=status,
        created_at=moment(batch, "created_at"),
        output_file_id=batch_id if has_ended and has_results else None,
        completed=_count(batch, "succeeded") if has_ended else None,
        failed=_count(batch, "errored") if has_ended else None,
        total=total_of(batch),
    )


def is_archived(batch: object) -> bool:
    """Whether its results are gone, as they are 29 days after its creation."""
    return text_of(batch, "archived_at") is not None


def total_of(batch: object) -> int | None:
    """How many requests it has: what they are counted as always comes to that."""
    counts = [_count(batch, name) for name in COUNTS]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def moment(batch: object, name: str) -> datetime:
    """A time of the batch's. Raises Unreadable."""
    try:
        found = datetime.fromisoformat(required_text(batch, name))
    except ValueError as error:
        raise Unreadable(f"{name} is no time ({error})") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def custom_ids_in(lines: Sequence[bytes]) -> list[str]:
    """Whose the results are, as far as they can be read. Raises Unreadable where none can be."""
    found: list[str] = []
    for line in lines:
        with suppress(msgspec.DecodeError, ValueError):
            found.append(_decode_result(line).custom_id)
    if not found:
        raise Unreadable("no result can be read")
    return found


def _count(batch: object, name: str) -> int | None:
    count = field_of(field_of(batch, "request_counts"), name)
    return count if isinstance(count, int) else None
