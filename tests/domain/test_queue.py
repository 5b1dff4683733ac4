"""Room goes to whoever holds the least of it; among equals, to whoever asked first."""

from factories import a_batch, a_request_set
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.batch import Batch, BatchId
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.domain.queue import Demand, asked_before, in_order

BUDGET = Budget(tokens=1_000)


def waiting(number: int, origin: str, tokens: int = 100) -> Batch:
    return a_batch(
        id=BatchId(number),
        request_set=a_request_set(origin=origin),
        reservation=Reservation(requests=1, tokens=tokens, batches=1),
    )


def holding(tokens: int) -> Reservation:
    return Reservation(tokens=tokens, batches=1)


def ids(batches: list[Batch]) -> list[int]:
    return [int(batch.id) for batch in batches]


def test_one_origin_is_served_in_the_order_it_planned():
    assert ids(in_order([waiting(3, "a"), waiting(1, "a"), waiting(2, "a")], {}, BUDGET)) == [
        1,
        2,
        3,
    ]


def test_a_daily_partition_is_not_starved_by_a_backfill_that_planned_before_it():
    backfill = [waiting(number, "backfill") for number in range(1, 501)]
    daily = waiting(501, "daily")

    order = ids(in_order([*backfill, daily], {"backfill": holding(900)}, BUDGET))

    assert order[0] == 501
    assert order[1:] == list(range(1, 501))


def test_two_who_hold_nothing_take_turns():
    batches = [waiting(1, "a"), waiting(2, "a"), waiting(3, "b"), waiting(4, "b")]

    assert ids(in_order(batches, {}, BUDGET)) == [1, 3, 2, 4]


def test_turns_are_counted_by_tokens_and_not_by_batches():
    batches = [waiting(1, "large", 300), waiting(2, "large", 300)]
    batches += [waiting(number, "small", 100) for number in (3, 4, 5, 6)]

    assert ids(in_order(batches, {}, BUDGET)) == [1, 3, 4, 5, 2, 6]


def test_without_a_budget_turns_are_counted_by_batches():
    batches = [waiting(1, "a", 900), waiting(2, "a"), waiting(3, "b")]

    assert ids(in_order(batches, {}, Budget())) == [1, 3, 2]


def test_those_who_hold_less_ask_first():
    demand = Demand(origin="daily", first=BatchId(7), asked=holding(100))
    held = {"backfill": holding(300), "daily": holding(200)}

    assert asked_before(waiting(1, "backfill"), [demand], held, BUDGET) == holding(100)
    assert asked_before(waiting(1, "daily"), [demand], held, BUDGET) == Reservation()


def test_those_who_hold_as_much_and_asked_later_come_later():
    demand = Demand(origin="daily", first=BatchId(7), asked=holding(100))

    assert asked_before(waiting(1, "backfill"), [demand], {}, BUDGET) == Reservation()
    assert asked_before(waiting(8, "backfill"), [demand], {}, BUDGET) == holding(100)


def test_a_turn_lasts_until_the_others_have_as_much():
    """Else the room that is kept for them stays empty, whenever they ask for more than there is."""
    demand = Demand(
        origin="b", first=BatchId(50), asked=Reservation(requests=90, tokens=9_000, batches=90)
    )

    room_kept = [
        asked_before(waiting(9, "a"), [demand], {"a": holding(tokens)}, BUDGET).tokens
        for tokens in (0, 100, 400)
    ]

    assert room_kept == [0, 100, 400]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 400)), max_size=30))
def test_whoever_is_first_in_order_is_kept_waiting_by_nobody(asked):
    batches = [waiting(number, origin, size) for number, (origin, size) in enumerate(asked, 1)]
    order = in_order(batches, {}, BUDGET)
    demands = [
        Demand(
            origin=origin,
            first=min(b.id for b in batches if b.request_set.origin == origin),
            asked=holding(1),
        )
        for origin in {batch.request_set.origin for batch in batches}
    ]

    assert sorted(ids(order)) == [int(batch.id) for batch in batches]
    assert not order or asked_before(order[0], demands, {}, BUDGET) == Reservation()
