"""What a person reads beside materialized results; text of rows and answers as plain text.

Numbers that the UI plots over partitions are floats and integers; one that is unknown is left out,
never shown as 0.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
import pyarrow as pa

from batch_assets.assets.money import cost_entries, in_words, known
from batch_assets.assets.tables import first_rows, link, table, whole_seconds
from batch_assets.domain.batch import Batch, RequestSet
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.plain_text import both_ends, cell
from batch_assets.domain.usage import Usage
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.results import COLUMNS, Summary

#: Rows that the tables of an event on results show: it is the longest of all, and written for
#: each partition.
_REASONS_SHOWN = 8
_BATCHES_SHOWN = 5
_WAVES_SHOWN = 10

#: Longest texts of the same: of what was asked and answered, and of what went wrong.
_LONGEST_TEXT = 150
_LONGEST_REASON = 100

_HOUR = timedelta(hours=1)


def results_metadata(resolution: Resolution, schema: pa.Schema, url: str) -> Mapping[str, Any]:
    """Rows, coverage, outcomes, what each wave brought and cost, and a few rows to look at."""
    summary = resolution.summary
    reasons = [
        {"outcome": outcome, "reason": cell(reason, longest=_LONGEST_REASON), "items": count}
        for (outcome, reason), count in summary.reasons.most_common(_REASONS_SHOWN)
    ]
    turnaround = resolution.turnaround
    metadata: dict[str, Any] = {
        "dagster/row_count": summary.items,
        "dagster/uri": url,
        "dagster/column_schema": column_schema(schema),
        "file": link(url),
        **_shares(summary),
        **cost_entries(resolution.bill, summary.items),
        **known("turnaround_hours", None if turnaround is None else turnaround / _HOUR),
        "reused": summary.reused,
        "reused_requests": resolution.request_set.carried or 0,
        "outcomes": table(
            {"outcome": outcome, "items": count}
            for outcome, count in summary.outcomes.most_common()
        ),
        **_tokens(summary),
        "executions": summary.executions,
        **first_rows("waves", _wave_rows(resolution), most=_WAVES_SHOWN),
        **first_rows("batches", map(_batch_row, resolution.batches), most=_BATCHES_SHOWN),
        "contradictory_lines": resolution.lines.contradictory,
        "unreadable_lines": resolution.lines.unreadable,
        "count_mismatches": resolution.lines.count_mismatches,
        "request_set": resolution.manifest.digest,
        "sample": _sample_table(resolution),
    }
    if resolution.changed is not None:
        metadata["changed_rows"] = resolution.changed
    if reasons:
        metadata["failures"] = table(reasons)
    return metadata


def _shares(summary: Summary) -> Mapping[str, float]:
    """Of the items: what is ok, and the outcomes that a prompt or a model is changed for."""
    items = max(summary.items, 1)
    return {
        "coverage": summary.coverage,
        **{
            f"{outcome.value}_share": summary.outcomes[outcome] / items
            for outcome in (Outcome.INVALID, Outcome.REFUSED, Outcome.TRUNCATED)
        },
    }


def _tokens(summary: Summary) -> Mapping[str, Any]:
    usage = summary.usage
    return {
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        **_cache_writes(usage),
        "tokens_per_item": (usage.input_tokens + usage.output_tokens) / max(summary.items, 1),
    }


def _cache_writes(usage: Usage) -> Mapping[str, Any]:
    """Where there are any; few providers charge for them."""
    written = {
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
    }
    return {name: tokens for name, tokens in written.items() if tokens}


def _wave_rows(resolution: Resolution) -> Iterator[Mapping[str, Any]]:
    """What each wave brought, used and cost."""
    request_set = resolution.request_set
    bill = resolution.bill
    waves = zip(resolution.summary.waves, bill.waves, bill.prices, strict=False)
    for number, (wave, cost, price) in enumerate(waves):
        if number == 0 and not request_set.is_wave_zero_sent and not request_set.carried:
            continue  # a canary went first, and nothing was carried over
        yield {
            "wave": number,
            "what": _what(request_set, number),
            "requests": wave.requests,
            "ok": wave.ok,
            "not_ok": wave.requests - wave.ok,
            "outcomes": ", ".join(f"{n} {name}" for name, n in wave.outcomes.most_common()),
            "executions": wave.executions,
            "input_tokens": wave.usage.input_tokens,
            "output_tokens": wave.usage.output_tokens,
            "cost": "unknown" if cost is None else in_words(cost),
            "price": price.source if price.is_known else price.provenance.value,
        }


def _what(request_set: RequestSet, wave: int) -> str:
    if wave == 0 and not request_set.is_wave_zero_sent:
        return "carried over"
    if request_set.is_live(wave):
        return "stragglers, live"
    released = request_set.released_wave
    is_canary = request_set.canary is not None and (released is None or wave < released)
    return "canary" if is_canary else "asked"


def _batch_row(batch: Batch) -> Mapping[str, Any]:
    """A batch that is done: how long it took from its submission to its end."""
    begin, end = batch.submitted_at, batch.ended_at
    took = "" if begin is None or end is None else whole_seconds(end - begin)
    return {
        "batch": int(batch.id),
        "wave": batch.wave,
        "provider_id": batch.provider_id or "",
        "provider_status": batch.provider_status or "",
        "requests": batch.reservation.requests,
        "took": took,
    }


def _sample_table(resolution: Resolution) -> dg.MetadataValue[Any]:
    """The first items: what was asked about each, and what was answered."""
    return table(
        {
            "item_id": cell(row["item_id"], longest=_LONGEST_REASON),
            "outcome": row["outcome"],
            "prompt": both_ends(asked.prompt, longest=_LONGEST_TEXT),
            "answer": cell(row["answer"], longest=_LONGEST_TEXT),
            "error_message": cell(row["error_message"], longest=_LONGEST_REASON),
        }
        for asked, row in zip(resolution.sample, resolution.summary.sample, strict=True)
    )


def column_schema(schema: pa.Schema) -> dg.TableSchema:
    """The columns of the results, with what each holds."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name,
                type=cell(field.type),
                description=COLUMNS.get(field.name),
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in schema
        ]
    )
