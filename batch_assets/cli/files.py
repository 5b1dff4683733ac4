"""Files at a provider, whoever uploaded them."""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

import click

from batch_assets.cli.chosen import Asked, Chosen, chosen, with_provider
from batch_assets.cli.consent import confirm, with_consent
from batch_assets.cli.exit_codes import NotFound
from batch_assets.cli.place import at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.root import Commands
from batch_assets.cli.verdicts import code_of_all, emit_each, fail_line, ok_line
from batch_assets.domain.errors import BatchAssetsError, LedgerError

if TYPE_CHECKING:
    from batch_assets.domain.batch import Batch
    from batch_assets.domain.provider import RemoteFile

LIST_SCHEMA = schema_of("files-list", 1)
DELETE_SCHEMA = schema_of("files-delete", 1)


class ListedFile(Row, frozen=True, kw_only=True):
    """A file at the provider. What the provider does not tell is null."""

    id: str
    name: str | None
    bytes: int | None
    #: By the provider's clock: ISO 8601.
    created_at: str | None
    #: The provider's own word for what it is for.
    purpose: str | None
    #: What of ours still needs it; null where nothing does.
    needed_by: str | None


class DeletedFile(Row, frozen=True, kw_only=True):
    """A file that the provider was asked to delete."""

    id: str
    name: str | None
    #: Whether it is deleted.
    ok: bool
    #: Why it is not; empty where it is.
    reason: str


@click.group(
    cls=Commands,
    modules={
        "download": "batch_assets.cli.files_download:download",
        "upload": "batch_assets.cli.files_upload:upload",
    },
)
def files() -> None:
    """Files at a provider: of requests and of answers, ours and others'."""


@files.command("list")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="So many at most.",
)
@click.option("--prefix", metavar="TEXT", default="", help="Only those whose names begin so.")
@click.option(
    "--purpose",
    metavar="WORD",
    help="Only those for this, in the provider's own word: batch, batch_output, …",
)
@with_output
@at_place
@with_provider
def list_(asked: Asked, limit: int, prefix: str, purpose: str | None, output: str) -> None:
    """Show the files of an account at its provider, and which of them our batches still need.

    Example: batch-assets files list --prefix march- --limit 100
    """
    with chosen(asked) as asking:
        needed = _needed(asking)
        found = (
            file
            for file in asking.provider.files()
            if (file.name or "").startswith(prefix)
            and (purpose is None or purpose.lower() == (file.purpose or "").lower())
        )
        some = list(islice(found, limit + 1))
    emit(
        output,
        LIST_SCHEMA,
        [_listed(each, _needed_by(needed, each)) for each in some[:limit]],
        nothing="no files",
    )
    if len(some) > limit:
        tell(f"There are more: --limit {limit * 10}")


@files.command()
@with_consent
@with_output
@at_place
@with_provider
@click.pass_context
def delete(
    context: click.Context,
    asked: Asked,
    ids: tuple[str, ...],
    yes: bool,
    force: bool,
    output: str,
) -> None:
    """Delete files at the provider.

    One is refused that a batch of ours needs which is not collected yet: what it answered would be
    lost, and bought again.

    Example: batch-assets files delete file-6903a1 --yes
    """
    from batch_assets.stages.direct.look import files_at

    wanted = list(dict.fromkeys(ids))
    errors: list[BatchAssetsError | None] = []
    with chosen(asked) as asking:
        found = files_at(asking.provider, wanted)
        if not yes:
            confirm("files", [each.name or each.id for each in found.values()])
        needed = {} if force else _needed(asking)
        rows = (_deleted(asking, each, found.get(each), needed, errors) for each in wanted)
        emit_each(output, DELETE_SCHEMA, rows, _line)
    context.exit(code_of_all(errors))


def _needed(asking: Chosen) -> "Mapping[str, Batch]":
    from batch_assets.stages.direct.look import needed_files

    with asking.open_ledger() as ledger:
        return needed_files(ledger)


def _needed_by(needed: "Mapping[str, Batch]", file: "RemoteFile") -> str | None:
    batch = needed.get(file.id) or needed.get(file.name or "")
    if batch is None:
        return None
    request_set = batch.request_set
    return f"batch {batch.id} of {request_set.inference} ({request_set.partition_key})"


def _listed(file: "RemoteFile", needed_by: str | None) -> ListedFile:
    created = file.created_at
    return ListedFile(
        id=file.id,
        name=file.name,
        bytes=file.bytes,
        created_at=None if created is None else created.isoformat(timespec="seconds"),
        purpose=file.purpose,
        needed_by=needed_by,
    )


def _deleted(
    asking: Chosen,
    file_id: str,
    file: "RemoteFile | None",
    needed: "Mapping[str, Batch]",
    errors: list[BatchAssetsError | None],
) -> DeletedFile:
    try:
        if file is None:
            raise NotFound(f"{asking.name} has no such file")
        by = _needed_by(needed, file)
        if by is not None:
            raise LedgerError(f"{by} still needs it: let it be collected, or give --force")
        asking.provider.delete_upload(file_id)
    except BatchAssetsError as error:
        errors.append(error)
        name = None if file is None else file.name
        return DeletedFile(id=file_id, name=name, ok=False, reason=error.message)
    errors.append(None)
    return DeletedFile(id=file_id, name=file.name, ok=True, reason="")


def _line(row: DeletedFile) -> str:
    return ok_line(row.id, "deleted") if row.ok else fail_line(row.id, row.reason)
