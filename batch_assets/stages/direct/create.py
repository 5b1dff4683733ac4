"""create: batches of a person's own, each offered once."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    CorpusError,
    DeclarationError,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
    TransientError,
)
from batch_assets.domain.provider import COMPLETED, Phase, Provider, ProviderBatch, RemoteFile
from batch_assets.stages.direct.request_file import RequestFile, read_request_file
from batch_assets.stages.direct.time import Time
from batch_assets.stages.direct.wire import Wire
from batch_assets.stages.recover import AGO, LISTED_AFTER

#: How often a batch is looked for whose reply was lost, until it must be listed.
LOOK_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A batch that is asked for, and what was found out before anything is sent."""

    #: How the person names what it is made of.
    name: str
    #: A file here, or the id of one at the provider.
    requests: Path | str
    endpoint: str
    #: Requests and bytes, where they are known.
    count: int | None = None
    bytes: int | None = None
    #: Why it is not sent.
    refusal: BatchAssetsError | None = None
    #: Travels with the batch, so that it is found after a lost reply.
    key: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True, kw_only=True)
class Created:
    """What became of one that was asked for: a batch, or why there is none."""

    wanted: Wanted
    batch: ProviderBatch | None = None
    error: BatchAssetsError | None = None


def wanted_of_files(
    names: Sequence[str], provider: Provider, wire: Wire, *, endpoint: str | None
) -> list[Wanted]:
    """The batches of files on this machine, each read through and checked. Nothing is sent."""
    return [_checked(name, provider, wire, endpoint) for name in names]


def wanted_of_uploads(
    prefix: str, provider: Provider, *, endpoint: str, again: bool = False
) -> list[Wanted]:
    """The batches of the request files at the provider whose names begin so, by name.

    One that a batch was made of already is not wanted, unless that failed, or it is wanted `again`.
    Raises RequestRefused for a provider that has no list of files, and DeclarationError for one
    that takes no requests of the endpoint.
    """
    if not provider.takes(endpoint):
        raise DeclarationError(_not_taken(provider, endpoint))
    found = [each for each in provider.files() if _is_requests(each, prefix)]
    found.sort(key=lambda each: (each.name or "", each.id))
    used = {} if again or not found else _batches_by_input(provider, {each.id for each in found})
    return [
        Wanted(
            name=each.name or each.id,
            requests=each.id,
            endpoint=endpoint,
            bytes=each.bytes,
            refusal=_used_already(used.get(each.id)),
        )
        for each in found
    ]


def create(
    provider: Provider,
    wanted: Sequence[Wanted],
    *,
    metadata: Mapping[str, str],
    known: Callable[[datetime], Collection[str]],
    time: Time,
    say: Callable[[str], None],
) -> Iterator[Created]:
    """Create the batches one after the other; one that cannot be stops no other.

    But none is tried behind one that the account was refused for, or that could not be sent for
    want of a connection. Raises DeclarationError, before anything is sent, for metadata that a
    batch cannot carry. `known` are the provider's ids of batches since a time that are others'.
    """
    provider.check_metadata(metadata)
    return _create(provider, wanted, metadata=metadata, known=known, time=time, say=say)


def until_ended(
    provider: Provider,
    batches: Sequence[ProviderBatch],
    *,
    every: timedelta,
    timeout: timedelta | None,
    time: Time,
    show: Callable[[Sequence[ProviderBatch]], None],
    say: Callable[[str], None],
) -> None:
    """Return once all have ended, or the time is over; `show` gets them at every look.

    What the provider cannot say for now is asked again. Raises its other errors.
    """
    found = {batch.id: batch for batch in batches}
    since = min((batch.created_at for batch in batches), default=time.now())
    began = time.now()
    while True:
        open_ids = [each for each, batch in found.items() if batch.phase is not Phase.ENDED]
        show(list(found.values()))
        left = None if timeout is None else timeout - (time.now() - began)
        if not open_ids or (left is not None and left <= timedelta()):
            return
        pause = every if left is None else min(every, left)
        time.sleep(pause.total_seconds())
        try:
            for batch in provider.poll(open_ids, since=since):
                found[batch.id] = batch
        except TransientError as error:
            say(error.message)


