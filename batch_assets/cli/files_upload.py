"""Request files that are put at a provider, so that batches can be made of them there."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from batch_assets.cli.chosen import Asked, chosen, with_provider
from batch_assets.cli.place import at_place
from batch_assets.cli.render import Row, schema_of, tell, with_output
from batch_assets.cli.verdicts import code_of_all, emit_each, fail_line, ok_line

if TYPE_CHECKING:
    from batch_assets.domain.errors import BatchAssetsError
    from batch_assets.domain.provider import Provider
    from batch_assets.stages.direct.upload import ToUpload

SCHEMA = schema_of("files-upload", 1)


class UploadedFile(Row, frozen=True, kw_only=True):
    """A request file that was to be uploaded."""

    path: str
    #: What it is called at the provider.
    name: str
    #: Whether it is there; with --dry-run, whether it could be sent.
    ok: bool
    #: The file's id at the provider; null where it is not there.
    id: str | None
    #: Requests and bytes of the file; null where they are not known.
    requests: int | None
    bytes: int | None
    #: Why it is not there; empty where it is.
    reason: str = ""


@click.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--name-prefix",
    metavar="TEXT",
    default="",
    help="What the files' names begin with at the provider, for `batches create --prefix`.",
)
@click.option("--again", is_flag=True, help="Also where a file of that name is there already.")
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be sent.")
@with_output
@at_place
@with_provider
@click.pass_context
def upload(
    context: click.Context,
    asked: Asked,
    paths: tuple[str, ...],
    name_prefix: str,
    again: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Upload request files as they are; no batch is made of them yet.

    Every file is read through and checked before anything is sent, as `batches create` does. One
    that cannot be sent stops no other. At Anthropic requests come with the call that creates the
    batch: there are no files.

    Example: batch-assets files upload monday.jsonl tuesday.jsonl --name-prefix march-
    """
    from batch_assets.stages.direct.upload import to_upload
    from batch_assets.stages.direct.wire import wire_of

    with chosen(asked) as asking:
        provider, wire = asking.provider, wire_of(asking.kind)
        wanted = to_upload(paths, provider, wire, prefix=name_prefix, again=again)
        errors: list[BatchAssetsError | None] = []
        if dry_run:
            rows = _would_be(wanted, errors)
            emit_each(output, SCHEMA, rows, _line_of_what_would_be)
            tell("Nothing was sent.")
        else:
            emit_each(output, SCHEMA, _sent(provider, wanted, errors), _line)
    context.exit(code_of_all(errors))


def _would_be(
    wanted: "Sequence[ToUpload]", errors: "list[BatchAssetsError | None]"
) -> Iterator[UploadedFile]:
    for each in wanted:
        errors.append(each.refusal)
        yield _row(each, error=each.refusal)


def _sent(
    provider: "Provider",
    wanted: "Sequence[ToUpload]",
    errors: "list[BatchAssetsError | None]",
) -> Iterator[UploadedFile]:
    from batch_assets.stages.direct.upload import upload as upload_all

    for each in upload_all(provider, wanted):
        errors.append(each.error)
        file_id = None if each.file is None else each.file.id
        yield _row(each.wanted, file_id=file_id, error=each.error)


def _row(
    wanted: "ToUpload", *, file_id: str | None = None, error: "BatchAssetsError | None"
) -> UploadedFile:
    return UploadedFile(
        path=wanted.path,
        name=wanted.name,
        ok=error is None,
        id=file_id,
        requests=wanted.requests,
        bytes=wanted.bytes,
        reason="" if error is None else error.message,
    )


def _line(row: UploadedFile) -> str:
    return ok_line(row.path, str(row.id)) if row.ok else fail_line(row.path, row.reason)


def _line_of_what_would_be(row: UploadedFile) -> str:
    if not row.ok:
        return fail_line(row.path, row.reason)
    return ok_line(row.path, f"{row.name}, {row.requests:,} requests, {row.bytes:,} bytes")
