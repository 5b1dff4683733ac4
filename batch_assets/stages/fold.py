"""Folds what a provider returned into one verdict per request, shard by shard.

A fold is dense: row i is the request of ordinal `first + i`, whatever order the lines came in and
whichever of them are missing, twice there or not ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.domain.batch import Batch
from batch_assets.domain.outcome import Outcome, is_retryable
from batch_assets.domain.request import custom_id_prefix, ordinal_of
from batch_assets.domain.shard import Shard
from batch_assets.files import Files, RequestSetLayout
from batch_assets.prompt.chat_answers import Verdict, judge, read_lines
from batch_assets.prompt.output import OutputType
from batch_assets.stages.recipe import Recipe

#: Bytes of provider output decoded at a time.
_BLOCK = 256 * 1024

Ordinals = npt.NDArray[np.int64]

#: Columns that count what was used.
TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


def verdict_schema(output: OutputType) -> pa.Schema:
    """Columns of a fold: a verdict's fields, and the wave and batch it came from."""
    return pa.schema(
        [
            ("outcome", pa.string()),
            ("retryable", pa.bool_()),
            ("error_code", pa.string()),
            ("error_message", pa.string()),
            ("answer", pa.large_string()),
            ("output", output.arrow_type),
            ("model", pa.string()),
            ("finish_reason", pa.string()),
            ("input_tokens", pa.int64()),
            ("cached_tokens", pa.int64()),
            ("output_tokens", pa.int64()),
            ("reasoning_tokens", pa.int64()),
            ("wave", pa.int16()),
            ("batch_id", pa.string()),
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Collected:
    """One shard of one wave, with the batch whose raw outputs are in the store."""

    shard: Shard
    batch: Batch


@dataclass
class LineCounts:
    """Lines that are nobody's answer; counted, never trusted."""

    #: Lines whose custom_id is not one of the requests asked.
    foreign: int = 0
    #: Further lines for a request that already had one.
    duplicate: int = 0


class Folder:
    """Folds the shards of one request set."""

    def __init__(self, recipe: Recipe, files: Files, layout: RequestSetLayout) -> None:
        self._output = recipe.output
        self._files = files
        self._layout = layout
        self._prefix = custom_id_prefix(layout.digest)
        self._schema = verdict_schema(recipe.output)
        self.counts = LineCounts()

    def fold(self, first: Collected, later: Sequence[Sequence[Collected]]) -> pa.Table:
        """The last verdict on each request of a shard of wave 0, with the tokens of all waves.

        `later` holds, for each further wave, its shards that overlap this one; none where nothing
        of this shard was asked again.
        """
        low, high = first.shard.first_ordinal, first.shard.last_ordinal
        asked = np.ones(high - low + 1, dtype=np.bool_)
        verdicts = self._fold_wave([first], low, asked)
        for wave in filter(None, later):
            asked = verdicts.column("retryable").to_numpy().astype(np.bool_)
            verdicts = _merged(verdicts, self._fold_wave(wave, low, asked), asked)
        return verdicts.combine_chunks()

    def _fold_wave(
        self, wave: Sequence[Collected], low: int, asked: npt.NDArray[np.bool_]
    ) -> pa.Table:
        """One row for each ordinal from `low` on; rows that were not asked mean nothing."""
        row_of: Ordinals = np.full(len(asked), -1, dtype=np.int64)
        batches: list[pa.RecordBatch] = []
        rows = 0
        for collected in wave:
            for verdicts in self._judged(collected, low, asked, row_of, rows):
                batches.append(verdicts)
                rows += verdicts.num_rows
        batches.append(self._unanswered(wave, low, row_of, rows))
        return pa.Table.from_batches(batches, self._schema).take(pa.array(row_of))

    def _judged(
        self,
        collected: Collected,
        low: int,
        asked: npt.NDArray[np.bool_],
        row_of: Ordinals,
        rows: int,
    ) -> Iterator[pa.RecordBatch]:
        batch, shard = collected.batch, collected.shard
        # A later wave's shard is read once for each shard of wave 0 it overlaps, and counted once.
        begins_here = low <= shard.first_ordinal < low + len(asked)
        for path in raw_files(self._layout, batch):
            for block in _blocks(self._files, path):
                kept: list[Verdict] = []
                for line in read_lines(block):
                    ordinal = ordinal_of(line.custom_id or "", self._prefix)
                    if ordinal is None or not shard.holds(ordinal):
                        self.counts.foreign += begins_here
                        continue
                    place = ordinal - low
                    if not 0 <= place < len(asked):
                        continue
                    if not asked[place]:
                        self.counts.foreign += 1
                    elif row_of[place] >= 0:
                        self.counts.duplicate += 1
                    else:
                        row_of[place] = rows + len(kept)
                        kept.append(judge(line, self._output))
                if kept:
                    rows += len(kept)
                    yield self._as_batch(kept, batch)

    def _unanswered(
        self, wave: Sequence[Collected], low: int, row_of: Ordinals, rows: int
    ) -> pa.RecordBatch:
        """A verdict for each batch's requests that no line answered; `row_of` then names it."""
        verdicts = []
        for number, collected in enumerate(wave):
            begin = max(collected.shard.first_ordinal - low, 0)
            end = collected.shard.last_ordinal - low + 1
            part = row_of[begin:end]
            part[part < 0] = rows + number
            verdicts.append(self._as_batch([_unanswered(collected.batch)], collected.batch))
        # Ordinals between two shards were not asked; any row will do for them.
        row_of[row_of < 0] = 0
        return pa.Table.from_batches(verdicts, self._schema).combine_chunks().to_batches()[0]

    def _as_batch(self, verdicts: Sequence[Verdict], batch: Batch) -> pa.RecordBatch:
        columns = [list(column) for column in zip(*verdicts, strict=True)]
        columns.append([batch.wave] * len(verdicts))
        columns.append([batch.provider_id] * len(verdicts))
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def raw_files(layout: RequestSetLayout, batch: Batch) -> list[str]:
    """What is stored of a collected batch's answers. One that is missing is no missing answer."""
    stored = (
        (batch.output_file_id, layout.raw_output(batch)),
        (batch.error_file_id, layout.raw_errors(batch)),
    )
    return [path for file_id, path in stored if file_id is not None]


def _merged(earlier: pa.Table, later: pa.Table, asked: npt.NDArray[np.bool_]) -> pa.Table:
    """The later verdict where there is one; what both used is added up."""
    rows = np.arange(len(asked))
    both = pa.concat_tables([earlier, later])
    merged = both.take(pa.array(np.where(asked, rows + len(asked), rows))).combine_chunks()
    for name in TOKENS:
        before, last = earlier.column(name), merged.column(name)
        used = pc.coalesce(pc.add(before, last), last, before)
        place = merged.schema.get_field_index(name)
        used = pc.if_else(pa.array(asked), used, before)
        merged = merged.set_column(place, merged.schema.field(place), used)
    return merged


def _blocks(files: Files, path: str) -> Iterator[bytes]:
    """The file in blocks that end at a line's end: bytes are split at newlines and nowhere else."""
    rest = b""
    with files.open(path) as source:
        while block := source.read(_BLOCK):
            whole, newline, tail = block.rpartition(b"\n")
            if newline:
                yield rest + whole + newline
                rest = tail
            else:
                rest += block
    if rest:
        yield rest


def _unanswered(batch: Batch) -> Verdict:
    """The verdict on a request that an ended batch returned no line for."""
    match batch.provider_status:
        case "expired":
            outcome, message = Outcome.EXPIRED, "the batch expired before this request ran"
        case "cancelled":
            outcome, message = Outcome.CANCELLED, "the batch was cancelled before this request ran"
        case "failed":
            outcome, message = Outcome.ERRORED, batch.reason or "the provider failed the batch"
        case _:
            outcome, message = Outcome.MISSING, "the provider returned no line for this request"
    return Verdict(
        outcome, is_retryable(outcome, None, batch.error_code), batch.error_code, message
    )
