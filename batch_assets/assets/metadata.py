"""What a person reads beside a materialization. Text of rows and answers is shown as plain text."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from batch_assets.assets.money import quote_entries, stragglers_entries
from batch_assets.assets.tables import (
    batches_entries,
    difference_table,
    first_rows,
    link,
    queue_table,
    table,
)
from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.control import Waiting
from batch_assets.domain.plain_text import both_ends, cell
from batch_assets.domain.stragglers import Stragglers
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest
from batch_assets.prompt.envelope import Envelope
from batch_assets.stages.advance import Pending
from batch_assets.stages.difference import Difference
from batch_assets.stages.export import Bundle
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.samples import sample_requests
from batch_assets.stages.submit import Submission


def requests_metadata(
    manifest: Manifest,
    found: Difference,
    files: Files,
    envelope: Envelope,
    stragglers: Stragglers | None = None,
) -> Mapping[str, Any]:
    """Counts, the quote, what is other than before, and the shards of a request set."""
    return {
        "dagster/row_count": manifest.items,
        "requests": manifest.requests,
        "duplicates": manifest.duplicates,
        "oversize": manifest.oversize,
        "estimated_prompt_tokens": manifest.tokens,
        "token_estimate": manifest.token_method,
        **quote_entries(found.quote),
        **stragglers_entries(stragglers, found.live_quote),
        **_difference(found),
        "request_set": manifest.digest,
        "model": manifest.model,
        "source": dg.MetadataValue.path(manifest.source_ref),
        "manifest": link(files.url(manifest.layout.manifest)),
        "sample_prompts": table(
            {"item_id": cell(each.item_id), "prompt": both_ends(each.prompt)}
            for each in sample_requests(files, manifest, envelope)
        ),
        **first_rows(
            "shards",
            (
                {
                    "file": files.url(shard.path),
                    "requests": shard.requests,
                    "bytes": shard.bytes,
                    "prompt_tokens": shard.tokens,
                    "sha256": shard.sha256,
                }
                for shard in manifest.shards
            ),
        ),
    }


def _difference(found: Difference) -> Mapping[str, Any]:
    cost, awaited_from = found.cost, found.cost.awaited_from
    return {
        "items_new": found.new.items,
        "items_changed": found.changed.items,
        "items_unchanged": found.unchanged,
        "items_gone": found.gone.items,
        "reused_requests": cost.reused,
        "awaited_requests": cost.awaited,
        "requests_to_pay": cost.requests,
        "estimated_prompt_tokens_to_pay": cost.tokens,
        "changed_by": found.why or "nothing",
        "compared_with": found.before.digest if found.before else "nothing: it is the first",
        "awaits": "nothing"
        if awaited_from is None
        else f"request set {awaited_from.digest} of partition {awaited_from.partition_key}",
        "difference": difference_table(found),
    }


def batches_metadata(
    submission: Submission, queue: Sequence[Batch], now: datetime
) -> Mapping[str, Any]:
    """What was sent, what waits and why, and each batch."""
    metadata: dict[str, Any] = {
        "sent_now": submission.sent,
        **_waiting(submission.batches, submission.waiting_for),
        **batches_entries(submission.batches, now),
        "request_set": submission.request_set.digest,
    }
    if submission.waiting_for is not None:
        metadata["queue"] = queue_table(queue)
    return metadata


def pending_metadata(
    pending: Pending, batches: Sequence[Batch], now: datetime
) -> Mapping[str, Any]:
    """What an observation of a partition that is on its way says.

    Dagster shows it merged with the materialization before it: what was said there and is not true
    any more is said again.
    """
    return {
        "progress": str(pending.progress),
        "wave": pending.request_set.wave,
        **_waiting(batches, pending.waiting_for),
        **batches_entries(batches, now),
    }


def _waiting(batches: Sequence[Batch], waiting_for: Waiting | None) -> Mapping[str, Any]:
    return {
        "waiting": sum(batch.state is BatchState.PLANNED for batch in batches),
        "waiting_for": "nothing" if waiting_for is None else waiting_for.kind.value,
        "waiting_reason": "none" if waiting_for is None else waiting_for.reason,
    }


def raw_outputs_metadata(
    resolution: Resolution, batches: Sequence[Batch], files: Files, now: datetime
) -> Mapping[str, Any]:
    """The provider's files, and the lines in them that are nobody's answer."""
    found = resolution.raw_files
    return {
        **batches_entries(batches, now),
        "folder": link(files.url(resolution.manifest.layout.raw_outputs)),
        "bytes": sum(file.bytes for file in found),
        "lines": sum(file.lines for file in found),
        **first_rows(
            "files",
            (
                {"file": files.url(file.path), "bytes": file.bytes, "lines": file.lines}
                for file in found
            ),
        ),
        "foreign_lines": resolution.lines.foreign,
        "duplicate_lines": resolution.lines.duplicate,
    }


def bundle_metadata(folder: str, bundle: Bundle) -> Mapping[str, Any]:
    """Where the bundle lies and what is in it."""
    return {
        "folder": link(folder),
        **first_rows(
            "files",
            (
                {"file": file.path, "bytes": file.bytes, "sha256": file.sha256}
                for file in bundle.files
            ),
        ),
        "bytes": bundle.bytes,
    }
