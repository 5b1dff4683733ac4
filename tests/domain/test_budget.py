import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.budget import Budget, Reservation, target

counts = st.integers(0, 10**12)
reservations = st.builds(Reservation, requests=counts, tokens=counts, inputs=counts, batches=counts)
UNITS = ("requests", "tokens", "inputs", "batches")


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
    budget = Budget(requests=10, tokens=10, inputs=10, batches=10)

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
    budget = Budget(requests=10**12, tokens=10**12, inputs=10**12, batches=10**12)

    assert budget.has_room(held, asked) or not budget.has_room(held + more, asked)


@pytest.mark.parametrize(
    ("held", "share"),
    [
        (Reservation(), 0.0),
        (Reservation(tokens=50, batches=1), 0.5),
        (Reservation(tokens=50, inputs=9, batches=1), 0.9),
        # Requests have no limit here.
        (Reservation(requests=10**6, batches=1), 0.25),
    ],
)
def test_a_share_is_that_of_the_unit_of_which_most_is_taken(held, share):
    """Row 33: tokens, requests and embedding inputs are three budgets."""
    budget = Budget(tokens=100, inputs=10, batches=4)

    assert budget.share(held) == share


def test_without_any_limit_a_share_is_counted_in_batches():
    assert Budget().share(Reservation(requests=10**6, batches=3)) == 3.0


@pytest.mark.parametrize(
    ("parts", "used"),
    [
        ({}, 90_000),
        ({"ratio": 0.8}, 72_000),
        ({"headroom": 10_000}, 80_000),
        ({"ratio": 0.8, "headroom": 10_000}, 72_000),
        ({"ratio": 0.9, "headroom": 10_000}, 80_000),
        ({"headroom": 89_999}, 1),
    ],
)
def test_of_a_limit_the_ratio_or_what_the_headroom_leaves_is_used(parts, used):
    assert target(90_000, **parts) == used


@given(st.integers(1, 10**12), st.floats(0, 1, exclude_min=True), st.integers(0, 10**12))
def test_no_more_than_the_limit_is_used_and_the_headroom_is_left(limit, ratio, headroom):
    try:
        used = target(limit, ratio=ratio, headroom=headroom)
    except ValueError:
        assert limit - headroom <= 0 or int(limit * ratio) <= 0
    else:
        assert 0 < used <= limit - headroom
        assert used <= limit * ratio


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"ratio": 0.0}, "target_ratio is 0.0"),
        ({"ratio": -0.1}, "target_ratio is -0.1"),
        ({"ratio": 1.1}, "target_ratio is 1.1"),
        ({"ratio": float("nan")}, "target_ratio is nan"),
        ({"headroom": -1}, "headroom is -1"),
        ({"headroom": 90_000}, "headroom 90,000 leaves nothing: lower the headroom"),
        ({"ratio": 0.00001}, "1e-05 .* raise the ratio"),
    ],
)
def test_a_part_of_a_limit_that_cannot_be_is_refused_with_the_way_out(parts, said):
    with pytest.raises(ValueError, match=said):
        target(90_000, **parts)
