"""When a planned batch may take its share of the budget, and what it says while it may not."""

from datetime import timedelta

import pytest
from factories import a_provider_batch
from ledger_world import ACCOUNT, LEASE, open_set, planned, reserved

from batch_assets.domain.batch import Account, Batch, BatchState
from batch_assets.domain.budget import Budget
from batch_assets.domain.control import Scope, Waiting, WaitKind
from batch_assets.domain.errors import StaleMove
from batch_assets.domain.provider import Phase
from batch_assets.ledger import Ledger
from batch_assets.ledger.turns import DEMAND_LASTS

S = BatchState
FOUR = Budget(batches=4)


def try_to_send(ledger: Ledger, batch: Batch, budget: Budget = FOUR) -> WaitKind | None:
    found = ledger.reserve(batch, owner="run-1", lease=LEASE, budget=budget)
    return found.kind if isinstance(found, Waiting) else None


def refuse(ledger: Ledger, batch: Batch) -> None:
    """The provider has no room for it beside what it has."""
    held = reserved(ledger, batch)
    ledger.release(held, owner="run-1", reason="queue full", for_capacity=True)


def finish(ledger: Ledger, batch: Batch) -> None:
    ledger.record(batch, a_provider_batch(), owner="run-1")
    ledger.end(ledger.batch(batch.id), a_provider_batch(phase=Phase.ENDED), owner="sensor")


def test_a_batch_without_room_stays_planned_without_an_event_and_says_what_is_held(
    ledger, ledger_clock
):
    first, second = planned(ledger, shards=2)
    reserved(ledger, first)
    ledger_clock.advance(timedelta(minutes=2))

    waiting = ledger.reserve(second, owner="run-1", lease=LEASE, budget=Budget(batches=1))

    assert waiting == Waiting(
        kind=WaitKind.BUDGET,
        reason="the account holds 1 of 1 batches; it is sent when there is room",
    )
    found = ledger.batch(second.id)
    assert (found.state, found.reason) == (S.PLANNED, waiting.reason)
    assert len(ledger.events(second.id)) == 1


def test_a_batch_that_never_fits_keeps_no_other_waiting(ledger):
    large, small = planned(ledger, shards=1, tokens=900), planned(ledger, wave=1, origin="daily")
    budget = Budget(tokens=500)

    assert try_to_send(ledger, large[0], budget) is WaitKind.BUDGET
    assert try_to_send(ledger, small[0], budget) is None


def test_a_daily_partition_is_not_starved_by_a_backfill_that_asked_before(ledger):
    """The backfill holds the account; what becomes free goes to the one that holds less."""
    backfill = planned(ledger, shards=8, partition="big", origin="backfill")
    for batch in backfill[:4]:
        assert try_to_send(ledger, batch) is None
    [daily] = planned(ledger, partition="today", origin="daily")
    finish(ledger, ledger.batch(backfill[0].id))

    assert try_to_send(ledger, backfill[4]) is WaitKind.TURN
    assert try_to_send(ledger, daily) is None


def test_the_queue_is_the_order_in_which_room_is_given(ledger):
    backfill = planned(ledger, shards=4, partition="big", origin="backfill")
    daily = planned(ledger, shards=2, partition="today", origin="daily")
    queue = ledger.queue(ACCOUNT, FOUR)

    assert [b.id for b in queue] == [
        backfill[0].id,
        daily[0].id,
        backfill[1].id,
        daily[1].id,
        backfill[2].id,
        backfill[3].id,
    ]


def test_nobody_waits_for_a_process_that_wants_nothing_any_more(ledger, ledger_clock):
    """A code location that is gone left planned batches: their turn never comes."""
    planned(ledger, shards=4, partition="old", origin="gone")
    ledger_clock.advance(DEMAND_LASTS / 2)
    [daily] = planned(ledger, partition="today", origin="daily")
    one = Budget(batches=1)
    assert try_to_send(ledger, daily, one) is WaitKind.TURN

    ledger_clock.advance(DEMAND_LASTS)

    assert try_to_send(ledger, daily, one) is None


def test_a_live_process_keeps_its_turn_by_saying_what_it_wants(ledger, ledger_clock):
    planned(ledger, partition="old", origin="slow")
    [daily] = planned(ledger, partition="today", origin="daily")
    ledger_clock.advance(DEMAND_LASTS * 2)

    ledger.request_sets.want(["words"])

    assert try_to_send(ledger, daily, Budget(batches=1)) is WaitKind.TURN


def test_a_batch_that_is_not_to_be_sent_yet_takes_nobodys_turn(ledger, ledger_clock):
    later = ledger_clock.now + timedelta(hours=1)
    planned(ledger, partition="retried", origin="retry", not_before=later)
    [daily] = planned(ledger, partition="today", origin="daily")

    assert try_to_send(ledger, daily, Budget(batches=1)) is None
    assert [batch.id for batch in ledger.queue(ACCOUNT, FOUR)] == []


