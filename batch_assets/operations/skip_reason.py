"""What a tick of the poll sensor says to a person."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from batch_assets.domain.batch import Batch
from batch_assets.domain.spoken import first_of, spoken_age, spoken_time
from batch_assets.ledger import Ledger
from batch_assets.operations.looks import Look
from batch_assets.operations.plans import Plan
from batch_assets.operations.waits import waits
from batch_assets.stages.recipe import Deployment

#: Partitions named of those that wait for room, and batches of those that wait for a person.
SHOWN = 3

#: The job by which a person decides.
DECIDE = "decide on it with the job decide_batch"


def alarms(looks: Iterable[Look], ledger: Ledger) -> list[str]:
    """What a person should look at now: troubles, batches that nobody can tell of, orders."""
    said: list[str] = []
    for look in looks:
        lacks = look.deployment.provider.lacks
        said += [f"{look.provider}: {lacks}"] if lacks else []
        # Where it lacks something, that is its trouble.
        said += [f"{look.provider}: {error}" for error in look.troubles if not lacks]
        in_doubt = (f"{_named(b)} is in doubt: {b.reason}; {DECIDE}" for b in look.in_doubt)
        lost = (
            f"the provider says nothing of {_named(b)}: where it is gone there, {DECIDE}"
            for b in look.lost
        )
        for kind in (map(unknown_status, look.unknown), in_doubt, lost):
            said += first_of(kind, SHOWN)
    orders = ledger.pauses.standing()
    said += [str(order) for order in orders if order.is_stop]
    said += first_of((str(order) for order in orders if not order.is_stop), SHOWN)
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
            rest = "rests" if len(plan.resting) == 1 else "rest"
            yield f"{name}: {_count(len(plan.resting), 'partition')} {rest} after a failed run"
        if plan.stopped:
            have = "has" if len(plan.stopped) == 1 else "have"
            yield (
                f"{name}: {_count(len(plan.stopped), 'partition')} {have} batches that the "
                "provider refused; "
                "materialize their batches again once that is put right"
            )


def open_batches(looks: Iterable[Look]) -> Iterator[str]:
    """One clause for each account: what is out, how old it is, when it ends, and what waits.

    And one for the partitions that have nothing out, for what they ask is with the provider.
    """
    waiting: set[tuple[str, str]] = set()
    for look in looks:
        waits_for = waits(look.deployment)
        if look.open or waits_for:
            clauses = [_out(look), waits_for, _next_in_line(look.deployment) if waits_for else ""]
            account = look.deployment.provider.account
            yield f"{account}: {'; '.join(filter(None, clauses))}"
        found = look.deployment.ledger.request_sets.waiting_for_answers()
        waiting |= {(each.inference, each.partition_key) for each in found}
    if waiting:
        wait = "waits" if len(waiting) == 1 else "wait"
        yield f"{_count(len(waiting), 'partition')} {wait} for answers of other request sets"


def _out(look: Look) -> str:
    """What is with the provider: "14 batches open, oldest 2 h, next expected 13:40 UTC"."""
    if not look.open:
        return "no batches open"
    now = look.deployment.ledger.clock()
    oldest = min(batch.submitted_at or batch.created_at for batch in look.open)
    put_off = f", {look.put_off} of them to be asked about next time" if look.put_off else ""
    return (
        f"{_count(len(look.open), 'batch')} open, oldest {spoken_age(now - oldest)}"
        f"{_next_end(look, now)}{put_off}"
    )


def _next_end(look: Look, now: datetime) -> str:
    usual_ends = (
        look.expected.end(batch.request_set.inference, batch.endpoint, batch.submitted_at)
        for batch in look.open
        if batch.submitted_at is not None
    )
    ends = [end for end in usual_ends if end is not None]
    if not ends:
        return ""
    to_come = [end for end in ends if end > now]
    if to_come:
        return f", next expected {spoken_time(min(to_come), now)}"
    return f", expected since {spoken_time(min(ends), now)}"


def _count(number: int, thing: str) -> str:
    plural = f"{thing}es" if thing.endswith("ch") else f"{thing}s"
    return f"{number} {thing if number == 1 else plural}"


def _next_in_line(deployment: Deployment) -> str:
    """The partitions that get room first, and who asked for them."""
    queue = deployment.ledger.queue(deployment.provider.account, deployment.provider.budget)
    first = dict.fromkeys(
        f"{batch.request_set.inference}/{batch.request_set.partition_key} "
        f"(asked by {batch.request_set.origin[:8]})"
        for batch in queue
    )
    return f"next {', '.join(list(first)[:SHOWN])}" if first else ""


def _named(batch: Batch) -> str:
    request_set = batch.request_set
    at_provider = "" if batch.provider_id is None else f", {batch.provider_id}"
    return f"batch {batch.id} ({request_set.inference}/{request_set.partition_key}{at_provider})"
