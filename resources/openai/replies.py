"""Replies of OpenAI's Batch API in our own words.

The SDK builds its models without checking them (`_models.py: construct`), so a field can hold
anything or be absent, and only what `Batch` in OpenAI's specification requires is required here.
Compatible servers send times as digits or as ISO text, errors as a plain list or as one text, and
"" for a file that is not.
"""

from datetime import datetime

from batch_assets.domain.batch import BatchProblem
from batch_assets.domain.provider import KEY_METADATA, Phase, ProviderBatch, RemoteFile
from batch_assets.domain.usage import Usage
from batch_assets.resources.openai.profile import OPENAI, Profile
from batch_assets.resources.replies import (
    Unreadable,
    created_at,
    field_of,
    moment_of,
    number_of,
    required_text,
    text_of,
    words_in,
)


def described(reply: object, profile: Profile = OPENAI) -> ProviderBatch:
    """The batch of a reply, a model of the SDK. Raises Unreadable without id, status or time."""
    inner = profile.batch_field and field_of(reply, profile.batch_field)
    batch = inner or reply
    status = required_text(batch, "status")
    counts = field_of(batch, "request_counts")
    return ProviderBatch(
        id=required_text(batch, "id"),
        phase=profile.phases.get(status, Phase.UNKNOWN),
        status=status,
        created_at=_moment(batch),
        key=key_of(batch),
        input_file_id=text_of(batch, "input_file_id"),
        output_file_id=text_of(batch, "output_file_id"),
        error_file_id=text_of(batch, "error_file_id"),
        completed=number_of(field_of(counts, "completed")),
        failed=number_of(field_of(counts, "failed")),
        total=number_of(field_of(counts, "total")),
        problems=_problems(field_of(batch, "errors") or field_of(batch, "error")),
        usage=_usage(field_of(batch, "usage")),
        metadata=words_in(field_of(batch, "metadata")),
    )


def file_described(file: object) -> RemoteFile:
    """A file of a list. Raises Unreadable without an id."""
    seconds = created_at(file)
    return RemoteFile(
        id=required_text(file, "id"),
        name=text_of(file, "filename"),
        bytes=number_of(field_of(file, "bytes")),
        created_at=None if seconds is None else moment_of(seconds),
        purpose=text_of(file, "purpose"),
    )


def key_of(batch: object) -> str | None:
    """The key that we gave the batch in its metadata."""
    return text_of(field_of(batch, "metadata"), KEY_METADATA)


def page_of(reply: object, after: str | None, *, is_whole: bool) -> tuple[list[object], str | None]:
    """The entries of a list's page, and the cursor of the next; None at the end of the list.

    A list that comes whole may be a bare array. Raises Unreadable for what is no list.
    """
    entries = reply if is_whole and isinstance(reply, list) else field_of(reply, "data")
    if not isinstance(entries, list):
        raise Unreadable("the reply is no list" if entries is None else "the reply has no data")
    if is_whole:
        for entry in entries:
            required_text(entry, "id")
        return entries, None
    has_more = field_of(reply, "has_more")
    if has_more is False or (not entries and has_more is None):
        return entries, None
    cursor = required_text(entries[-1] if entries else None, "id")
    if cursor == after:
        raise Unreadable("the list repeats itself")
    return entries, cursor


def _moment(batch: object) -> datetime:
    seconds = created_at(batch)
    if seconds is None:
        raise Unreadable("the reply has no created_at")
    return moment_of(seconds)


def _problems(errors: object) -> tuple[BatchProblem, ...]:
    if isinstance(errors, str) and errors:
        return (BatchProblem(code=None, message=errors),)
    entries = errors if isinstance(errors, list) else field_of(errors, "data")
    if not isinstance(entries, list):
        return ()
    return tuple(
        BatchProblem(
            code=text_of(entry, "code"),
            message=text_of(entry, "message"),
            line=number_of(field_of(entry, "line")),
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
        input_tokens=number_of(field_of(usage, "input_tokens")) or 0,
        cached_tokens=number_of(field_of(of_input, "cached_tokens")) or 0,
        output_tokens=number_of(field_of(usage, "output_tokens")) or 0,
        reasoning_tokens=number_of(field_of(of_output, "reasoning_tokens")) or 0,
    )
