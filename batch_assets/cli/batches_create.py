"""Batches of request files that a person has, or has uploaded."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import click

from batch_assets.cli.batches_given import Given, with_given
from batch_assets.cli.batches_wait import waited_for
from batch_assets.cli.chosen import Asked, Chosen, chosen, with_provider
from batch_assets.cli.exit_codes import ExitCode, NotFound
from batch_assets.cli.place import at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.verdicts import (
    NOTHING,
    code_of_all,
    emit_each,
    fail_line,
    ok_line,
    printable,
)
from batch_assets.domain.errors import BatchAssetsError, ProviderUnreachable, ReplyLost
from batch_assets.domain.provider import ProviderBatch

if TYPE_CHECKING:
    from batch_assets.stages.direct.create import Created
    from batch_assets.stages.direct.wanted import Wanted

SCHEMA = schema_of("batches-create", 1)


class CreatedBatch(Row, frozen=True, kw_only=True):
    """A batch that was asked for."""

    #: The file's path, or its name at the provider.
    path: str
    #: Whether there is a batch; with --dry-run, whether it could be sent.
    ok: bool
    #: The batch's id at the provider; null where there is none.
    id: str | None
    #: What it carries at the provider, so that `batches show` finds it after a lost reply; null
    #: where nothing of it is there.
    key: str | None
    #: The path that its requests are for; null where it is not known.
    endpoint: str | None
    #: Requests and bytes of the file; null where they are not known.
    requests: int | None
    bytes: int | None
    #: The provider's own word for how it stands, with --wait in the end.
    status: str | None = None
    #: Requests that were answered and that failed; null where the provider does not tell.
    completed: int | None = None
    failed: int | None = None
    #: Why there is none; empty where there is one.
    reason: str = ""


@click.command()
@with_given
@with_output
@at_place
@with_provider
@click.pass_context
def create(context: click.Context, asked: Asked, given: Given, output: str) -> None:
    """Create a batch of each request file, as it is.

    Every file is read through and checked before anything is sent. One that cannot be sent stops
    no other. No creation is ever tried twice; a batch whose reply is lost is looked for. Of the
    same requests there is no second batch without --again.

    Example: batch-assets batches create monday.jsonl tuesday.jsonl --metadata team=a,run=7 --wait
    """
    given.check()
    with chosen(asked) as asking:
        asking.provider.check_metadata(given.words)
        if not given.dry_run and asking.provider.lacks is not None:
            raise ProviderUnreachable(asking.provider.lacks)
        wanted = _wanted(asking, given)
        code: int
        if given.dry_run:
            code = _say_what_would_be(wanted, output)
        else:
            code = _create(asking, given, wanted, output)
    context.exit(code)


def _wanted(asking: Chosen, given: Given) -> "list[Wanted]":
    from batch_assets.stages.direct.twins import without_twins
    from batch_assets.stages.direct.wanted import wanted_of_files, wanted_of_uploads
    from batch_assets.stages.direct.wire import path_of_endpoint, wire_of

    provider = asking.provider
    endpoint = None if given.endpoint is None else path_of_endpoint(given.endpoint)
    if given.prefix is None or endpoint is None:
        wanted = wanted_of_files(given.files, provider, wire_of(asking.kind), endpoint=endpoint)
        if given.dry_run or given.again:
            return wanted
        return without_twins(wanted, provider, now=asking.time.now())
    found = wanted_of_uploads(given.prefix, provider, endpoint=endpoint, again=given.again)
    if not found:
        raise NotFound(f"{asking.name} has no request file whose name begins with {given.prefix!r}")
    return found


def _say_what_would_be(wanted: "Sequence[Wanted]", output: str) -> ExitCode:
    rows = (_row(each, error=each.refusal) for each in wanted)
    emit_each(output, SCHEMA, rows, _line_of_what_would_be)
    sent = [each for each in wanted if each.refusal is None]
    counts = _counts(
        sum(each.count or 0 for each in sent) or None, sum(each.bytes or 0 for each in sent) or None
    )
    tell(f"Nothing was sent. It would be: {', '.join([f'{len(sent):,} batches', *counts])}")
    return code_of_all(each.refusal for each in wanted)


def _create(asking: Chosen, given: Given, wanted: "Sequence[Wanted]", output: str) -> int:
    from batch_assets.stages.direct.create import create as create_all

    made: list[Created] = []

    def rows() -> Iterator[CreatedBatch]:
        for each in create_all(
            asking.provider,
            wanted,
            metadata=given.words,
            known=lambda since: _known(asking, since),
            time=asking.time,
            say=lambda message: tell(printable(message)),
        ):
            made.append(each)
            yield _row(each.wanted, batch=each.batch, error=each.error)

    # A program that waits gets one row of each, as it stands in the end.
    is_said_now = output == "table" or not given.is_waiting
    emit_each(output if is_said_now else NOTHING, SCHEMA, rows(), _line)
    code = code_of_all(each.error for each in made)
    if not given.is_waiting:
        return code
    batches = [each.batch for each in made if each.batch is not None]
    ended, code_of_wait = waited_for(asking, batches, given)
    if not is_said_now:
        final = ((each, each.batch and ended[each.batch.id]) for each in made)
        emit(
            output,
            SCHEMA,
            [_row(each.wanted, batch=batch, error=each.error) for each, batch in final],
        )
    return code_of_wait or code


def _known(asking: Chosen, since: datetime) -> Collection[str]:
    """What the ledger has at the provider; nothing where it cannot be read just now."""
    from sqlalchemy.exc import DBAPIError

    with suppress(BatchAssetsError, DBAPIError), asking.open_ledger() as ledger:
        return ledger.provider_ids(asking.provider.account, since=since)
    return ()


def _row(
    wanted: "Wanted",
    *,
    batch: ProviderBatch | None = None,
    error: BatchAssetsError | None = None,
) -> CreatedBatch:
    may_be_there = batch is not None or isinstance(error, ReplyLost)
    return CreatedBatch(
        path=wanted.name,
        ok=error is None,
        id=None if batch is None else batch.id,
        key=wanted.key if may_be_there else None,
        endpoint=wanted.endpoint or None,
        requests=wanted.count,
        bytes=wanted.bytes,
        status=None if batch is None else batch.status,
        completed=None if batch is None else batch.completed,
        failed=None if batch is None else batch.failed,
        reason="" if error is None else error.message,
    )


def _line(row: CreatedBatch) -> str:
    return ok_line(row.path, str(row.id)) if row.ok else fail_line(row.path, row.reason)


def _line_of_what_would_be(row: CreatedBatch) -> str:
    if not row.ok:
        return fail_line(row.path, row.reason)
    told = [*_counts(row.requests, row.bytes), str(row.endpoint)]
    return ok_line(row.path, ", ".join(told))


def _counts(requests: int | None, size: int | None) -> list[str]:
    counts = ((requests, "requests"), (size, "bytes"))
    return [f"{count:,} {unit}" for count, unit in counts if count is not None]
