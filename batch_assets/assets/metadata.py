"""What a person reads beside a materialization. Text of rows and answers is shown as plain text."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from batch_assets.assets.tables import (
    batches_table,
    cell,
    difference_table,
    queue_table,
    table,
)
from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.control import Waiting
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest
from batch_assets.stages.advance import Pending
from batch_assets.stages.difference import Difference
from batch_assets.stages.export import Bundle
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.submit import Submission


def requests_metadata(manifest: Manifest, found: Difference, files: Files) -> Mapping[str, Any]:
    """Counts, the quote, what is other than before, and the shards of a request set."""
    return {
        "dagster/row_count": manifest.items,
        "requests": manifest.requests,
        "duplicates": manifest.duplicates,
        "oversize": manifest.oversize,
        "estimated_prompt_tokens": manifest.tokens,
        "token_estimate": manifest.token_method,
        **_difference(found),
        "request_set": manifest.digest,
        "model": manifest.model,
        "source": dg.MetadataValue.path(manifest.source_ref),
        "shards": table(
            {
                "file": files.url(shard.path),
                "requests": shard.requests,
                "bytes": shard.bytes,
                "prompt_tokens": shard.tokens,
                "sha256": shard.sha256,
            }
            for shard in manifest.shards
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
        "batches": batches_table(submission.batches, now),
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
        "batches": batches_table(batches, now),
    }


def _waiting(batches: Sequence[Batch], waiting_for: Waiting | None) -> Mapping[str, Any]:
    return {
        "waiting": sum(batch.state is BatchState.PLANNED for batch in batches),
        "waiting_for": "nothing" if waiting_for is None else waiting_for.kind.value,
        "waiting_reason": "none" if waiting_for is None else waiting_for.reason,
    }


def raw_outputs_metadata(
    resolution: Resolution, batches: Sequence[Batch], paths: Sequence[str], now: datetime
) -> Mapping[str, Any]:
    """The provider's files, and the lines in them that are nobody's answer."""
    return {
        "batches": batches_table(batches, now),
        "files": table({"file": path} for path in paths),
        "foreign_lines": resolution.lines.foreign,
        "duplicate_lines": resolution.lines.duplicate,
    }


def results_metadata(resolution: Resolution, schema: pa.Schema, url: str) -> Mapping[str, Any]:
    """Rows, coverage, outcomes, what each wave brought and cost, and a few rows to look at."""
    summary = resolution.summary
    usage = summary.usage
    carried = resolution.request_set.carried or 0
    reasons = [
        {"outcome": outcome, "reason": cell(reason), "items": count}
        for (outcome, reason), count in summary.reasons.most_common(20)
    ]
    metadata: dict[str, Any] = {
        "dagster/row_count": summary.items,
        "dagster/uri": url,
        "dagster/column_schema": _column_schema(schema),
        "coverage": summary.coverage,
        "reused": summary.reused,
        "reused_requests": carried,
        "outcomes": table(
            {"outcome": outcome, "items": count}
            for outcome, count in summary.outcomes.most_common()
        ),
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "tokens_per_item": (usage.input_tokens + usage.output_tokens) / max(summary.items, 1),
        "executions": summary.executions,
        "waves": table(
            {
                "wave": number,
                # What earlier request sets answered stands for the first wave.
                "what": "carried over" if carried and number == 0 else "asked",
                "requests": wave.requests,
                "ok": wave.ok,
                "not_ok": wave.requests - wave.ok,
                "outcomes": ", ".join(f"{n} {name}" for name, n in wave.outcomes.most_common()),
                "executions": wave.executions,
                "input_tokens": wave.usage.input_tokens,
                "output_tokens": wave.usage.output_tokens,
            }
            for number, wave in enumerate(summary.waves)
        ),
        "contradictory_lines": resolution.lines.contradictory,
        "unreadable_lines": resolution.lines.unreadable,
        "count_mismatches": resolution.lines.count_mismatches,
        "request_set": resolution.manifest.digest,
        "sample": table(
            {name: cell(value) for name, value in row.items()} for row in summary.sample
        ),
    }
    if resolution.changed is not None:
        metadata["changed_rows"] = resolution.changed
    if reasons:
        metadata["failures"] = table(reasons)
    return metadata


def bundle_metadata(folder: str, bundle: Bundle) -> Mapping[str, Any]:
    """Where the bundle lies and what is in it."""
    return {
        "folder": dg.MetadataValue.path(folder),
        "files": table(
            {"file": file.path, "bytes": file.bytes, "sha256": file.sha256} for file in bundle.files
        ),
        "bytes": bundle.bytes,
    }


def _column_schema(schema: pa.Schema) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[dg.TableColumn(name=field.name, type=str(field.type)) for field in schema]
    )
