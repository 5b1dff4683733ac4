"""Everything that is known of one item."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from batch_assets.cli.completion import inferences
from batch_assets.cli.exit_codes import NotFound
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, with_output
from batch_assets.cli.scopes import check_inference

if TYPE_CHECKING:
    from batch_assets.stages.explain import AskedLine, Carried, Explanation, Try

SCHEMA = schema_of("explain", 1)


class SourceRow(Row, frozen=True, kw_only=True):
    """Where an item came from."""

    source_ref: str
    #: Place of the row in its source, from 0.
    source_item_index: int
    source_primary_key: str
    source_namespace: str | None
    #: Place of the item in its partition, from 0.
    item_index: int


class SentRequest(Row, frozen=True, kw_only=True):
    """The request as it stands in the shard of one wave."""

    wave: int
    shard: int
    #: Of the shard's file, from 1.
    line: int
    bytes: int
    custom_id: str
    prompt: str
    body: dict[str, Any]


class Attempt(Row, frozen=True, kw_only=True):
    """A batch that the request was in."""

    wave: int
    shard: int
    attempt: int
    #: Number of the batch in the ledger, and the provider's id of it.
    batch: int
    provider_id: str | None
    state: str
    provider_status: str | None
    submitted_at: str | None
    ended_at: str | None
    #: Why the batch is where it is.
    reason: str | None
    #: The lines that the provider returned for the request, as they are.
    lines: list[str]


class CarriedAnswer(Row, frozen=True, kw_only=True):
    """The answer that an earlier request set had."""

    request_set: str
    batch_id: str | None
    line: str


class ItemOutcome(Row, frozen=True, kw_only=True):
    """How the item ended, and what it used over all waves."""

    outcome: str
    error_code: str | None
    error_message: str | None
    answer: str | None
    #: The answer as the output type.
    output: Any
    model: str | None
    finish_reason: str | None
    wave: int | None
    attempts: int
    #: Answers that came back from the model, each paid for.
    executions: int
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None


class Explained(Row, frozen=True, kw_only=True):
    """One item of one partition."""

    inference: str
    partition: str
    item_id: str
    request_set: str
    model: str
    endpoint: str
    source: SourceRow
    #: Of the request in its request set; null where no batch can hold it.
    ordinal: int | None
    #: Hex digest of what determines the answer: the request's body, without its id.
    fingerprint: str
    #: The earlier item that has the same request; null where it has its own.
    shares_request_with: str | None
    requests: list[SentRequest]
    attempts: list[Attempt]
    carried: CarriedAnswer | None
    #: Null while it has none.
    result: ItemOutcome | None
    #: USD of all its answers; null where that is not known.
    usd: float | None
    #: What could not be read.
    missing: list[str]


@click.command()
@click.argument("inference", shell_complete=inferences)
@click.argument("item_id")
@click.option("--partition", help="Only in this partition.")
@with_output
@at_place
def explain(place: Place, inference: str, item_id: str, partition: str | None, output: str) -> None:
    """Show an item's way: its row, request, batches, raw answers, outcome and cost.

    Reads the ledger and the store alone: nobody is asked.

    Example: batch-assets explain glosses i-4711
    """
    from batch_assets.stages.explain import explain as look

    with place.open_ledger() as ledger:
        check_inference(ledger, inference, partition)
        found = look(ledger, place.files(), inference, item_id, partition_key=partition)
    if not found:
        where = inference if partition is None else f"partition {partition} of {inference}"
        raise NotFound(f"{where} has no item {item_id!r}: give the id as the corpus has it")
    rows = [_row(each) for each in found]
    if output != "table":
        emit(output, SCHEMA, rows)
        return
    for row in rows:
        for line in _text(row):
            click.echo(_showable(line))


def _row(found: "Explanation") -> Explained:
    item, result = found.item, found.result
    return Explained(
        inference=found.request_set.inference,
        partition=found.request_set.partition_key,
        item_id=item["item_id"],
        request_set=found.request_set.digest,
        model=found.model,
        endpoint=found.endpoint,
        source=SourceRow(**{name: item[name] for name in SourceRow.__struct_fields__}),
        ordinal=item["ordinal"],
        fingerprint=found.fingerprint,
        shares_request_with=found.shares_with,
        requests=[_request(each) for each in found.asked],
        attempts=[_attempt(each) for each in found.tries],
        carried=_carried(found.carried),
        result=None if result is None else _outcome(result),
        usd=None if found.usd is None else float(found.usd),
        missing=list(found.missing),
    )


def _request(asked: "AskedLine") -> SentRequest:
    return SentRequest(
        wave=asked.wave,
        shard=asked.shard,
        line=asked.line,
        bytes=asked.bytes,
        custom_id=asked.custom_id,
        prompt=asked.prompt,
        body=dict(asked.body),
    )


def _attempt(tried: "Try") -> Attempt:
    batch = tried.batch

    def at(time: Any) -> str | None:
        return None if time is None else time.isoformat(timespec="seconds")

    return Attempt(
        wave=batch.wave,
        shard=batch.shard,
        attempt=batch.attempt,
        batch=batch.id,
        provider_id=batch.provider_id,
        state=batch.state,
        provider_status=batch.provider_status,
        submitted_at=at(batch.submitted_at),
        ended_at=at(batch.ended_at),
        reason=batch.reason,
        lines=[line.decode(errors="replace") for line in tried.lines],
    )


def _carried(carried: "Carried | None") -> CarriedAnswer | None:
    if carried is None:
        return None
    return CarriedAnswer(
        request_set=carried.request_set,
        batch_id=carried.batch_id,
        line=carried.line.decode(errors="replace"),
    )


def _outcome(result: Mapping[str, Any]) -> ItemOutcome:
    return ItemOutcome(**{name: result[name] for name in ItemOutcome.__struct_fields__})


def _text(row: Explained) -> Iterator[str]:
    """The same for a person."""
    source, result = row.source, row.result
    yield f"{row.item_id} in partition {row.partition} of {row.inference}"
    yield f"  source       {source.source_ref}, row {source.source_item_index}"
    yield f"  request      {row.fingerprint} to {row.model} ({row.endpoint})"
    yield f"  request set  {row.request_set}"
    if row.ordinal is None:
        yield "  never sent: no batch can hold it"
    if row.shares_request_with is not None:
        yield f"  same request as item {row.shares_request_with}, sent once"
    if row.requests:
        yield "  prompt"
        yield from (f"    {line}" for line in row.requests[0].prompt.splitlines())
    if row.carried is not None:
        yield f"  answer carried over from request set {row.carried.request_set[:12]}"
        yield f"    {row.carried.line}"
    for sent in row.requests:
        yield f"  wave {sent.wave}: line {sent.line} of shard {sent.shard}, {sent.bytes:,} bytes"
        for tried in row.attempts:
            if (tried.wave, tried.shard) == (sent.wave, sent.shard):
                yield from _tried(tried)
    if result is None:
        yield "  outcome      none yet"
    else:
        yield from _ended(result)
        yield f"  cost         {'unknown' if row.usd is None else f'${row.usd:.6f}'}"
    yield from (f"  missing      {said}" for said in row.missing)


def _tried(tried: Attempt) -> Iterator[str]:
    status = f", {tried.provider_status} there" if tried.provider_status else ""
    name = tried.provider_id or "not sent"
    yield f"    batch {tried.batch} ({name}), attempt {tried.attempt}: {tried.state}{status}"
    if tried.reason:
        yield f"      {tried.reason}"
    yield from (f"      {line}" for line in tried.lines)


def _ended(result: ItemOutcome) -> Iterator[str]:
    why = " ".join(filter(None, (result.error_code, result.error_message)))
    yield f"  outcome      {result.outcome}{f': {why}' if why else ''}"
    if result.answer is not None:
        yield f"  answer       {result.answer}"
    if result.input_tokens is not None:
        yield (
            f"  used         {result.input_tokens:,} input tokens, {result.output_tokens or 0:,} "
            f"output tokens, {result.executions} answers"
        )


def _showable(line: str) -> str:
    """Text of a corpus or a provider is data: it steers no terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in line)