@pytest.mark.parametrize(
    "scope",
    [
        Scope(account=ACCOUNT),
        Scope(inference="words"),
        Scope(inference="words", partition_key="p"),
    ],
    ids=str,
)
def test_what_a_person_paused_is_not_sent_until_it_is_resumed(ledger, scope):
    [batch] = planned(ledger)
    ledger.pauses.add(scope, owner="ann", reason="too dear")

    waiting = ledger.reserve(batch, owner="run-1", lease=LEASE, budget=FOUR)

    assert waiting == Waiting(kind=WaitKind.PAUSED, reason=f"{scope} is paused by ann: too dear")
    assert ledger.queue(ACCOUNT, FOUR) == []
    ledger.pauses.lift(scope, owner="ann")
    assert try_to_send(ledger, batch) is None


@pytest.mark.parametrize(
    "scope",
    [
        Scope(account=Account("another")),
        Scope(inference="glosses"),
        Scope(inference="words", partition_key="q"),
    ],
    ids=str,
)
def test_a_pause_of_something_else_stops_nothing(ledger, scope):
    [batch] = planned(ledger)

    ledger.pauses.add(scope, owner="ann", reason="too dear")

    assert try_to_send(ledger, batch) is None


def test_what_is_paused_keeps_no_other_waiting_for_its_turn(ledger):
    planned(ledger, shards=4, partition="big", origin="backfill")
    [daily] = planned(ledger, partition="today", origin="daily")
    scope = Scope(inference="words", partition_key="big")

    ledger.pauses.add(scope, owner="ann", reason="later")

    assert try_to_send(ledger, daily, Budget(batches=1)) is None


def test_the_accounts_stop_is_said_before_a_persons_pause(ledger):
    """The stop needs a hand; the pause was somebody's wish."""
    [batch] = planned(ledger)
    scope = Scope(account=ACCOUNT)
    ledger.pauses.add(scope, owner="ann", reason="lunch")
    ledger.pauses.add(scope, owner="run-1", reason="no credit", is_stop=True)

    assert try_to_send(ledger, batch) is WaitKind.STOPPED
    assert ledger.pauses.lift(scope, owner="ann") == 2
    assert try_to_send(ledger, batch) is None


def test_a_pause_given_again_is_one_order_with_the_new_reason(ledger, ledger_clock):
    scope = Scope(inference="words")
    since = ledger_clock.now
    ledger.pauses.add(scope, owner="ann", reason="lunch")
    ledger_clock.advance(timedelta(minutes=1))

    ledger.pauses.add(scope, owner="bob", reason="holiday")

    [pause] = ledger.pauses.standing()
    assert (pause.owner, pause.reason, pause.since) == ("bob", "holiday", since)


def test_a_refusal_for_want_of_room_keeps_the_accounts_other_batches_waiting(ledger, ledger_clock):
    """Row 31: not every batch asks again by itself."""
    first, second = planned(ledger, shards=2)
    refuse(ledger, first)

    assert try_to_send(ledger, second) is WaitKind.CAPACITY

    ledger_clock.now = ledger.accounts.capacity(ACCOUNT).not_before
    assert try_to_send(ledger, second) is None


def test_refusals_in_a_row_are_waited_for_longer_and_longer(ledger, ledger_clock):
    [batch] = planned(ledger)
    waits = []
    for _ in range(4):
        refuse(ledger, ledger.batch(batch.id))
        until = ledger.accounts.capacity(ACCOUNT).not_before
        waits.append(until - ledger_clock.now)
        ledger_clock.now = until

    assert sorted(waits) == waits
    assert waits[3] > 4 * waits[0]


def test_what_was_learned_of_the_room_is_forgotten_when_the_account_is_resumed(ledger):
    first, second = planned(ledger, shards=2)
    refuse(ledger, first)

    ledger.pauses.lift(Scope(account=ACCOUNT), owner="ann")

    assert try_to_send(ledger, second) is None


def test_a_cancelled_partition_drops_what_was_not_sent_and_plans_nothing_more(ledger):
    first, second, third = planned(ledger, shards=3)
    reserved(ledger, first)

    dropped = ledger.request_sets.cancel(
        first.request_set, owner="ann", reason="wrong prompt", cancels_batches=False
    )

    assert dropped == 2
    assert [batch.state for batch in ledger.batches()] == [S.RESERVED, S.ABANDONED, S.ABANDONED]
    assert ledger.events(third.id)[-1].reason == "wrong prompt"
    with pytest.raises(StaleMove):
        ledger.reserve(second, owner="run-1", lease=LEASE, budget=FOUR)


def test_a_partition_that_is_cancelled_while_a_wave_is_planned_gets_no_batches(ledger):
    request_set = open_set(ledger)
    ledger.request_sets.cancel(request_set, owner="ann", reason="no", cancels_batches=False)

    ledger.plan(request_set, [], wave=1, account=ACCOUNT, endpoint="/v1/x", owner="run-1")

    [found] = ledger.request_sets.unresolved(Scope(inference="words"))
    assert (found.wave, ledger.batches()) == (0, [])
