"""Replies of OpenAI's Batch API in our own words.

The SDK builds its models without checking them (`_models.py: construct`), so a field can hold
anything or be absent, and only what `Batch` in OpenAI's specification requires is required here.
Compatible servers send times as strings, errors as a plain list, and "" for a file that is not.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from batch_assets.domain.batch import BatchProblem
from batch_assets.domain.provider import KEY_METADATA, Phase, ProviderBatch
from batch_assets.domain.usage import Usage

#: Every status of `types/batch.py` (openai-python 3.54); `cancelling` lasts up to ten minutes.
PHASES = {
    "validating": Phase.OPEN,
    "in_progress": Phase.OPEN,
    "finalizing": Phase.OPEN,
    "cancelling": Phase.OPEN,
    "completed": Phase.ENDED,
    "failed": Phase.ENDED,
    "expired": Phase.ENDED,
    "cancelled": Phase.ENDED,
}


class Unreadable(ValueError):
    """A reply came, and it does not hold what the API promises."""


class NotListed(LookupError):
    """The server has no such list: it speaks a part of the API only."""


class CursorGone(LookupError):
    """The list cannot be entered there: the server knows the cursor's batch or file no more."""


def described(batch: object) -> ProviderBatch:
    """The batch of a reply, a model of the SDK. Raises Unreadable without id, status or time."""
    status = required_text(batch, "status")
    counts = field_of(batch, "request_counts")
    return ProviderBatch(
        id=required_text(batch, "id"),
        phase=PHASES.get(status, Phase.UNKNOWN),
        status=status,
        created_at=_moment(batch),
        key=key_of(batch),
        input_file_id=text_of(batch, "input_file_id"),
        output_file_id=text_of(batch, "output_file_id"),
        error_file_id=text_of(batch, "error_file_id"),
        completed=_number(field_of(counts, "completed")),
        failed=_number(field_of(counts, "failed")),
        total=_number(field_of(counts, "total")),
        problems=_problems(field_of(batch, "errors")),
        usage=_usage(field_of(batch, "usage")),
    )


def key_of(batch: object) -> str | None:
    """The key that we gave the batch in its metadata."""
    return text_of(field_of(batch, "metadata"), KEY_METADATA)


def created_at(entry: object) -> int | None:
    """Unix seconds."""
    return _number(field_of(entry, "created_at"))


def field_of(value: object, name: str) -> object:
    """The field of a model of the SDK or of plain JSON; None where there is none."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def text_of(value: object, name: str) -> str | None:
    """The field where it is a text that is not empty."""
    found = field_of(value, name)
    return found if isinstance(found, str) and found else None


def required_text(reply: object, name: str) -> str:
    """A field that the API promises. Raises Unreadable without it."""
    text = text_of(reply, name)
    if text is None:
        raise Unreadable(f"the reply has no {name}")
    return text


def check_length(headers: Mapping[str, str], received: int) -> None:
    """Raise Unreadable unless as many bytes came as the reply announced.

    The HTTP client checks a plain reply itself. It does not where a proxy sends it in chunks and
    keeps the header. The length of an encoded reply is that of its encoded form: not compared.
    """
    announced = _number(headers.get("content-length"))
    if announced not in (None, received) and "content-encoding" not in headers:
        raise Unreadable(f"{received:,} bytes came of {announced:,} announced")


def check_whole(file: object, received: int) -> None:
    """Raise Unreadable where less came than the server says the file has.

    More is let pass: a server that does not count says 0.
    """
    size = _number(field_of(file, "bytes"))
    if size is not None and received < size:
        raise Unreadable(f"{received:,} bytes came of a file of {size:,}")


def _moment(batch: object) -> datetime:
    seconds = created_at(batch)
    if seconds is None:
        raise Unreadable("the reply has no created_at")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError) as error:
        raise Unreadable(f"created_at is {seconds}, which is no time in seconds") from error


def _problems(errors: object) -> tuple[BatchProblem, ...]:
    entries = errors if isinstance(errors, list) else field_of(errors, "data")
    if not isinstance(entries, list):
        return ()
    return tuple(
        BatchProblem(
            code=text_of(entry, "code"),
            message=text_of(entry, "message"),
            line=_number(field_of(entry, "line")),
        )
        for entry in entries
    )


def _usage(usage: object) -> Usage | None:
    """None for batches made before 2025-09-07, which report none (`types/batch_usage.py`)."""
    if usage is None:
        return None
    of_input = field_of(usage, "input_tokens_details")
    of_output = field_of(usage, "output_tokens_details")
    return Usage(
        input_tokens=_number(field_of(usage, "input_tokens")) or 0,
        cached_tokens=_number(field_of(of_input, "cached_tokens")) or 0,
        output_tokens=_number(field_of(usage, "output_tokens")) or 0,
        reasoning_tokens=_number(field_of(of_output, "reasoning_tokens")) or 0,
    )


def _number(value: object) -> int | None:
    if not isinstance(value, int | float | str):
        return None
    try:
        return int(float(value))
    except (OverflowError, ValueError):
        return None
