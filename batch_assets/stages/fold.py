"""Folds what a provider returned into one verdict per request, shard by shard.

A fold is dense: row i is the request of ordinal `first + i`, whatever order the lines came in and
whichever of them are missing, twice there or not ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.domain.batch import Batch
from batch_assets.domain.outcome import Failure, Outcome
from batch_assets.domain.request import custom_id_prefix, ordinal_of
from batch_assets.domain.shard import Shard
from batch_assets.domain.wave import UNCOUNTED, counts_as_attempt
from batch_assets.files import Files, RequestSetLayout
from batch_assets.prompt.answers import AnswerLine, Verdict
from batch_assets.stages.asked import Asked, Ordinals, asked_by
from batch_assets.stages.counts import TOKENS, LineCounts, ProviderCounts, WaveCounts
from batch_assets.stages.raw import (
    CarriedLine,
    RawFile,
    blocks,
    decode_carried,
    raw_files,
)
from batch_assets.stages.recipe import Recipe
from batch_assets.stages.unanswered import (
    HELD_BACK,
    failure_of_cancelled,
    verdict_on_the_rest,
    verdicts_on_lines,
)

Flags = npt.NDArray[np.bool_]

#: Columns that add up over the waves.
_SUMMED = (*TOKENS, "executions", "attempts", "uncounted")


def verdict_schema(arrow_type: pa.DataType) -> pa.Schema:
    """Columns of a fold: a verdict's fields, then how often and where it was asked last."""
    return pa.schema(
        [
            ("outcome", pa.string()),
            ("failure", pa.string()),
            ("error_code", pa.string()),
            ("error_message", pa.string()),
            ("answer", pa.large_string()),
            ("output", arrow_type),
            ("model", pa.string()),
            ("finish_reason", pa.string()),
            ("input_tokens", pa.int64()),
            ("cached_tokens", pa.int64()),
            ("output_tokens", pa.int64()),
            ("reasoning_tokens", pa.int64()),
            ("cache_write_tokens", pa.int64()),
            ("cache_write_1h_tokens", pa.int64()),
            ("executions", pa.int16()),
            ("logprobs", pa.large_string()),
            # Times it was asked and that counted, and times that did not.
            ("attempts", pa.int16()),
            ("uncounted", pa.int16()),
            ("wave", pa.int16()),
            ("batch_id", pa.string()),
            # Digest of the request set that the answer was carried over from.
            ("reused_from", pa.string()),
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Collected:
    """One shard of one wave, with the batch whose raw outputs are in the store."""

    shard: Shard
    #: None where the request set was cancelled before the shard was sent.
    batch: Batch | None


class _Window:
    """The requests of one shard of wave 0, as one wave is folded over them."""

    def __init__(self, low: int, asked: Flags) -> None:
        self.low = low
        self.asked = asked
        size = len(asked)
        #: Which row of those collected so far each request's verdict is; -1 where there is none.
        self.row_of: Ordinals = np.full(size, -1, dtype=np.int64)
        self.rows = 0
        self._rank: npt.NDArray[np.int8] = np.zeros(size, dtype=np.int8)
        self._words: Ordinals = np.zeros(size, dtype=np.int64)

    def begins(self, shard: Shard) -> bool:
        """Whether this is the first of the windows that the shard overlaps."""
        return self.low <= shard.first_ordinal < self.low + len(self.asked)

    def holds(self, ordinal: int) -> bool:
        """Whether the request of that ordinal has its place in the window."""
        return 0 <= ordinal - self.low < len(self.asked)

    def places(self, ordinals: Ordinals) -> Ordinals:
        """Where those of the ordinals that are in the window have their place."""
        places = ordinals - self.low
        return places[(places >= 0) & (places < len(self.asked))]

    def take(self, place: int, verdict: Verdict, row: int, counts: LineCounts) -> bool:
        """Whether the verdict is the request's from now on.

        Of several, a valid answer comes before another answer, any answer before an error, and
        else the first before the later: what was paid for is never lost to a line beside it.
        """
        rank = 0 if verdict.outcome is Outcome.OK else 2 - verdict.executions
        words = hash((verdict.outcome, verdict.error_code, verdict.answer))
        if self.row_of[place] >= 0:
            counts.duplicate += 1
            counts.contradictory += bool(words != self._words[place])
            if rank >= self._rank[place]:
                return False
        self.row_of[place], self._rank[place], self._words[place] = row, rank, words
        return True


class Folder:
    """Folds the shards of one request set."""

    def __init__(
        self,
        recipe: Recipe,
        files: Files,
        layout: RequestSetLayout,
        *,
        is_wave_zero_sent: bool,
        steps: Sequence[Sequence[int]] = (),
    ) -> None:
        """`steps` are, for each wave, the prompt tokens from which on a request has other unit
        prices; one that is not told has one price.
        """
        self._endpoint = recipe.endpoint
        self._packing = recipe.packing
        self._is_wave_zero_sent = is_wave_zero_sent
        self._files = files
        self._layout = layout
        self._prefix = custom_id_prefix(layout.digest)
        self._schema = verdict_schema(recipe.endpoint.arrow_type)
        #: Of shards of later waves that are not behind the fold yet.
        self._asked_by: dict[str, Asked] = {}
        self.counts = LineCounts()
        self.provider_counts = ProviderCounts()
        self.waves: list[WaveCounts] = []
        self._steps = steps
        #: What was read of the provider's files, by their paths.
        self.read: dict[str, RawFile] = {}

    def fold(self, first: Collected, later: Sequence[Sequence[Collected]]) -> pa.Table:
        """The last verdict on each request of a shard of wave 0, with what all waves used.

        `later` holds, for each further wave, its shards that overlap this one. Shards of wave 0
        are folded in their order.
        """
        low, high = first.shard.first_ordinal, first.shard.last_ordinal
        self._forget_all_but(later)
        asked: Flags = np.ones(high - low + 1, dtype=np.bool_)
        if self._is_wave_zero_sent:
            verdicts = self._fold_wave(0, [first], _Window(low, asked))
        else:
            verdicts = self._carried_over(first.shard)
        for number, wave in enumerate(later, start=1):
            if wave:
                asked = self._asked(wave, low, len(asked))
                found = self._fold_wave(number, wave, _Window(low, asked))
                verdicts = _merged(verdicts, found, asked)
        return verdicts.combine_chunks()

    def _asked(self, wave: Sequence[Collected], low: int, size: int) -> Flags:
        """Which requests from `low` on the wave asked."""
        window = _Window(low, np.zeros(size, dtype=np.bool_))
        for collected in wave:
            window.asked[window.places(self._asked_in(collected.shard).ordinals)] = True
        return window.asked

    def _asked_in(self, shard: Shard) -> Asked:
        found = self._asked_by.get(shard.path)
        if found is None:
            found = asked_by(self._files, shard, self._prefix, self._packing)
            self._asked_by[shard.path] = found
        return found

    def _forget_all_but(self, later: Sequence[Sequence[Collected]]) -> None:
        wanted = {collected.shard.path for wave in later for collected in wave}
        self._asked_by = {path: each for path, each in self._asked_by.items() if path in wanted}

    def _fold_wave(self, number: int, wave: Sequence[Collected], window: _Window) -> pa.Table:
        """One row for each request of the window; rows that were not asked mean nothing."""
        batches: list[pa.RecordBatch] = []
        for collected in wave:
            if collected.batch is not None:
                batches.extend(self._judged(collected.shard, collected.batch, window))
        batches.extend([self._unanswered(collected, window) for collected in wave])
        # Requests between two shards were not asked; any row will do for them.
        window.row_of[window.row_of < 0] = 0
        rows = pa.array(window.row_of)
        verdicts = pa.Table.from_batches(batches, self._schema).take(rows)
        self._count(number, verdicts.filter(pa.array(window.asked)))
        return verdicts

    def _count(self, number: int, verdicts: pa.Table) -> None:
        while len(self.waves) <= number:
            steps = self._steps[len(self.waves) :]
            self.waves.append(WaveCounts(steps=steps[0] if steps else (0,)))
        self.waves[number].add(verdicts)

    def _carried_over(self, shard: Shard) -> pa.Table:
        """A row for each request of the shard: what was carried over; the rest is asked later."""
        row_of = np.zeros(shard.last_ordinal - shard.first_ordinal + 1, dtype=np.int64)
        unasked = self._rows([HELD_BACK], attempts=0, wave=None)
        rows, batches = 1, [unasked]
        path = self._layout.carried(shard.number)
        for block in blocks(self._files, path) if self._files.exists(path) else ():
            lines = [decode_carried(line) for line in block.rstrip(b"\n").split(b"\n")]
            found = self._packing.judge_carried([bytes(each.line) for each in lines])
            verdicts = [_unpaid(verdict) for verdict in found]
            places = np.array([line.ordinal - shard.first_ordinal for line in lines])
            row_of[places] = np.arange(rows, rows + len(lines))
            rows += len(lines)
            made = self._rows(verdicts, attempts=0, wave=None)
            batches.append(_from_sources(made, lines))
        rows_in_order = pa.Table.from_batches(batches, self._schema).take(pa.array(row_of))
        self._count(0, rows_in_order.filter(pa.array(row_of > 0)))
        return rows_in_order

    def _judged(self, shard: Shard, batch: Batch, window: _Window) -> Iterator[pa.RecordBatch]:
        asked = self._asked_in(shard)
        for path in raw_files(self._layout, batch):
            size = lines = 0
            for block in blocks(self._files, path):
                size += len(block)
                lines += block.count(b"\n") + (not block.endswith(b"\n"))
                kept: list[Verdict] = []
                for line in self._endpoint.read_lines(block):
                    ordinals = self._ordinals_of(line, shard, asked, window)
                    if not ordinals:
                        continue
                    begins = window.holds(ordinals[0])
                    if begins and window.row_of[ordinals[0] - window.low] < 0:
                        self.provider_counts.take(batch, is_completed=line.is_completed)
                    judged = self._packing.judge(line, ordinals)
                    if begins:
                        self.counts.foreign += judged.foreign
                        self.counts.duplicate += judged.duplicate
                    for ordinal, found in zip(ordinals, judged.verdicts, strict=True):
                        verdict = _as_ordered(found, batch)
                        place = ordinal - window.low
                        if window.holds(ordinal) and window.take(
                            place, verdict, window.rows + len(kept), self.counts
                        ):
                            kept.append(verdict)
                if kept:
                    window.rows += len(kept)
                    yield self._as_batch(kept, shard, batch)
            # The file of a later wave is read once for each window, and is the same each time.
            self.read[path] = RawFile(path=path, bytes=size, lines=lines)

    def _ordinals_of(
        self, line: AnswerLine[Any], shard: Shard, asked: Asked, window: _Window
    ) -> Sequence[int]:
        """The items of the request that a line answers; none where it is none of the window's."""
        ordinal = ordinal_of(line.custom_id or "", self._prefix)
        if ordinal is None or not shard.holds(ordinal):
            # A later wave's shard is read in each window it overlaps, and counted once.
            if window.begins(shard):
                self.counts.unreadable += line.is_unreadable
                self.counts.foreign += not line.is_unreadable
            return ()
        if self._packing.size == 1:
            if not window.holds(ordinal):
                return ()
            if not window.asked[ordinal - window.low]:
                self.counts.foreign += 1
                return ()
            return (ordinal,)
        ordinals: list[int] = asked.of_request(ordinal).tolist()
        if not ordinals:
            self.counts.foreign += window.holds(ordinal)
        return ordinals if any(map(window.holds, ordinals)) else ()

    def _unanswered(self, collected: Collected, window: _Window) -> pa.RecordBatch:
        """Verdicts on a shard's requests that no line answered."""
        shard, batch = collected.shard, collected.batch
        verdicts = [verdict_on_the_rest(shard, batch)]
        asked = self._asked_in(shard)
        of_lines = {} if batch is None else verdicts_on_lines(shard, batch)
        for line, verdict in of_lines.items():
            for place in window.places(asked.of_line(line - 1)):
                if window.row_of[place] < 0:
                    window.row_of[place] = window.rows + len(verdicts)
                    verdicts.append(verdict)
        places = window.places(asked.ordinals)
        window.row_of[places[window.row_of[places] < 0]] = window.rows
        window.rows += len(verdicts)
        return self._as_batch(verdicts, shard, batch)

    def _as_batch(
        self, verdicts: Sequence[Verdict], shard: Shard, batch: Batch | None
    ) -> pa.RecordBatch:
        provider_id = None if batch is None else batch.provider_id
        return self._rows(verdicts, attempts=1, wave=shard.wave, batch_id=provider_id)

    def _rows(
        self,
        verdicts: Sequence[Verdict],
        *,
        attempts: int,
        wave: int | None,
        batch_id: str | None = None,
    ) -> pa.RecordBatch:
        """The verdicts as rows; those whose failure is nobody's fault used up no attempt."""
        size = len(verdicts)
        columns = [list(column) for column in zip(*verdicts, strict=True)]
        columns.append([attempts * counts_as_attempt(verdict.failure) for verdict in verdicts])
        columns.append([int(verdict.failure in UNCOUNTED) for verdict in verdicts])
        columns += [[wave] * size, [batch_id] * size, [None] * size]
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _from_sources(rows: pa.RecordBatch, lines: Sequence[CarriedLine]) -> pa.RecordBatch:
    """The rows with the batches and request sets that their lines are from."""
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    columns["batch_id"] = pa.array([line.batch_id for line in lines], pa.string())
    columns["reused_from"] = pa.array([line.request_set for line in lines], pa.string())
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=rows.schema)


def _unpaid(verdict: Verdict) -> Verdict:
    """The verdict on an answer that was paid for in another request set."""
    return verdict._replace(
        input_tokens=None,
        cached_tokens=None,
        output_tokens=None,
        reasoning_tokens=None,
        cache_write_tokens=None,
        cache_write_1h_tokens=None,
        executions=0,
    )


def _as_ordered(verdict: Verdict, batch: Batch) -> Verdict:
    """The verdict, which knows whether it was we who cancelled the batch, and what for."""
    if verdict.failure is Failure.CANCELLED:
        return verdict._replace(failure=failure_of_cancelled(batch))
    return verdict


def _merged(earlier: pa.Table, later: pa.Table, asked: Flags) -> pa.Table:
    """The later verdict where there is one; what both used is added up."""
    rows = np.arange(len(asked))
    both = pa.concat_tables([earlier, later])
    merged = both.take(pa.array(np.where(asked, rows + len(asked), rows))).combine_chunks()
    for name in _SUMMED:
        before, last = earlier.column(name), merged.column(name)
        used = pc.coalesce(pc.add(before, last), last, before)
        place = merged.schema.get_field_index(name)
        used = pc.if_else(pa.array(asked), used, before)
        merged = merged.set_column(place, merged.schema.field(place), used)
    return merged
