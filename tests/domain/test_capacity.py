"""Room that no provider tells of is learned from its refusals and acceptances."""

from datetime import timedelta

import pytest
from factories import NOON
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.budget import Reservation
from batch_assets.domain.capacity import FIRST_WAIT, LONGEST_WAIT, Capacity, backoff

SECOND = timedelta(seconds=1)
LONG_AFTER = NOON + timedelta(hours=2)


def tokens(count: int) -> Reservation:
    return Reservation(tokens=count, batches=1 if count else 0)


def refused(held: int = 100, *, before: Capacity | None = None) -> Capacity:
    believed = before or Capacity()
    return believed.refused(tokens(held), NOON, account="openai", reason="queue full")


@given(st.integers(1, 200), st.text())
def test_a_wait_is_spread_by_a_quarter_and_never_longer_than_the_longest(refusals, seed):
    wait = backoff(refusals, seed)

    unspread = (
        min(FIRST_WAIT * 2 ** (refusals - 1), LONGEST_WAIT) if refusals < 20 else LONGEST_WAIT
    )
    assert 0.75 * unspread - SECOND <= wait <= 1.25 * unspread + SECOND


def test_waits_grow_with_each_refusal():
    assert [backoff(n, "a") < backoff(n + 1, "a") for n in range(1, 5)] == [True] * 4


def test_two_accounts_do_not_come_back_at_the_same_moment():
    assert backoff(3, "one") != backoff(3, "another")


def test_everything_is_offered_before_any_refusal():
    assert Capacity().allows(tokens(10**12), tokens(10**12), NOON)


def test_after_a_refusal_only_what_was_held_is_believed_to_have_room():
    believed = refused(held=100)

    assert believed.believed_tokens == 100
    assert believed.allows(tokens(60), tokens(40), NOON)
    assert not believed.allows(tokens(60), tokens(41), NOON)


def test_more_than_the_belief_is_tried_when_the_wait_is_over():
    believed = refused(held=100)

    assert not believed.allows(tokens(100), tokens(1), believed.not_before - timedelta(seconds=1))
    assert believed.allows(tokens(100), tokens(1), believed.not_before)


def test_each_refusal_in_a_row_doubles_the_wait():
    once, twice = refused(), refused(before=refused())

    assert (once.refusals, twice.refusals) == (1, 2)
    assert (twice.not_before - NOON) > 1.2 * (once.not_before - NOON)


def test_a_lower_refusal_lowers_the_belief():
    assert refused(40, before=refused(100)).believed_tokens == 40


def test_an_acceptance_beyond_the_belief_raises_it_and_ends_the_waiting():
    learned = refused(100).accepted(tokens(130))

    assert (learned.believed_tokens, learned.refusals, learned.not_before) == (130, 0, None)
    assert learned.allows(tokens(130), tokens(50), NOON)


def test_an_acceptance_within_the_belief_teaches_nothing():
    believed = refused(100)

    assert believed.accepted(tokens(100)) == believed
    assert Capacity().accepted(tokens(100)) == Capacity()


def test_a_refusal_of_an_empty_account_says_that_others_use_its_queue():
    """Row 31: the provider says full, the ledger says empty. Row 32: the drift is shown."""
    assert "the ledger holds nothing" in refused(held=0).reason
    assert refused(held=5).reason == "queue full"


@pytest.mark.parametrize("held", [0, 100])
def test_no_belief_keeps_a_shard_waiting_for_ever(held):
    believed = refused(held)
    for _ in range(30):
        believed = refused(held, before=believed)

    assert believed.allows(tokens(held), tokens(10**9), LONG_AFTER)
