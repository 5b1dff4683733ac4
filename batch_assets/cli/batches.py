"""Batches at a provider, whoever made them: asked of the provider directly."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

import click

from batch_assets.cli.chosen import Asked, Chosen, chosen, with_provider
from batch_assets.cli.place import at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.root import Commands

if TYPE_CHECKING:
    from batch_assets.domain.batch import BatchProblem
    from batch_assets.domain.provider import ProviderBatch
    from batch_assets.ledger import Ledger
    from batch_assets.stages.direct.look import Seen

LIST_SCHEMA = schema_of("batches-list", 1)
SHOW_SCHEMA = schema_of("batches-show", 1)


class ListedBatch(Row, frozen=True, kw_only=True):
    """A batch at the provider."""

    id: str
    #: open, ended or unknown.
    phase: str
    #: The provider's own word.
    status: str
    #: By the provider's clock: ISO 8601.
    created_at: str
    #: Requests, and those that were answered and that failed; null where the provider does not
    #: tell.
    total: int | None
    completed: int | None
    failed: int | None
    #: ours: the ledger has it. keyed: it carries a key of ours that the ledger does not have, as
    #: one that `batches create` made, or another ledger. others: anybody's.
    whose: str
    #: Of one of ours.
    inference: str | None = None
    partition: str | None = None
    #: What a person wrote on it.
    metadata: Mapping[str, str] = {}


class ShownBatch(Row, frozen=True, kw_only=True):
    """A batch at the provider, with all that is known of it."""

    id: str
    #: open, ended or unknown.
    phase: str
    #: The provider's own word.
    status: str
    #: By the provider's clock: ISO 8601.
    created_at: str
    #: Requests, and those that were answered and that failed; null where the provider does not
    #: tell.
    total: int | None
    completed: int | None
    failed: int | None
    #: ours, keyed or others, as of `batches list`.
    whose: str
    #: Of one of ours.
    inference: str | None = None
    partition: str | None = None
    request_set: str | None = None
    wave: int | None = None
    shard: int | None = None
    attempt: int | None = None
    #: Its number in the ledger, and where it stands there.
    batch: int | None = None
    state: str | None = None
    #: What a person wrote on it.
    metadata: Mapping[str, str] = {}
    #: Our key that it carries.
    key: str | None = None
    #: Ids of its files at the provider.
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    #: Why it failed as a whole.
    problems: tuple[str, ...] = ()


_COLUMNS = (
    "id",
    "status",
    "created_at",
    "total",
    "completed",
    "failed",
    "whose",
    "inference",
    "partition",
)


class _Fact(Row, frozen=True, kw_only=True):
    field: str
    value: str


@click.group(
    cls=Commands,
    modules={
        "cancel": "batch_assets.cli.batches_cancel:cancel",
        "create": "batch_assets.cli.batches_create:create",
        "delete": "batch_assets.cli.batches_delete:delete",
        "download": "batch_assets.cli.batches_bring:download",
        "errors": "batch_assets.cli.batches_bring:errors",
    },
)
def batches() -> None:
    """Batches at a provider, ours and others: asked directly, beside the ledger."""


@batches.command("list")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="So many at most.",
)
@click.option("--after", metavar="ID", help="Only those behind this one in the provider's order.")
@click.option(
    "--status",
    metavar="WORD",
    help="Only those of this status, in the provider's own word, or open or ended.",
)
@with_output
@at_place
@with_provider
def list_(asked: Asked, limit: int, after: str | None, status: str | None, output: str) -> None:
    """Show the batches of an account at its provider, and which of them are ours.

    Example: batch-assets batches list --status in_progress --limit 50
    """
    with chosen(asked) as asking, asking.open_ledger() as ledger:
        found = (
            batch
            for batch in asking.provider.batches(after=after)
            if status is None or status.lower() in (batch.status.lower(), batch.phase.value)
        )
        some = list(islice(found, limit + 1))
        rows = [_listed(each) for each in _seen(ledger, asking, some[:limit])]
    emit(output, LIST_SCHEMA, rows, _COLUMNS, nothing="no batches")
    if len(some) > limit:
        tell(f"There are more: --after {some[limit - 1].id}")


@batches.command()
@click.argument("batch_id", metavar="ID")
@with_output
@at_place
@with_provider
def show(asked: Asked, batch_id: str, output: str) -> None:
    """Show one batch as its provider describes it, and what the ledger knows of it.

    The ID may be the key that `batches create` said before it sent it.

    Example: batch-assets batches show batch_6903a1
    """
    with chosen(asked) as asking, asking.open_ledger() as ledger:
        [seen] = _seen(ledger, asking, [found_at(asking, batch_id)])
    row = _shown(seen)
    if output != "table":
        emit(output, SHOW_SCHEMA, [row])
        return
    emit(output, SHOW_SCHEMA, list(_facts(row)))


def found_at(asking: Chosen, batch_id: str) -> "ProviderBatch":
    """The batch of that id, or that carries that key. Raises BatchUnknown."""
    from batch_assets.stages.direct.look import batch_at

    return batch_at(asking.provider, batch_id, now=asking.time.now())


def _seen(ledger: "Ledger", asking: Chosen, found: list["ProviderBatch"]) -> list["Seen"]:
    from batch_assets.stages.direct.look import seen

    return seen(ledger, asking.provider.account, found)


def _listed(seen: "Seen") -> ListedBatch:
    return ListedBatch(**_of_provider(seen), **_of_ledger(seen))  # type: ignore[arg-type]


def _of_provider(seen: "Seen") -> dict[str, object]:
    batch = seen.batch
    return {
        "id": batch.id,
        "phase": batch.phase.value,
        "status": batch.status,
        "created_at": batch.created_at.isoformat(timespec="seconds"),
        "total": batch.total,
        "completed": batch.completed,
        "failed": batch.failed,
        "whose": seen.whose,
        "metadata": dict(batch.metadata),
    }


def _of_ledger(seen: "Seen") -> dict[str, object]:
    if seen.ours is None:
        return {}
    request_set = seen.ours.request_set
    return {"inference": request_set.inference, "partition": request_set.partition_key}


def _shown(seen: "Seen") -> ShownBatch:
    batch, ours, usage = seen.batch, seen.ours, seen.batch.usage
    of_ours = (
        {}
        if ours is None
        else {
            "request_set": ours.request_set.digest,
            "wave": ours.wave,
            "shard": ours.shard,
            "attempt": ours.attempt,
            "batch": ours.id,
            "state": ours.state,
        }
    )
    return ShownBatch(
        **_of_provider(seen),  # type: ignore[arg-type]
        **_of_ledger(seen),  # type: ignore[arg-type]
        **of_ours,  # type: ignore[arg-type]
        key=batch.key,
        input_file_id=batch.input_file_id,
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        input_tokens=None if usage is None else usage.input_tokens,
        output_tokens=None if usage is None else usage.output_tokens,
        problems=tuple(map(_told, batch.problems)),
    )


def _told(problem: "BatchProblem") -> str:
    line = None if problem.line is None else f"line {problem.line}:"
    return " ".join(part for part in (line, problem.code, problem.message) if part)


def _facts(row: ShownBatch) -> Iterator[_Fact]:
    """What is known of it, for a person."""
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if isinstance(value, Mapping):
            value = ", ".join(f"{key}={text}" for key, text in value.items())
        elif isinstance(value, tuple):
            value = "; ".join(value)
        if value not in (None, ""):
            yield _Fact(field=name.replace("_", " "), value=str(value))
