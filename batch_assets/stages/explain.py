"""explain: everything the ledger and the store know of one item, from its row to its cost.

It reads files as they lie there and needs no declaration: what cannot be read any more, since it
was pruned, is left out and named.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow.compute as pc

from batch_assets.domain.batch import Batch, RequestSet
from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.price import Price
from batch_assets.domain.request import custom_id_prefix
from batch_assets.domain.shard import Shard
from batch_assets.domain.usage import Usage
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.files.parquet import stream_parquet
from batch_assets.files.results import request_set_of_results
from batch_assets.ledger import Ledger
from batch_assets.prompt.shown import prompt_text
from batch_assets.stages.counts import TOKENS
from batch_assets.stages.plan import layout_of, shards_of_wave
from batch_assets.stages.raw import decode_carried, raw_files, whole_lines
from batch_assets.stages.terms import terms_of

#: The names by which the providers' batch files have the id and the body of a request.
_IDS = ("custom_id", "key")
_BODIES = ("body", "params", "request")

#: Outcomes that an answer gave: the last one, in the wave that the result names.
_ANSWERED = frozenset({Outcome.OK, Outcome.INVALID, Outcome.REFUSED, Outcome.TRUNCATED})


@dataclass(frozen=True, kw_only=True)
class AskedLine:
    """The request of an item, as it stands in the shard of one wave."""

    wave: int
    shard: int
    #: Of the shard's file, from 1.
    line: int
    bytes: int
    custom_id: str
    body: Mapping[str, Any]

    @property
    def prompt(self) -> str:
        return prompt_text(self.body)


@dataclass(frozen=True, kw_only=True)
class Try:
    """One batch that the item's request was in."""

    batch: Batch
    #: Each line that the provider returned for the request, as it is.
    lines: Sequence[bytes]


