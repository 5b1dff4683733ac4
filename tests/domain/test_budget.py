import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.budget import Budget, Reservation

counts = st.integers(0, 10**12)
reservations = st.builds(Reservation, requests=counts, tokens=counts, batches=counts)
UNITS = ("requests", "tokens", "batches")


def test_an_unlimited_budget_has_room_for_anything():
    held = Reservation(requests=10**9, tokens=10**12, batches=10**6)

    assert Budget().has_room(held, held)
    assert not Budget().never_fits(held)


@pytest.mark.parametrize("unit", UNITS)
def test_a_budget_may_be_filled_to_the_last_unit_and_no_further(unit):
    budget, held = Budget(**{unit: 10}), Reservation(**{unit: 7})

    assert budget.has_room(held, Reservation(**{unit: 3}))
    assert not budget.has_room(held, Reservation(**{unit: 4}))


@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_is_a_limit_of_its_own(unit):
    budget = Budget(requests=10, tokens=10, batches=10)

    assert not budget.has_room(Reservation(), Reservation(**{unit: 11}))


def test_what_is_more_than_the_whole_budget_never_fits():
    """Row 31: one job larger than the queue is not a matter of waiting."""
    budget = Budget(tokens=90_000)

    assert budget.never_fits(Reservation(tokens=90_001))
    assert not budget.never_fits(Reservation(tokens=90_000))


def test_a_budget_of_nothing_lets_nothing_through():
    assert Budget(batches=0).never_fits(Reservation(batches=1))


@given(reservations, reservations)
def test_reservations_add_up_unit_by_unit(one, other):
    total = one + other

    assert [getattr(total, unit) for unit in UNITS] == [
        getattr(one, unit) + getattr(other, unit) for unit in UNITS
    ]


@given(reservations, reservations, reservations)
def test_room_does_not_grow_with_what_is_held(held, more, asked):
    budget = Budget(requests=10**12, tokens=10**12, batches=10**12)

    assert budget.has_room(held, asked) or not budget.has_room(held + more, asked)
