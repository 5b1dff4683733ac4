"""create: batches of a person's own, each offered once."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    ProviderUnreachable,
    ReplyLost,
    TransientError,
)
from batch_assets.domain.provider import Phase, Provider, ProviderBatch
from batch_assets.stages.direct.time import Time
from batch_assets.stages.direct.wanted import Wanted
from batch_assets.stages.recover import AGO, LISTED_AFTER

#: How often a batch is looked for whose reply was lost, until it must be listed.
LOOK_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Created:
    """What became of one that was asked for: a batch, or why there is none."""

    wanted: Wanted
    batch: ProviderBatch | None = None
    error: BatchAssetsError | None = None


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
