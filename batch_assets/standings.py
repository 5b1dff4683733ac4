"""How the partitions stand that wait for their results, as the ledger knows it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from batch_assets.domain.batch import Account, Batch, BatchState
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.domain.progress import progress_of
from batch_assets.domain.provider import Provider
from batch_assets.ledger import Ledger


@dataclass
class Standing:
    """The partitions of one inference that wait for their results."""

    #: There is something to collect or to resolve.
    finished: set[str] = field(default_factory=set)
    #: There is room to send what is planned.
    sendable: set[str] = field(default_factory=set)
    #: The provider refused a batch for good, and there is nothing else to do.
    stopped: set[str] = field(default_factory=set)
    #: Every one of them, those at the provider too.
    unresolved: set[str] = field(default_factory=set)


@dataclass
class Room:
    """What is left of an account's budget while a tick hands it out."""

    budget: Budget
    held: Reservation

    def take(self, asked: Reservation) -> bool:
        """Count it in, where it fits."""
        if not self.budget.has_room(self.held, asked):
            return False
        self.held += asked
        return True


def standings_of(ledger: Ledger, providers: Sequence[Provider]) -> defaultdict[str, Standing]:
    """The standing of each inference by its name, those of other code locations too."""
    rooms = {p.account: Room(p.budget, ledger.held(p.account)) for p in providers}
    now = ledger.clock()
    standings: defaultdict[str, Standing] = defaultdict(Standing)
    waves: defaultdict[int, list[Batch]] = defaultdict(list)
    for batch in ledger.batches_of_unresolved():
        waves[batch.request_set.id].append(batch)
    for wave in waves.values():
        standing = standings[wave[0].request_set.inference]
        partition_key = wave[0].request_set.partition_key
        standing.unresolved.add(partition_key)
        progress = progress_of(wave)
        if progress.has_ended_batches or progress.is_collected:
            standing.finished.add(partition_key)
        elif _may_send(wave, rooms, now):
            standing.sendable.add(partition_key)
        elif progress.stopped and not progress.open:
            standing.stopped.add(partition_key)
    # What an earlier request set bought is collected too.
    for batch in ledger.batches(states={BatchState.ENDED}):
        standings[batch.request_set.inference].finished.add(batch.request_set.partition_key)
    return standings


def _may_send(wave: Sequence[Batch], rooms: Mapping[Account, Room], now: datetime) -> bool:
    """Whether a run could send any of the wave; takes the room of all that it could."""
    sent = False
    for batch in wave:
        in_time = batch.not_before is None or batch.not_before <= now
        if batch.state is BatchState.PLANNED and in_time:
            room = rooms.get(batch.account)
            if room is None or not room.take(batch.reservation):
                break
            sent = True
    return sent
