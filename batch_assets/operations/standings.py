"""How the partitions stand that wait for their results, as the ledger knows it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from batch_assets.domain.batch import Batch, BatchState, RequestSet
from batch_assets.domain.lane import Lane
from batch_assets.domain.progress import Progress, is_complete, progress_of
from batch_assets.domain.provider import Provider
from batch_assets.domain.stragglers import Stragglers
from batch_assets.ledger import Ledger
from batch_assets.stages.rescue import is_due


@dataclass
class Standing:
    """The partitions of one inference that wait for their results."""

    #: There is something to collect, to resolve, to carry out, or to ask live.
    finished: set[str] = field(default_factory=set)
    #: There is room to send what is planned, and it is its turn.
    sendable: set[str] = field(default_factory=set)
    #: The provider refused a batch for good, and there is nothing else to do.
    stopped: set[str] = field(default_factory=set)
    #: Every one of them, those at the provider too.
    unresolved: set[str] = field(default_factory=set)
    #: Who asked for each of them last: the id of a backfill or a run.
    origins: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rescuer:
    """Who asks an inference's stragglers, and when."""

    stragglers: Stragglers
    lane: Provider


def standings_of(
    ledger: Ledger,
    providers: Sequence[Provider],
    rescuers: Mapping[str, Rescuer] = {},
) -> defaultdict[str, Standing]:
    """The standing of each inference by its name, those of other code locations too.

    `rescuers` are those of the inferences whose stragglers are asked live.
    """
    standings: defaultdict[str, Standing] = defaultdict(Standing)
    waves: defaultdict[int, list[Batch]] = defaultdict(list)
    for batch in ledger.batches_of_unresolved():
        waves[batch.request_set.id].append(batch)
    sendable = {batch.request_set.id for batch in _sendable(ledger, providers)}
    for wave in waves.values():
        request_set = wave[0].request_set
        standing, partition_key = standings[request_set.inference], request_set.partition_key
        standing.unresolved.add(partition_key)
        standing.origins[partition_key] = request_set.origin
        progress = progress_of(wave)
        is_ready = progress.has_ended_batches or is_complete(request_set, progress)
        if is_ready or _wants_rescue(ledger, request_set, progress, rescuers):
            standing.finished.add(partition_key)
        elif request_set.id in sendable:
            standing.sendable.add(partition_key)
        elif progress.stopped and not progress.open:
            standing.stopped.add(partition_key)
    for request_set in ledger.request_sets.without_batches():
        # The one who opened it may be about to plan: left to him while his run lives.
        standings[request_set.inference].sendable.add(request_set.partition_key)
    # What an earlier request set bought is collected too, and what a lane has open is carried out.
    for batch in [*ledger.batches(states={BatchState.ENDED}), *_free_of_lanes(ledger, providers)]:
        request_set = batch.request_set
        standing, partition_key = standings[request_set.inference], request_set.partition_key
        standing.finished.add(partition_key)
        standing.origins.setdefault(partition_key, request_set.origin)
    return standings


def _wants_rescue(
    ledger: Ledger, request_set: RequestSet, progress: Progress, rescuers: Mapping[str, Rescuer]
) -> bool:
    """Whether a run has something to do for its stragglers."""
    rescuer = rescuers.get(request_set.inference)
    if rescuer is not None and is_due(ledger, request_set, rescuer.stragglers, rescuer.lane):
        return True
    # One that was being sent when the rescue began, and was not: it is to be given up.
    return request_set.awaits_rescue and progress.planned > 0


def _sendable(ledger: Ledger, providers: Iterable[Provider]) -> Iterable[Batch]:
    """What there is room for, in the order in which room is given."""
    now = ledger.clock()
    for provider in providers:
        account, budget = provider.account, provider.budget
        held, capacity = ledger.held(account), ledger.accounts.capacity(account)
        for batch in ledger.queue(account, budget):
            if budget.never_fits(batch.reservation):
                continue  # the run that tried said so
            if not budget.has_room(held, batch.reservation):
                break
            if not capacity.allows(held, batch.reservation, now):
                break
            held += batch.reservation
            yield batch


def _free_of_lanes(ledger: Ledger, providers: Iterable[Provider]) -> Iterable[Batch]:
    """What nobody carries out so far."""
    for provider in providers:
        if isinstance(provider, Lane):
            yield from ledger.hands.free(provider.account)
