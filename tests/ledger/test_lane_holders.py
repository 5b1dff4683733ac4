"""A submitted batch of a lane is in one holder's hands, on every database."""

from datetime import timedelta

import pytest
from factories import a_provider_batch
from ledger_world import ACCOUNT, LEASE, planned, submitted

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.control import Scope
from batch_assets.domain.errors import StaleMove
from batch_assets.domain.lane import COMPLETED, Order
from batch_assets.domain.provider import Phase
from batch_assets.ledger import Ledger

HOLDERS = [f"holder-{number}" for number in range(4)]


def take_and_finish(ledger: Ledger, number: int) -> None:
    """As each of four processes does to every batch that is free."""
    for batch in ledger.batches(states={BatchState.SUBMITTED}):
        holder = HOLDERS[number]
        if ledger.hands.take(batch, holder=holder, lease=LEASE):
            finish(ledger, batch, holder)


def finish(ledger: Ledger, batch: Batch, holder: str) -> None:
    found = a_provider_batch(batch.provider_id, phase=Phase.ENDED, status=COMPLETED)
    ledger.hands.finish(batch, found, holder=holder, owner=holder)


def test_of_two_that_take_a_batch_one_has_it(ledger, other) -> None:
    batch = submitted(ledger)

    taken = [
        each.hands.take(batch, holder=name, lease=LEASE)
        for each, name in ((ledger, "one"), (other, "another"))
    ]

    assert taken == [True, False]
    assert ledger.hands.free(ACCOUNT) == []


def test_each_batch_is_ended_by_one_of_four_processes(ledger, url, crew) -> None:
    for number, batch in enumerate(planned(ledger, shards=12)):
        submitted(ledger, batch, id=f"batch-{number}")

    crew.all_do(take_and_finish, url)

    assert {batch.state for batch in ledger.batches()} == {BatchState.COLLECTED}
    for batch in ledger.batches():
        moves = [event.to_state for event in ledger.events(batch.id)]
        assert moves == ["planned", "reserved", "submitted", "ended", "collected"]


def test_a_lease_that_is_over_is_anybodys(ledger, ledger_clock) -> None:
    batch = submitted(ledger)
    ledger.hands.take(batch, holder="dead", lease=LEASE)
    ledger_clock.advance(LEASE + timedelta(seconds=1))

    assert [each.id for each in ledger.hands.free(ACCOUNT)] == [batch.id]
    assert ledger.hands.take(batch, holder="next", lease=LEASE)
    assert not ledger.hands.keep(batch, holder="dead", lease=LEASE)
    assert ledger.hands.order(batch, holder="dead") is Order.LEAVE
    with pytest.raises(StaleMove):
        finish(ledger, batch, "dead")


def test_a_lease_that_is_kept_is_nobody_elses(ledger, ledger_clock) -> None:
    batch = submitted(ledger)
    ledger.hands.take(batch, holder="one", lease=LEASE)
    for _ in range(5):
        ledger_clock.advance(LEASE / 2)
        assert ledger.hands.keep(batch, holder="one", lease=LEASE)

    assert not ledger.hands.take(batch, holder="another", lease=LEASE)


def test_what_is_let_go_is_free_at_once(ledger) -> None:
    batch = submitted(ledger)
    ledger.hands.take(batch, holder="one", lease=LEASE)

    ledger.hands.let_go(batch, holder="one")

    assert [each.id for each in ledger.hands.free(ACCOUNT)] == [batch.id]


def test_both_moves_of_an_end_are_made_at_once(ledger, ledger_clock) -> None:
    batch = submitted(ledger)
    ledger.hands.take(batch, holder="one", lease=LEASE)

    finish(ledger, batch, "one")

    [ended] = ledger.batches()
    assert (ended.state, ended.ended_at) == (BatchState.COLLECTED, ledger_clock())
    assert (ended.lease_owner, ended.lease_until) == (None, None)
    assert ledger.held(ACCOUNT).batches == 0


@pytest.mark.parametrize(
    "scope", [Scope(account=ACCOUNT), Scope(inference="words"), Scope(origin="backfill")]
)
def test_an_order_is_heard_while_it_stands(ledger, scope: Scope) -> None:
    [batch] = planned(ledger, origin="backfill")
    batch = submitted(ledger, batch)
    ledger.hands.take(batch, holder="one", lease=LEASE)
    heard = [ledger.hands.order(batch, holder="one")]
    ledger.pauses.add(scope, owner="ann", reason="why")
    heard.append(ledger.hands.order(batch, holder="one"))
    ledger.pauses.lift(scope, owner="ann")
    heard.append(ledger.hands.order(batch, holder="one"))

    assert heard == [Order.GO_ON, Order.PAUSE, Order.GO_ON]


def test_a_batch_of_a_replaced_request_set_is_to_end(ledger) -> None:
    batch = submitted(ledger)
    ledger.hands.take(batch, holder="one", lease=LEASE)

    ledger.request_sets.open("words", "p", "d2", origin="")

    assert ledger.hands.order(batch, holder="one") is Order.END


def test_how_far_it_is_says_the_holder_and_nobody_else(ledger, ledger_clock) -> None:
    batch = submitted(ledger)
    ledger.hands.take(batch, holder="one", lease=LEASE)

    ledger.hands.report(batch, holder="one", completed=7, failed=1)
    ledger.hands.report(batch, holder="another", completed=9, failed=9)

    [told] = ledger.batches()
    assert (told.completed, told.failed, told.polled_at) == (7, 1, ledger_clock())
