"""What the planned batches of an account wait for."""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from batch_assets.domain.batch import Account, RequestSetId
from batch_assets.domain.control import Pause, WaitKind
from batch_assets.domain.spoken import spoken_time
from batch_assets.ledger.polls import Unsent
from batch_assets.stages.recipe import Deployment

_LATER = "waiting for their time"
_NOTHING = "about to be sent"
_WORDS = {
    WaitKind.STOPPED: "stopped",
    WaitKind.PAUSED: "paused",
    WaitKind.APPROVAL: "waiting for approval",
    WaitKind.BUDGET: "waiting for budget",
    WaitKind.CAPACITY: "waiting for room at the provider",
}


def waits(deployment: Deployment) -> str:
    """How many batches are not sent, by what they wait for: "3 waiting for budget, 2 paused"."""
    ledger, account = deployment.ledger, deployment.provider.account
    unsent = ledger.polls.waiting(account)
    if not unsent:
        return ""
    now, held = ledger.clock(), ledger.held(account)
    capacity, budget = ledger.accounts.capacity(account), deployment.provider.budget
    pauses = ledger.pauses.standing()
    unapproved = {request_set.id for request_set in ledger.approvals.wanted()}
    counts: Counter[str] = Counter()
    for each in unsent:
        ordered = _ordered(each, account, pauses, unapproved)
        if ordered is not None:
            word = _WORDS[ordered]
        elif each.not_before is not None:
            word = _LATER
        elif not budget.has_room(held, each.smallest):
            word = _WORDS[WaitKind.BUDGET]
        elif not capacity.allows(held, each.smallest, now):
            word = _WORDS[WaitKind.CAPACITY]
        else:
            word = _NOTHING
        counts[word] += each.batches
    later = min((each.not_before for each in unsent if each.not_before), default=None)
    details = {
        _LATER: _from(later, now),
        _WORDS[WaitKind.CAPACITY]: _from(capacity.not_before, now, f": {capacity.reason}"),
    }
    return ", ".join(f"{count} {word}{details.get(word, '')}" for word, count in counts.items())


def _ordered(
    each: Unsent,
    account: Account,
    pauses: Sequence[Pause],
    unapproved: AbstractSet[RequestSetId],
) -> WaitKind | None:
    """Whose word it waits for, where it is a person's."""
    orders = [
        pause
        for pause in pauses
        if pause.scope.covers_what(
            account=account,
            inference=each.inference,
            partition_key=each.partition_key,
            origin=each.origin,
        )
    ]
    if orders:
        is_stop = any(order.is_stop for order in orders)
        return WaitKind.STOPPED if is_stop else WaitKind.PAUSED
    return WaitKind.APPROVAL if each.request_set in unapproved else None


def _from(time: datetime | None, now: datetime, why: str = "") -> str:
    return "" if time is None else f" (from {spoken_time(time, now)} on{why})"