@dataclass(frozen=True, kw_only=True)
class Carried:
    """An answer that an earlier request set had."""

    request_set: str
    batch_id: str | None
    line: bytes


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One item of one partition."""

    request_set: RequestSet
    model: str
    endpoint: str
    #: The row of the item index: item_id, lineage, ordinal, is_duplicate.
    item: Mapping[str, Any]
    #: Hex digest of what determines the answer.
    fingerprint: str
    #: The earlier item that has the same request, whose answer this one shares.
    shares_with: str | None
    asked: Sequence[AskedLine]
    tries: Sequence[Try]
    carried: Carried | None
    #: The row of the results; None while there is none.
    result: Mapping[str, Any] | None
    #: USD of all its answers; None where a price or a usage is not known.
    usd: Decimal | None
    #: What could not be read, each with why.
    missing: Sequence[str] = field(default=())


def explain(
    ledger: Ledger, files: Files, inference: str, item_id: str, *, partition_key: str | None = None
) -> Sequence[Explanation]:
    """The item in each partition that has it; none where no partition does."""
    found = []
    for request_set in ledger.request_sets.current_ones(inference):
        if partition_key in (None, request_set.partition_key):
            layout = layout_of(request_set)
            item = _row(files, layout.items, "item_id", item_id)
            if item is not None:
                manifest = read_manifest(files, layout.manifest)
                found.append(_Search(ledger, files, request_set, manifest, item).explanation())
    return found


class _Search:
    """Goes through what is stored of one item's request set."""

    def __init__(
        self,
        ledger: Ledger,
        files: Files,
        request_set: RequestSet,
        manifest: Manifest,
        item: Mapping[str, Any],
    ) -> None:
        self._ledger = ledger
        self._files = files
        self._request_set = request_set
        self._manifest = manifest
        self._item = item
        self._layout = layout_of(request_set)
        self._prefix = custom_id_prefix(request_set.digest)
        self._missing: list[str] = []

    def explanation(self) -> Explanation:
        item, ordinal = self._item, self._item["ordinal"]
        asked: list[AskedLine] = []
        tries: list[Try] = []
        if ordinal is not None:
            for shard in self._shards(ordinal):
                line = self._asked_in(shard, ordinal)
                if line is not None:
                    asked.append(line)
                    tries += self._tries(shard, line.custom_id)
        result = self._result()
        shares = self._first_of(ordinal) if item["is_duplicate"] else None
        return Explanation(
            request_set=self._request_set,
            model=self._manifest.model,
            endpoint=self._manifest.endpoint,
            item={name: value for name, value in item.items() if name != "fingerprint"},
            fingerprint=item["fingerprint"].hex(),
            shares_with=shares,
            asked=asked,
            tries=tries,
            carried=None if ordinal is None else self._carried(ordinal),
            result=result,
            usd=None if result is None else _cost(self._price_of(result, tries), result),
            missing=self._missing,
        )

    def _price_of(self, result: Mapping[str, Any], tries: Sequence[Try]) -> Price | None:
        """What its answers cost; None where a batch may have answered it, too, at another price."""
        is_live = self._request_set.is_live
        if not is_live(result["wave"] or 0):
            return self._manifest.price
        is_answered = result["outcome"] in _ANSWERED
        of_batches = any(each.lines for each in tries if not is_live(each.batch.wave))
        if of_batches and not (is_answered and result["executions"] == 1):
            return None
        try:
            terms = terms_of(self._files, self._layout)
        except ArtifactError as error:
            self._missing.append(error.message)
            return None
        return None if terms is None else terms.price

    def _shards(self, ordinal: int) -> Iterator[Shard]:
        """The shards of each wave that may ask the request."""
        for wave in range(self._request_set.wave + 1):
            for shard in shards_of_wave(self._files, self._manifest, wave):
                if shard.holds(ordinal):
                    yield shard

    @property
    def _is_packed(self) -> bool:
        return "rows_per_request" in self._manifest.shape

    def _asked_in(self, shard: Shard, ordinal: int) -> AskedLine | None:
        """The line of a shard that asks the request; None where none does."""
        wanted = _of_id(self._prefix, ordinal)
        in_pack = b'{\\"id\\":\\"%d\\",' % ordinal
        try:
            with self._files.open(shard.path) as lines:
                for number, line in enumerate(lines, start=1):
                    if wanted.search(line) or (self._is_packed and in_pack in line):
                        return _asked_line(shard, number, line)
        except ArtifactError as error:
            self._missing.append(error.message)
        return None

    def _tries(self, shard: Shard, custom_id: str) -> Iterator[Try]:
        batches = self._ledger.batches(request_set=self._request_set.id, wave=shard.wave)
        ordinal = custom_id.removeprefix(self._prefix)
        for batch in batches:
            if batch.shard == shard.number:
                yield Try(batch=batch, lines=list(self._lines(batch, ordinal)))

    def _lines(self, batch: Batch, ordinal: str) -> Iterator[bytes]:
        """What the provider returned for the request."""
        if not ordinal.isdecimal():
            return
        wanted = _of_id(self._prefix, int(ordinal))
        for path in raw_files(self._layout, batch):
            if not self._files.exists(path):
                if batch.state == "collected":
                    self._missing.append(f"{self._files.url(path)} is not in the store any more")
                continue
            yield from (
                line for line in whole_lines(self._files, path) if wanted.search(line) is not None
            )

    def _carried(self, ordinal: int) -> Carried | None:
        for path in self._files.names(self._layout.carried_folder):
            for raw in whole_lines(self._files, path):
                line = decode_carried(raw)
                if line.ordinal == ordinal:
                    return Carried(
                        request_set=line.request_set,
                        batch_id=line.batch_id,
                        line=bytes(line.line),
                    )
        return None

    def _result(self) -> Mapping[str, Any] | None:
        """The item's row of the results, or the newest of the increments before they are there."""
        files, layout, index = self._files, self._layout, self._item["item_index"]
        if self._request_set.resolved_at is not None and (
            request_set_of_results(files, layout.results) == layout.digest
        ):
            return _row(files, layout.results, "item_index", index)
        for each in reversed(self._ledger.increments.of(self._request_set)):
            found = _row(files, each.path, "item_index", index)
            if found is not None:
                return found
        return None

    def _first_of(self, ordinal: int | None) -> str | None:
        """The item whose request it is."""
        columns = ["item_id", "ordinal", "is_duplicate"]
        for rows in stream_parquet(self._files, self._layout.items, columns=columns):
            found = rows.filter(
                pc.and_(pc.equal(rows["ordinal"], ordinal), pc.invert(rows["is_duplicate"]))
            )
            if found.num_rows:
                first: str = found["item_id"][0].as_py()
                return first
        return None


def _row(files: Files, path: str, column: str, value: Any) -> Mapping[str, Any] | None:
    """The first row of a stored table that has the value in the column."""
    for rows in stream_parquet(files, path):
        found = rows.filter(pc.equal(rows.column(column), value))
        if found.num_rows:
            row: Mapping[str, Any] = found.slice(0, 1).to_pylist()[0]
            return row
    return None


def _of_id(prefix: str, ordinal: int) -> re.Pattern[bytes]:
    """Finds the request's custom_id in a line, with or without the mark of a batch.

    Inside another text of the line a quote would be escaped, and the id would not match.
    """
    return re.compile(rb'"%s%d(?:-[0-9a-f]{16})?"' % (re.escape(prefix.encode()), ordinal))


def _asked_line(shard: Shard, number: int, line: bytes) -> AskedLine:
    try:
        found = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = {}  # a ready-made request that is no plain JSON
    body: Mapping[str, Any] = next(
        (found[name] for name in _BODIES if isinstance(found.get(name), dict)), {}
    )
    return AskedLine(
        wave=shard.wave,
        shard=shard.number,
        line=number,
        bytes=len(line),
        custom_id=next((str(found[name]) for name in _IDS if name in found), ""),
        body=body,
    )


def _cost(price: Price | None, result: Mapping[str, Any]) -> Decimal | None:
    """What the item's answers cost; a pack's is with its first item.

    Where prices have steps, the item's answers are taken for equally long.
    """
    if not result["executions"]:
        return Decimal(0)
    if price is None or result["input_tokens"] is None:
        return None
    usage = Usage(**{name: result[name] or 0 for name in TOKENS})
    unit = price.unit(usage.input_tokens / result["executions"])
    return None if unit is None else unit.of(usage)
