import itertools

import pytest

from batch_assets.domain.batch import FINAL, HOLDING, MOVES, BatchState, check_move
from batch_assets.domain.errors import IllegalMove

STATES = list(BatchState)
ILLEGAL = [pair for pair in itertools.product(STATES, STATES) if pair not in MOVES]


def test_the_table_has_these_moves_and_no_others():
    assert {(str(current), str(target)) for current, target in MOVES} == {
        ("planned", "reserved"),
        ("planned", "abandoned"),
        ("reserved", "submitted"),
        ("reserved", "planned"),
        ("reserved", "abandoned"),
        ("submitted", "ended"),
        ("submitted", "abandoned"),
        ("ended", "collected"),
        ("ended", "abandoned"),
    }


@pytest.mark.parametrize(("current", "target"), MOVES)
def test_a_move_of_the_table_is_allowed(current, target):
    assert check_move(current, target) is None


@pytest.mark.parametrize(("current", "target"), ILLEGAL)
def test_any_other_move_is_refused_with_both_states_named(current, target):
    with pytest.raises(IllegalMove, match=f"a {current} batch cannot become {target}"):
        check_move(current, target)


def test_nothing_leaves_a_final_state():
    assert set(FINAL) == {BatchState.COLLECTED, BatchState.ABANDONED}
    assert not [current for current, _ in MOVES if current in FINAL]


def test_every_state_can_be_reached_and_every_other_one_can_be_left():
    assert {target for _, target in MOVES} == set(STATES)
    assert {current for current, _ in MOVES} == set(STATES) - FINAL


def test_budget_is_held_while_a_batch_may_be_at_the_provider():
    assert set(HOLDING) == {BatchState.RESERVED, BatchState.SUBMITTED}


def test_a_submitted_batch_is_followed_to_its_end_unless_a_person_says_it_is_lost():
    """Row 18: cancelling is a request; the batch is observed until the provider is done."""
    assert {target: why for (current, target), why in MOVES.items() if current == "submitted"} == {
        BatchState.ENDED: "end: the provider reached a terminal status",
        BatchState.ABANDONED: "lose: a person says that the provider does not have it any more",
    }
