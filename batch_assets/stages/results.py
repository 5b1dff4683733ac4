"""The results of a partition: their columns, and what a person wants to know of them at once."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.domain.outcome import Outcome
from batch_assets.domain.usage import Usage
from batch_assets.files.manifest import Manifest
from batch_assets.files.parquet import ParquetSink
from batch_assets.stages.counts import TOKENS, WaveCounts, outcomes_in, usage_in
from batch_assets.stages.earlier import EarlierResults
from batch_assets.stages.samples import SAMPLE_ITEMS

#: Distinct reasons that are counted each for itself; providers word some of them for each item.
MOST_REASONS = 1000
OTHER_REASONS = "other reasons"

#: Columns of the results that come from the verdict, in their order.
_FROM_VERDICT = (
    "outcome",
    "error_code",
    "error_message",
    "output",
    "answer",
    "model",
    "finish_reason",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "logprobs",
    "attempts",
    "executions",
    "wave",
    "batch_id",
    "reused_from",
)

#: Columns of the results that come from the item index.
_FROM_ITEM = (
    "item_id",
    "item_index",
    "is_duplicate",
    "source_ref",
    "source_item_index",
    "source_primary_key",
    "source_namespace",
)


#: What each column of the results holds.
COLUMNS: Mapping[str, str] = {
    "item_id": "The item's own key in the corpus.",
    "outcome": "ok, or why there is no answer to use: invalid, refused, truncated, errored, …",
    "error_code": "The provider's code of the error.",
    "error_message": "Why the outcome is not ok.",
    "output": "The answer as the output type; null unless the outcome is ok.",
    "answer": "The answer as the model wrote it.",
    "model": "The model that answered, as it calls itself.",
    "finish_reason": "Why the model stopped writing.",
    "input_tokens": "Tokens of the prompts of all waves, cached ones included.",
    "cached_tokens": "Those of them that the provider had in its cache.",
    "output_tokens": "Tokens of the answers of all waves, reasoning included.",
    "reasoning_tokens": "Those of them that are reasoning.",
    "cache_write_tokens": "Tokens of the prompts that were written to the provider's cache for "
    "some minutes; null where it does not tell.",
    "cache_write_1h_tokens": "The same for an hour.",
    "logprobs": "Log probabilities as JSON, where they were asked for.",
    "attempts": "How often the item was asked; times that were nobody's fault do not count.",
    "executions": "Answers that came back from the model, each paid for.",
    "wave": "The wave that gave the outcome, from 0; null where it was carried over.",
    "batch_id": "The provider's id of the batch that gave the outcome.",
    "reused_from": "Request set that the answer was carried over from, at no cost.",
    "is_duplicate": "Whether an earlier item of the partition has the same request: tokens and "
    "executions stand there.",
    "fingerprint": "Digest of what determines the answer.",
    "request_set": "Digest of the request set.",
    "partition_key": "The partition of the corpus.",
    "item_index": "The item's place in its partition, from 0.",
    "source_ref": "File, query or asset that the item is from.",
    "source_item_index": "The item's place in that source, from 0.",
    "source_primary_key": "The item's key in that source.",
    "source_namespace": "Name of that source in a corpus of several.",
}


def results_schema(arrow_type: pa.DataType) -> pa.Schema:
    """One row per item, in the corpus's order, which `item_index` counts from 0.

    `output` is the answer as the output type, null unless the outcome is ok; `answer` is the text
    as the model wrote it; `logprobs`, where they were asked for, are their JSON. `attempts` is how
    often the item was asked; times that failed for the account's sake, or were cancelled, do not
    count. `executions`, the answers that came back from the model, and tokens are those of all
    waves, and stand with the first of the items that share a request, so that their sum is what is
    paid for. `reused_from` is the request set whose answer was carried over, at no cost.
    """
    return pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("outcome", pa.string(), nullable=False),
            pa.field("error_code", pa.string()),
            pa.field("error_message", pa.string()),
            pa.field("output", arrow_type),
            pa.field("answer", pa.large_string()),
            pa.field("model", pa.string()),
            pa.field("finish_reason", pa.string()),
            pa.field("input_tokens", pa.int64()),
            pa.field("cached_tokens", pa.int64()),
            pa.field("output_tokens", pa.int64()),
            pa.field("reasoning_tokens", pa.int64()),
            pa.field("cache_write_tokens", pa.int64()),
            pa.field("cache_write_1h_tokens", pa.int64()),
            pa.field("logprobs", pa.large_string()),
            pa.field("attempts", pa.int16(), nullable=False),
            pa.field("executions", pa.int16(), nullable=False),
            pa.field("wave", pa.int16()),
            pa.field("batch_id", pa.string()),
            pa.field("reused_from", pa.string()),
            pa.field("is_duplicate", pa.bool_(), nullable=False),
            pa.field("fingerprint", pa.string(), nullable=False),
            pa.field("request_set", pa.string(), nullable=False),
            pa.field("partition_key", pa.string(), nullable=False),
            pa.field("item_index", pa.int64(), nullable=False),
            pa.field("source_ref", pa.string(), nullable=False),
            pa.field("source_item_index", pa.int64(), nullable=False),
            pa.field("source_primary_key", pa.string(), nullable=False),
            pa.field("source_namespace", pa.string()),
        ]
    )


@dataclass(kw_only=True)
class Summary:
    """Counts over the results of one partition."""

    items: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    #: Answers of the model that are paid for.
    executions: int = 0
    #: Items whose answer was carried over.
    reused: int = 0
    #: What each wave asked, by requests.
    waves: list[WaveCounts] = field(default_factory=list)
    #: Why items are not ok: (outcome, code or message) and how many.
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: A few rows for a person to look at.
    sample: list[dict[str, Any]] = field(default_factory=list)

    @property
    def coverage(self) -> float:
        """Share of the items whose outcome is ok."""
        return self.outcomes[Outcome.OK] / self.items if self.items else 0.0

    def count(self, rows: pa.RecordBatch) -> None:
        """Take in rows of the results."""
        self.items += rows.num_rows
        self.outcomes += outcomes_in(rows)
        self.usage += usage_in(rows)
        self.executions += pc.sum(rows.column("executions")).as_py() or 0
        self.reused += rows.num_rows - rows.column("reused_from").null_count
        failed = rows.filter(pc.not_equal(rows.column("outcome"), Outcome.OK.value))
        columns = ("outcome", "error_code", "error_message")
        for outcome, code, message in zip(
            *(failed.column(name).to_pylist() for name in columns), strict=True
        ):
            reason = (outcome, code or message or "")
            if reason not in self.reasons and len(self.reasons) >= MOST_REASONS:
                reason = (outcome, OTHER_REASONS)
            self.reasons[reason] += 1
        if len(self.sample) < SAMPLE_ITEMS:
            shown = rows.select(["item_id", "outcome", "answer", "error_message"])
            self.sample += shown.slice(0, SAMPLE_ITEMS - len(self.sample)).to_pylist()


class ResultsSink:
    """Joins items with their verdicts and writes them as results."""

    def __init__(
        self,
        manifest: Manifest,
        arrow_type: pa.DataType,
        parquet: ParquetSink,
        earlier: EarlierResults | None = None,
    ) -> None:
        self._manifest = manifest
        self._schema = results_schema(arrow_type)
        self._parquet = parquet
        self._earlier = earlier
        self.summary = Summary()

    def write(self, items: pa.RecordBatch, verdicts: pa.RecordBatch) -> None:
        """Write the items, each beside the verdict on its request, null where it is oversize."""
        length = items.num_rows
        duplicate = items.column("is_duplicate")
        columns = {name: verdicts.column(name) for name in _FROM_VERDICT}
        columns["outcome"] = pc.fill_null(columns["outcome"], Outcome.OVERSIZE.value)
        for name in TOKENS:
            columns[name] = pc.if_else(duplicate, pa.scalar(None, pa.int64()), columns[name])
        none = pa.scalar(0, pa.int16())
        columns["attempts"] = pc.fill_null(columns["attempts"], none)
        executions = pc.fill_null(columns["executions"], none)
        columns["executions"] = pc.if_else(duplicate, none, executions)
        fingerprints = [value.hex() for value in items.column("fingerprint").to_pylist()]
        manifest = self._manifest
        columns |= {
            "fingerprint": pa.array(fingerprints, pa.string()),
            "request_set": pa.repeat(manifest.digest, length),
            "partition_key": pa.repeat(manifest.partition_key, length),
            **{name: items.column(name) for name in _FROM_ITEM},
        }
        rows = pa.RecordBatch.from_arrays(
            [columns[name] for name in self._schema.names], schema=self._schema
        )
        self._parquet.write(rows)
        if self._earlier is not None:
            self._earlier.compare(rows)
        self.summary.count(rows)
