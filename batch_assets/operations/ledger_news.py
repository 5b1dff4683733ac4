"""News in the ledger: what waits for a person, told once for as long as it stands."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from batch_assets.assets.location import Location
from batch_assets.domain.batch import CanaryState, RequestSet
from batch_assets.domain.control import Pause
from batch_assets.ledger import Ledger
from batch_assets.operations.inference_events import (
    InferenceEvent,
    InferenceEventKind,
    counted,
    partition_page,
    some_of,
)
from batch_assets.operations.told import Cursor, News


def approvals(location: Location, ledger: Ledger, cursor: Cursor) -> Iterator[News]:
    for name, inference in location.inferences.items():
        news = {
            mark: each
            for each in ledger.approvals.wanted(name)
            if (mark := _approval(each)) not in cursor.standing
        }
        if not news:
            continue
        partition_keys = [each.partition_key for each in news.values()]
        held = [each for each in news.values() if each.canary_state is CanaryState.HELD]
        reasons = some_of(f"{each.partition_key}: {each.canary_reason}" for each in held)
        canary = f"\nof which the canary did not pass:\n{reasons}" if held else ""
        wait = "waits" if len(news) == 1 else "wait"
        event = InferenceEvent(
            kind=InferenceEventKind.WAITS_FOR_APPROVAL,
            inference=name,
            partition_keys=partition_keys,
            sentence=f"{name}: {counted(partition_keys)} {wait} for an approval; give it with the "
            f"job approve_batches{canary}",
            path=partition_page(inference.keys.batches, partition_keys, "partitions"),
        )
        yield News(event=event, told=_stands(news))


def stops(location: Location, ledger: Ledger, cursor: Cursor) -> Iterator[News]:
    """One for each order that stands: the provider's, or a person's."""
    for mark, order in _orders(location, ledger).items():
        if mark in cursor.standing:
            continue
        scope = order.scope
        event = InferenceEvent(
            kind=InferenceEventKind.STOPPED,
            inference=scope.inference,
            partition_keys=() if scope.partition_key is None else (scope.partition_key,),
            sentence=f"{order}; to go on, run the job resume_batches",
            path="/jobs",
        )
        yield News(event=event, told=_stands([mark]))


def _orders(location: Location, ledger: Ledger) -> Mapping[str, Pause]:
    """The pauses and stops that keep something of this location, by what tells them apart."""
    return {
        f"{order.scope} {order.is_stop} {order.since.isoformat()}": order
        for order in ledger.pauses.standing()
        if any(
            each.inference in location.inferences
            for each in ledger.request_sets.unresolved(order.scope)
        )
        or order.scope.inference in location.inferences
    }


def _approval(request_set: RequestSet) -> str:
    return f"{request_set.id}{'h' if request_set.canary_state is CanaryState.HELD else ''}"


def still_standing(location: Location, ledger: Ledger) -> frozenset[str]:
    """What is not told again for as long as it stands."""
    wanted = (
        _approval(each) for name in location.inferences for each in ledger.approvals.wanted(name)
    )
    return frozenset([*_orders(location, ledger), *wanted])


def _stands(marks: Collection[str]) -> Callable[[Cursor], Cursor]:
    return lambda cursor: replace(cursor, standing=cursor.standing | set(marks))
