"""Batches that are over, deleted at their provider."""

from typing import TYPE_CHECKING

import click

from batch_assets.cli.chosen import Asked, chosen, with_provider
from batch_assets.cli.consent import confirm, with_consent
from batch_assets.cli.place import at_place
from batch_assets.cli.render import Row, schema_of, with_output
from batch_assets.cli.verdicts import code_of_all, emit_each, fail_line, ok_line
from batch_assets.domain.errors import BatchAssetsError

if TYPE_CHECKING:
    from batch_assets.stages.direct.delete import Deleted

SCHEMA = schema_of("batches-delete", 1)


class DeletedBatch(Row, frozen=True, kw_only=True):
    """A batch that the provider was asked to delete, or its files where it keeps batches."""

    id: str
    #: Whether what can be deleted of it is deleted.
    ok: bool
    #: Whether the provider knows the batch itself no more; null where it was not asked to delete
    #: it, or could not say.
    deleted: bool | None
    #: Ids of its files that the provider was asked to delete.
    files: tuple[str, ...]
    #: Id of its request file, where that stays, since an open batch was made of it, too.
    kept_file: str | None
    #: Why it is not deleted; empty where it is.
    reason: str


@click.command()
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
    """Delete batches that have ended, with the requests and answers that their provider keeps.

    Anthropic and Gemini delete a batch itself; elsewhere it stays in the list, and its files go. A
    batch of ours is refused that is not collected: nobody else has its answers.

    Example: batch-assets batches delete batch_6903a1 batch_6903a2 --yes
    """
    from batch_assets.stages.direct.delete import delete as delete_all
    from batch_assets.stages.direct.delete import to_delete

    errors: list[BatchAssetsError | None] = []
    with chosen(asked) as asking:
        now = asking.time.now()
        with asking.open_ledger() as ledger:
            wanted = to_delete(
                asking.provider, ledger, list(dict.fromkeys(ids)), now=now, force=force
            )
        if not yes:
            meant = [each.name for each in wanted if each.refusal is None]
            confirm("batches with their requests and answers", meant)
        deleted = delete_all(asking.provider, wanted, now=now)
        rows = (_row(each, errors) for each in deleted)
        emit_each(output, SCHEMA, rows, lambda row: _line(row, asking.name))
    context.exit(code_of_all(errors))


def _row(each: "Deleted", errors: list[BatchAssetsError | None]) -> DeletedBatch:
    errors.append(each.error)
    wanted, was_asked = each.wanted, each.error is None
    return DeletedBatch(
        id=wanted.name if wanted.batch is None else wanted.batch.id,
        ok=was_asked,
        deleted=each.is_gone,
        files=wanted.files if was_asked else (),
        kept_file=wanted.kept_file,
        reason="" if each.error is None else each.error.message,
    )


def _line(row: DeletedBatch, provider: str) -> str:
    if not row.ok:
        return fail_line(row.id, row.reason)
    files = ", ".join(row.files)
    match row.deleted:
        case True:
            told = f"deleted, with {files}" if files else "deleted"
        case False:
            told = f"{files} deleted; {provider} keeps the batch itself"
        case None:
            what = f"it, with {files}," if files else "it"
            told = f"asked to delete {what} but {provider} cannot say now whether it is gone"
    stays = f"; {row.kept_file} stays, an open batch was made of it, too" if row.kept_file else ""
    return ok_line(row.id, told + stays)