def _checked(name: str, provider: Provider, wire: Wire, endpoint: str | None) -> Wanted:
    path = Path(name)
    try:
        file = read_request_file(path, wire=wire, limits=provider.limits, endpoint=endpoint)
        _check_taken(provider, file)
    except CorpusError as error:
        return Wanted(name=name, requests=path, endpoint=endpoint or "", refusal=error)
    return Wanted(
        name=name,
        requests=path,
        endpoint=file.endpoint,
        count=file.requests,
        bytes=file.bytes,
    )


def _check_taken(provider: Provider, file: RequestFile) -> None:
    if not provider.takes(file.endpoint):
        raise CorpusError(_not_taken(provider, file.endpoint))


def _not_taken(provider: Provider, endpoint: str) -> str:
    return (
        f"batches of {provider.account} take no requests of {endpoint}: name another provider, or "
        "another endpoint"
    )


def _is_requests(file: RemoteFile, prefix: str) -> bool:
    """Whether a batch can be made of it: not one of answers, or for something else."""
    purpose = (file.purpose or "batch").lower()
    is_for_batches = purpose.startswith("batch") and "output" not in purpose
    return is_for_batches and (file.name or "").startswith(prefix)


def _batches_by_input(provider: Provider, ids: Collection[str]) -> Mapping[str, ProviderBatch]:
    """Those of the files that something was made of and may be paid for, each with its batch."""
    found: dict[str, ProviderBatch] = {}
    for batch in provider.batches():
        if batch.input_file_id is not None and batch.input_file_id in ids and not _is_void(batch):
            found[batch.input_file_id] = batch
    return found


def _is_void(batch: ProviderBatch) -> bool:
    """Whether it ended and brought nothing."""
    has_files = batch.output_file_id is not None or batch.error_file_id is not None
    is_done = batch.status.lower() in COMPLETED
    return batch.phase is Phase.ENDED and not has_files and not is_done


def _used_already(batch: ProviderBatch | None) -> BatchAssetsError | None:
    if batch is None:
        return None
    return RequestRefused(
        f"{batch.id} was made of it already, and is {batch.status}: give --again for another"
    )


def _create(
    provider: Provider,
    wanted: Sequence[Wanted],
    *,
    metadata: Mapping[str, str],
    known: Callable[[datetime], Collection[str]],
    time: Time,
    say: Callable[[str], None],
) -> Iterator[Created]:
    stopped: BatchAssetsError | None = None
    made: set[str] = set()
    for each in wanted:
        refusal = each.refusal or stopped
        if refusal is not None:
            yield Created(wanted=each, error=refusal)
            continue
        # Whoever kills this process looks for it by that.
        say(f"{each.name}: its key is {each.key}")
        began = time.now()
        try:
            batch = provider.create(
                each.requests, endpoint=each.endpoint, key=each.key, metadata=metadata
            )
        except ReplyLost as lost:
            say(f"{each.name}: {lost.message}; it is looked for now")
            others = {*made, *known(began - AGO)}
            try:
                batch = _looked_for(provider, each, others, began=began, time=time)
            except BatchAssetsError as error:
                yield Created(wanted=each, error=error)
                continue
        except (AccountRefused, ProviderUnreachable) as error:
            stopped = error
            yield Created(wanted=each, error=error)
            continue
        except BatchAssetsError as error:
            yield Created(wanted=each, error=error)
            continue
        made.add(batch.id)
        yield Created(wanted=each, batch=batch)


def _looked_for(
    provider: Provider, wanted: Wanted, others: Collection[str], *, began: datetime, time: Time
) -> ProviderBatch:
    """The batch whose reply was lost. Raises ReplyLost where it is not found: it may exist."""
    until = time.now() + LISTED_AFTER
    while True:
        why = f"none with its key was listed {_minutes(LISTED_AFTER)} later"
        try:
            found = provider.find(wanted.key, since=began, requests=wanted.count, besides=others)
            if found is not None:
                return found
        except TransientError as error:
            why = error.message
        except BatchAssetsError as error:
            raise _in_doubt(wanted, error.message) from error
        if time.now() >= until:
            raise _in_doubt(wanted, why)
        time.sleep(LOOK_EVERY.total_seconds())


def _in_doubt(wanted: Wanted, why: str) -> ReplyLost:
    return ReplyLost(
        f"reply lost: it may exist; look with `batch-assets batches show {wanted.key}` at the same "
        f"provider before you send it again: {why}"
    )


def _minutes(time: timedelta) -> str:
    return f"{time.total_seconds() / 60:.0f} minutes"
