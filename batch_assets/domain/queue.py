"""The order in which the planned batches of an account are sent.

Room goes to whoever holds the least of it; among equals, to whoever asked first. So a daily
partition is not starved by a backfill that planned its hundreds of batches before.
"""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from batch_assets.domain.batch import Batch, BatchId
from batch_assets.domain.budget import Budget, Reservation


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one origin's planned batches ask for together."""

    origin: str
    #: The batch that was planned first.
    first: BatchId
    asked: Reservation

    def part(self, batches: int) -> Reservation:
        """What so many of the batches ask for, by their mean, rounded up."""
        of = self.asked.batches
        return Reservation(
            batches=batches,
            requests=-(-self.asked.requests * batches // of),
            tokens=-(-self.asked.tokens * batches // of),
            inputs=-(-self.asked.inputs * batches // of),
        )


def in_order(
    planned: Iterable[Batch], held: Mapping[str, Reservation], budget: Budget
) -> list[Batch]:
    """The planned batches in the order they get room; `held` is by origin."""
    waiting: defaultdict[str, deque[Batch]] = defaultdict(deque)
    for batch in sorted(planned, key=lambda batch: batch.id):
        waiting[batch.request_set.origin].append(batch)
    taken = dict(held)
    order: list[Batch] = []
    while waiting:
        origin = min(
            waiting,
            key=lambda name: (budget.share(taken.get(name, Reservation())), waiting[name][0].id),
        )
        batch = waiting[origin].popleft()
        order.append(batch)
        taken[origin] = taken.get(origin, Reservation()) + batch.reservation
        if not waiting[origin]:
            del waiting[origin]
    return order


def asked_before(
    batch: Batch, demands: Iterable[Demand], held: Mapping[str, Reservation], budget: Budget
) -> Reservation:
    """What others get before the batch: those who hold less, or as much and asked earlier, until
    they hold as much as its own origin does. Counted by the mean of their batches.
    """
    own = (budget.share(held.get(batch.request_set.origin, Reservation())), batch.id)
    before = Reservation()
    for demand in demands:
        if demand.origin != batch.request_set.origin and demand.asked.batches:
            before += _until(own, demand, held.get(demand.origin, Reservation()), budget)
    return before


def _until(
    own: tuple[float, BatchId], demand: Demand, has: Reservation, budget: Budget
) -> Reservation:
    """What the other origin gets before its share, and its first batch, come behind `own`."""

    def is_behind(sent: int) -> bool:
        return (budget.share(has + demand.part(sent)), demand.first) >= own

    return demand.part(bisect_left(range(demand.asked.batches), True, key=is_behind))
