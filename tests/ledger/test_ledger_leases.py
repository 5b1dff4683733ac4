"""Who may decide on a reserved batch, and what the account may hold at once."""

from datetime import timedelta

import pytest
from factories import a_provider_batch
from ledger_world import ACCOUNT, CALLS, IN_STATE, LEASE, planned, reserved

from batch_assets.domain.batch import Account, Batch, BatchState
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.domain.errors import StaleMove

S = BatchState


def test_a_reserved_batch_is_its_owners_until_the_lease_ends(ledger, ledger_clock):
    batch = reserved(ledger)

    assert (batch.lease_owner, batch.lease_until) == ("run-1", ledger_clock.now + LEASE)
    assert batch.reserved_at == ledger_clock.now


@pytest.mark.parametrize("name", ["record", "release", "give up"])
def test_only_the_owner_of_the_lease_decides_on_a_reserved_batch(ledger, name):
    batch = reserved(ledger, owner="run-2")

    with pytest.raises(StaleMove, match="in the hands of run-1"):
        CALLS[name][2](ledger, batch)

    assert ledger.batch(batch.id) == batch


@pytest.mark.parametrize("name", ["record", "release", "give up"])
def test_an_earlier_reservation_of_the_same_owner_decides_nothing(ledger, ledger_clock, name):
    """Row 22: of two threads of one name, the one that slept may not speak for the other."""
    slept = reserved(ledger)
    ledger.release(slept, owner="run-1", reason="not there")
    ledger_clock.advance(LEASE)
    reserved(ledger, ledger.batch(slept.id))

    with pytest.raises(StaleMove):
        CALLS[name][2](ledger, slept)


def test_a_batch_is_doubtful_only_after_its_lease(ledger, ledger_clock):
    batch = reserved(ledger)
    ledger_clock.advance(LEASE)
    assert not ledger.doubtful_batches(ACCOUNT)

    ledger_clock.advance(timedelta(microseconds=1))

    assert ledger.doubtful_batches(ACCOUNT) == [batch]
    assert not ledger.doubtful_batches(Account("another"))


def test_a_renewed_lease_ends_later(ledger, ledger_clock):
    batch = reserved(ledger)
    ledger_clock.advance(LEASE)

    assert ledger.renew(batch, owner="run-1", lease=LEASE)
    assert ledger.batch(batch.id).lease_until == ledger_clock.now + LEASE


def test_nobody_renews_the_lease_of_another_or_of_a_batch_that_moved_on(ledger):
    batch = reserved(ledger)
    assert not ledger.renew(batch, owner="run-2", lease=LEASE)

    ledger.record(batch, a_provider_batch(), owner="run-1")

    assert not ledger.renew(batch, owner="run-1", lease=LEASE)


def test_one_of_two_takes_over_a_doubtful_batch(ledger, other, ledger_clock):
    batch = reserved(ledger)
    ledger_clock.advance(LEASE * 2)

    taken = [
        ledger.take_over(batch, owner="run-2", lease=LEASE),
        other.take_over(batch, owner="run-3", lease=LEASE),
    ]

    assert taken == [True, False]
    assert ledger.batch(batch.id).lease_owner == "run-2"


def test_a_batch_within_its_lease_is_not_taken_over(ledger):
    batch = reserved(ledger)

    assert not ledger.take_over(batch, owner="run-2", lease=LEASE)


def test_the_one_that_took_over_records_what_it_found(ledger, ledger_clock):
    """Row 22: a batch that exists after all is adopted, not sent again."""
    batch = reserved(ledger)
    ledger_clock.advance(LEASE * 2)
    ledger.take_over(batch, owner="run-2", lease=LEASE)

    ledger.record(batch, a_provider_batch("found"), owner="run-2")

    assert ledger.batch(batch.id).provider_id == "found"


@pytest.mark.parametrize("unit", ["requests", "tokens", "inputs", "batches"])
def test_no_batch_is_reserved_beyond_any_unit_of_the_budget(ledger, unit):
    """Row 34: the account's room is counted here, since no provider tells."""
    most = {"requests": 25, "tokens": 250, "inputs": 45, "batches": 2}[unit]

    held = [
        ledger.reserve(batch, owner="run-1", lease=LEASE, budget=Budget(**{unit: most}))
        for batch in planned(ledger, shards=3, inputs=20)
    ]

    assert [isinstance(batch, Batch) for batch in held] == [True, True, False]
    assert ledger.held(ACCOUNT) == Reservation(requests=20, tokens=200, inputs=40, batches=2)


@pytest.mark.parametrize("state", S)
def test_budget_is_held_from_the_reservation_to_the_end(ledger, state):
    IN_STATE[state](ledger)

    assert ledger.held(ACCOUNT).batches == (state in {S.RESERVED, S.SUBMITTED})


def test_partitions_of_one_account_share_its_budget_and_other_accounts_do_not(ledger):
    reserved(ledger, planned(ledger, partition="a")[0])
    reserved(ledger, planned(ledger, partition="b")[0])
    reserved(ledger, planned(ledger, partition="c", account=Account("another"))[0])

    assert ledger.held(ACCOUNT).batches == 2


def test_a_refusal_is_counted_and_says_when_to_try_again(ledger, ledger_clock):
    """Row 31: a provider without room costs no attempt."""
    later = ledger_clock.now + timedelta(seconds=30)
    batch = reserved(ledger)

    ledger.release(batch, owner="run-1", reason="full", not_before=later)

    found = ledger.batch(batch.id)
    assert (found.refusals, found.not_before, found.attempt) == (1, later, 1)
    assert (found.lease_owner, found.reserved_at, found.reason) == (None, None, "full")


def test_a_release_without_a_refusal_is_not_counted(ledger):
    batch = reserved(ledger)

    ledger.release(batch, owner="run-1", reason="it was never sent")

    assert ledger.batch(batch.id).refusals == 0


def test_a_batch_keeps_its_key_when_it_is_offered_again(ledger):
    batch = reserved(ledger)
    ledger.release(batch, owner="run-1", reason="it was never sent")

    assert reserved(ledger, ledger.batch(batch.id)).key == batch.key
