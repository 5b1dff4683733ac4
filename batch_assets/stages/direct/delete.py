"""delete: batches that are over, with what their provider still keeps of them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from batch_assets.domain.batch import FINAL, BatchState
from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    BatchUnknown,
    LedgerError,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.provider import Phase, Provider, ProviderBatch
from batch_assets.ledger import Ledger
from batch_assets.stages.direct.look import Seen, batch_at, seen


@dataclass(frozen=True, kw_only=True)
class ToDelete:
    """A batch that is to go, and what was found out before anything is deleted."""

    #: As the person named it.
    name: str
    batch: ProviderBatch | None = None
    #: Ids of its files that go with it.
    files: tuple[str, ...] = ()
    #: Id of its request file, where that stays: an open batch was made of it, too.
    kept_file: str | None = None
    #: Why it is not deleted.
    refusal: BatchAssetsError | None = None


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """What became of it."""

    wanted: ToDelete
    #: Whether the provider knows the batch no more; None where that could not be seen.
    is_gone: bool | None = None
    #: Why it is not deleted, or not whole.
    error: BatchAssetsError | None = None


def to_delete(
    provider: Provider, ledger: Ledger, names: Sequence[str], *, now: datetime, force: bool = False
) -> list[ToDelete]:
    """The batches of these ids or keys, as far as they may go. Nothing is deleted.

    One that has not ended is refused, as is one of the ledger whose answers are not in the store,
    unless by `force`. Raises the provider's errors, but those about one batch.
    """
    found: dict[str, ToDelete] = {}
    refused: dict[str, ToDelete] = {}
    for name in names:
        try:
            [its] = seen(ledger, provider.account, [batch_at(provider, name, now=now)])
            _check_over(its, force=force)
        except (LedgerError, RequestRefused) as error:
            refused[name] = ToDelete(name=name, refusal=error)
        else:
            # One that is named by its id and by its key is one.
            found.setdefault(its.batch.id, ToDelete(name=name, batch=its.batch))
    in_use = _in_use(provider, [each.batch for each in found.values() if each.batch is not None])
    by_name = {each.name: _with_files(each, in_use) for each in found.values()} | refused
    return [by_name[name] for name in names if name in by_name]


def delete(provider: Provider, wanted: Sequence[ToDelete], *, now: datetime) -> Iterator[Deleted]:
    """Delete the batches one after the other, and look whether the provider knows them no more.

    One that cannot be deleted keeps no other, unless the account is refused or nobody answers.
    """
    stopped: BatchAssetsError | None = None
    for each in wanted:
        error = each.refusal or stopped
        if error is not None or each.batch is None:
            yield Deleted(wanted=each, error=error)
            continue
        try:
            provider.delete_remote(each.batch.id, each.files)
        except BatchAssetsError as failure:
            if isinstance(failure, AccountRefused | ProviderUnreachable):
                stopped = failure
            yield Deleted(wanted=each, error=failure)
            continue
        yield _looked_at(provider, each, each.batch, now=now)


def _check_over(its: Seen, *, force: bool) -> None:
    batch, ours = its.batch, its.ours
    if ours is not None and ours.state is not BatchState.COLLECTED and not force:
        request_set = ours.request_set
        way_out = "" if ours.state in FINAL else "let it be collected, or "
        raise LedgerError(
            f"it is batch {ours.id} of {request_set.inference} ({request_set.partition_key}), "
            f"which is {ours.state} and not collected, so that nothing here has its answers: "
            f"{way_out}give --force"
        )
    if batch.phase is not Phase.ENDED:
        raise RequestRefused(
            f"it is {batch.status}: what has ended can be deleted; `batch-assets batches cancel` "
            "ends it"
        )


def _in_use(provider: Provider, batches: Sequence[ProviderBatch]) -> Collection[str]:
    """The request files among theirs that open batches were made of, too."""
    inputs = {batch.input_file_id for batch in batches if batch.input_file_id is not None}
    if not inputs:
        return ()
    try:
        open_ones = (each for each in provider.batches() if each.phase is not Phase.ENDED)
        return inputs & {each.input_file_id for each in open_ones}
    except RequestRefused:
        # Without a list nobody can say, and the file is not what a deletion is for.
        return inputs


def _with_files(wanted: ToDelete, in_use: Collection[str]) -> ToDelete:
    batch = wanted.batch
    if batch is None:
        return wanted
    ids = (batch.input_file_id, batch.output_file_id, batch.error_file_id)
    # Where a batch has no files, its answers are asked for by its own id.
    own = [each for each in dict.fromkeys(filter(None, ids)) if each != batch.id]
    return replace(
        wanted,
        files=tuple(file_id for file_id in own if file_id not in in_use),
        kept_file=batch.input_file_id if batch.input_file_id in in_use else None,
    )


def _looked_at(
    provider: Provider, wanted: ToDelete, batch: ProviderBatch, *, now: datetime
) -> Deleted:
    try:
        # Of any age: the list is not read back to it.
        still_there = list(provider.poll([batch.id], since=now))
    except BatchUnknown:
        return Deleted(wanted=wanted, is_gone=True)
    except BatchAssetsError:
        return Deleted(wanted=wanted)
    if still_there and not wanted.files:
        return Deleted(
            wanted=wanted,
            is_gone=False,
            error=RequestRefused(
                f"{provider.account} keeps the batch itself, and it has no files to delete"
            ),
        )
    return Deleted(wanted=wanted, is_gone=not still_there)
