"""What a person reads beside a materialization. Text of rows and answers is shown as plain text."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from batch_assets.domain.batch import Batch
from batch_assets.domain.progress import Progress
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest
from batch_assets.stages.export import Bundle
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.submit import Submission

#: Longest text of one table cell; the whole text is in the files.
_LONGEST_CELL = 300


def requests_metadata(manifest: Manifest, files: Files) -> Mapping[str, Any]:
    """Counts, the quote and the shards of a request set."""
    return {
        "dagster/row_count": manifest.items,
        "requests": manifest.requests,
        "duplicates": manifest.duplicates,
        "oversize": manifest.oversize,
        "estimated_prompt_tokens": manifest.tokens,
        "token_estimate": manifest.token_method,
        "request_set": manifest.digest,
        "model": manifest.model,
        "source": dg.MetadataValue.path(manifest.source_ref),
        "shards": _table(
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


def batches_metadata(submission: Submission) -> Mapping[str, Any]:
    """What was sent, what waits, and each batch."""
    return {
        "sent_now": submission.sent,
        "waiting": len(submission.waiting),
        "batches": _batches_table(submission.batches),
        "request_set": submission.request_set.digest,
    }


def pending_metadata(progress: Progress, batches: Sequence[Batch]) -> Mapping[str, Any]:
    """What an observation of a partition that is on its way says."""
    return {"progress": str(progress), "batches": _batches_table(batches)}


def raw_outputs_metadata(
    resolution: Resolution, batches: Sequence[Batch], paths: Sequence[str]
) -> Mapping[str, Any]:
    """The provider's files, and the lines in them that are nobody's answer."""
    return {
        "batches": _batches_table(batches),
        "files": _table({"file": path} for path in paths),
        "foreign_lines": resolution.lines.foreign,
        "duplicate_lines": resolution.lines.duplicate,
    }


def results_metadata(resolution: Resolution, schema: pa.Schema, url: str) -> Mapping[str, Any]:
    """Rows, coverage, outcomes, tokens, and a few rows to look at."""
    summary = resolution.summary
    usage = summary.usage
    reasons = [
        {"outcome": outcome, "reason": _cell(reason), "items": count}
        for (outcome, reason), count in summary.reasons.most_common(20)
    ]
    metadata: dict[str, Any] = {
        "dagster/row_count": summary.items,
        "dagster/uri": url,
        "dagster/column_schema": _column_schema(schema),
        "coverage": summary.coverage,
        "outcomes": _table(
            {"outcome": outcome, "items": count}
            for outcome, count in summary.outcomes.most_common()
        ),
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "tokens_per_item": (usage.input_tokens + usage.output_tokens) / max(summary.items, 1),
        "waves": resolution.request_set.wave + 1,
        "request_set": resolution.manifest.digest,
        "sample": _table(
            {name: _cell(value) for name, value in row.items()} for row in summary.sample
        ),
    }
    if reasons:
        metadata["failures"] = _table(reasons)
    return metadata


def bundle_metadata(folder: str, bundle: Bundle) -> Mapping[str, Any]:
    """Where the bundle lies and what is in it."""
    return {
        "folder": dg.MetadataValue.path(folder),
        "files": _table(
            {"file": file.path, "bytes": file.bytes, "sha256": file.sha256} for file in bundle.files
        ),
        "bytes": bundle.bytes,
    }


def _batches_table(batches: Sequence[Batch]) -> dg.MetadataValue[Any]:
    return _table(
        {
            "batch": int(batch.id),
            "wave": batch.wave,
            "shard": batch.shard,
            "attempt": batch.attempt,
            "state": batch.state.value,
            "provider_id": batch.provider_id or "",
            "provider_status": batch.provider_status or "",
            "requests": batch.reservation.requests,
            "prompt_tokens": batch.reservation.tokens,
            "reason": _cell(batch.reason),
        }
        for batch in batches
    )


def _table(rows: Any) -> dg.MetadataValue[Any]:
    records = [dg.TableRecord(row) for row in rows]
    if not records:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.table(records)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


def _column_schema(schema: pa.Schema) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[dg.TableColumn(name=field.name, type=str(field.type)) for field in schema]
    )
