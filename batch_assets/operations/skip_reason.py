"""What a tick of the poll sensor says to a person."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.ledger import Ledger
from batch_assets.operations.looks import Look
from batch_assets.operations.plans import Plan
from batch_assets.stages.recipe import Deployment

#: Partitions named of those that wait for room, and batches of those that wait for a person.
SHOWN = 3

#: The job by which a person decides.
DECIDE = "decide on it with the job decide_batch"


def alarms(looks: Iterable[Look], ledger: Ledger) -> list[str]:
    """What a person should look at now: troubles, batches that nobody can tell of, orders."""
    said: list[str] = []
    for look in looks:
        said += [f"{look.provider}: {error}" for error in look.troubles]
        said += _some(map(unknown_status, look.unknown))
        said += _some(f"{_named(b)} is in doubt: {b.reason}; {DECIDE}" for b in look.in_doubt)
        said += _some(
            f"the provider says nothing of {_named(b)}: where it is gone there, {DECIDE}"
            for b in look.lost
        )
    orders = ledger.pauses.standing()
    said += [str(order) for order in orders if order.is_stop]
    said += _some(str(order) for order in orders if not order.is_stop)
    return said


def unknown_status(batch: Batch) -> str:
    """The alarm about a batch in a status that is new to us."""
    return (
        f"{_named(batch)} has the status {batch.provider_status!r}, which nobody here knows: "
        "it is followed as if open; look it up at the provider"
    )


def in_words(plans: Iterable[Plan]) -> Iterator[str]:
    """What of the plans nothing is done about now."""
    for plan in plans:
        name = plan.keys.inference
        if plan.resting:
            yield f"{name}: {len(plan.resting)} partitions rest after a failed run"
        if plan.stopped:
            yield (
                f"{name}: {len(plan.stopped)} partitions have batches that the provider refused; "
                "materialize their batches again once that is put right"
            )


def open_batches(deployments: Iterable[Deployment]) -> Iterator[str]:
    """One clause for each account: what is out, how old it is, what waits, who is next.

    And one for the partitions that have nothing out, for what they ask is with the provider.
    """
    waiting: set[tuple[str, str]] = set()
    for deployment in deployments:
        ledger, account = deployment.ledger, deployment.provider.account
        submitted = ledger.batches(
            account=account, states={BatchState.RESERVED, BatchState.SUBMITTED}
        )
        planned = ledger.batches(account=account, states={BatchState.PLANNED})
        if submitted or planned:
            yield (
                f"{account}: {len(submitted)} batches open{_age(submitted, ledger.clock())}, "
                f"{len(planned)} waiting{_later(planned, ledger.clock())}"
                f"{_next_in_line(deployment)}{_want_of_room(deployment)}"
            )
        found = ledger.request_sets.waiting_for_answers()
        waiting |= {(each.inference, each.partition_key) for each in found}
    if waiting:
        yield f"{len(waiting)} partitions wait for answers of other request sets"


def _later(planned: Sequence[Batch], now: datetime) -> str:
    """Those that wait for their time: a further wave, or one that was refused."""
    times = [b.not_before for b in planned if b.not_before is not None and b.not_before > now]
    return f" ({len(times)} not before {min(times):%H:%M:%S} UTC)" if times else ""


def _next_in_line(deployment: Deployment) -> str:
    """The partitions that get room first, and who asked for them."""
    queue = deployment.ledger.queue(deployment.provider.account, deployment.provider.budget)
    first = dict.fromkeys(
        f"{batch.request_set.inference}/{batch.request_set.partition_key} "
        f"(asked by {batch.request_set.origin[:8]})"
        for batch in queue
    )
    return f", next {', '.join(list(first)[:SHOWN])}" if first else ""


def _want_of_room(deployment: Deployment) -> str:
    ledger, account = deployment.ledger, deployment.provider.account
    capacity = ledger.accounts.capacity(account)
    if capacity.not_before is None or capacity.not_before <= ledger.clock():
        return ""
    return (
        f"; the provider has no more room for now: {capacity.reason}; "
        f"more is offered from {capacity.not_before:%H:%M:%S} UTC on"
    )


def _named(batch: Batch) -> str:
    request_set = batch.request_set
    at_provider = "" if batch.provider_id is None else f", {batch.provider_id}"
    return f"batch {batch.id} ({request_set.inference}/{request_set.partition_key}{at_provider})"


def _some(clauses: Iterable[str]) -> list[str]:
    """The first of many clauses, and how many more there are."""
    said = list(clauses)
    more = len(said) - SHOWN
    return [*said[:SHOWN], f"and {more} more such"] if more > 0 else said


def _age(batches: Sequence[Batch], now: datetime) -> str:
    if not batches:
        return ""
    age = now - min(batch.submitted_at or batch.created_at for batch in batches)
    return f", oldest {timedelta(seconds=int(age.total_seconds()))}"
