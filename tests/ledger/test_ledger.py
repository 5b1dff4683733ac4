"""What the ledger promises of batches, on every database it is made for."""

from dataclasses import replace
from datetime import timedelta

import pytest
from factories import a_provider_batch, a_shard
from ledger_world import (
    ACCOUNT,
    CALLS,
    IN_STATE,
    ended,
    open_set,
    planned,
    reserved,
    submitted,
)

from batch_assets.domain.batch import MOVES, Account, BatchProblem, BatchState, Event
from batch_assets.domain.budget import Reservation
from batch_assets.domain.errors import IllegalMove, LedgerError, StaleMove
from batch_assets.domain.provider import Phase
from batch_assets.ledger.polls import Sighting

S = BatchState

BEGINS_IN = {
    "reserve": S.PLANNED,
    "drop": S.PLANNED,
    "record": S.RESERVED,
    "release": S.RESERVED,
    "give up": S.RESERVED,
    "end": S.SUBMITTED,
    "collect": S.ENDED,
    "reject": S.ENDED,
    "lose": S.SUBMITTED,
}
NOT_IN_THE_TABLE = [
    (name, state)
    for name, (target, _, _) in CALLS.items()
    for state in S
    if (state, target) not in MOVES
]


@pytest.mark.parametrize("name", CALLS)
def test_a_move_and_its_event_are_written_together(ledger, ledger_clock, name):
    """Row 20: every attempt and every move of it can be seen afterwards."""
    target, reason, call = CALLS[name]
    batch = IN_STATE[BEGINS_IN[name]](ledger)
    ledger_clock.advance(timedelta(seconds=5))

    call(ledger, batch)

    assert ledger.batch(batch.id).state is target
    assert ledger.events(batch.id)[-1] == Event(
        batch_id=batch.id,
        at=ledger_clock.now,
        from_state=batch.state,
        to_state=target,
        owner="run-1",
        reason=reason,
    )


@pytest.mark.parametrize("name", CALLS)
def test_the_second_of_two_that_move_a_batch_gets_stale_move(ledger, other, name):
    _, _, call = CALLS[name]
    batch = IN_STATE[BEGINS_IN[name]](ledger)
    call(ledger, batch)
    after = ledger.batches(), ledger.events(batch.id)

    with pytest.raises(StaleMove, match=f"batch {batch.id} is no longer {batch.state}"):
        call(other, batch)

    assert (ledger.batches(), ledger.events(batch.id)) == after


@pytest.mark.parametrize(("name", "state"), NOT_IN_THE_TABLE)
def test_a_move_that_the_table_lacks_changes_nothing(ledger, name, state):
    batch = IN_STATE[state](ledger)
    before = ledger.batches(), ledger.events(batch.id)

    with pytest.raises(IllegalMove):
        CALLS[name][2](ledger, batch)

    assert (ledger.batches(), ledger.events(batch.id)) == before


def test_planning_is_the_first_event_of_a_batch(ledger, ledger_clock):
    batch = planned(ledger)[0]

    assert ledger.events(batch.id) == [
        Event(
            batch_id=batch.id,
            at=ledger_clock.now,
            from_state=None,
            to_state=S.PLANNED,
            owner="planner",
            reason=None,
        )
    ]


def test_a_planned_batch_carries_what_its_shard_asks_of_the_budget(ledger):
    batch = planned(ledger)[0]

    assert batch.reservation == Reservation(requests=10, tokens=100, batches=1)
    assert (batch.attempt, batch.refusals, batch.account) == (1, 0, ACCOUNT)


def test_every_batch_has_a_key_of_its_own(ledger):
    """Row 22: the key finds a batch again at the provider after a lost reply."""
    assert len({batch.key for batch in planned(ledger, shards=20)}) == 20


def test_planning_again_plans_nothing_that_has_a_live_batch(ledger):
    """Row 26: a run that starts again finds what the last one planned."""
    first = planned(ledger, shards=2)

    assert planned(ledger, shards=2) == first


def test_a_shard_that_was_given_up_is_planned_as_its_next_attempt(ledger):
    ledger.give_up(reserved(ledger), owner="run-1", reason="bad request")

    assert [(b.attempt, b.state) for b in planned(ledger)] == [(1, S.ABANDONED), (2, S.PLANNED)]


def test_a_rejected_batch_is_followed_by_its_next_attempt(ledger):
    """Row 31: the offer failed for want of room; the same shard is offered again later."""
    batch = ended(ledger)

    ledger.reject(batch, owner="sensor", reason="queue full", for_capacity=True)

    following = ledger.batches(states={S.PLANNED})[0]
    assert (following.attempt, following.refusals, following.reason) == (2, 1, "queue full")
    assert following.reservation == batch.reservation
    assert following.key != batch.key


def test_a_batch_rejected_after_its_partition_was_cancelled_is_not_offered_again(ledger):
    batch = ended(ledger)
    ledger.request_sets.cancel(batch.request_set, owner="ann", reason="no", cancels_batches=False)

    ledger.reject(ledger.batches()[0], owner="sensor", reason="full", for_capacity=True)

    assert [batch.state for batch in ledger.batches()] == [S.ABANDONED]


@pytest.mark.parametrize("offer_again", [True, False])
def test_a_lost_batch_is_offered_again_where_a_person_wants_it(ledger, offer_again):
    batch = submitted(ledger)

    ledger.lose(batch, owner="ann", reason="gone", offer_again=offer_again)

    attempts = [(found.attempt, found.state) for found in ledger.batches()]
    assert attempts == [(1, S.ABANDONED), (2, S.PLANNED)][: 1 + offer_again]


def test_a_recorded_batch_has_the_providers_id_and_no_lease(ledger, ledger_clock):
    batch = submitted(ledger, id="batch-7")

    assert (batch.provider_id, batch.provider_status) == ("batch-7", "in_progress")
    assert (batch.submitted_at, batch.lease_owner) == (ledger_clock.now, None)


def test_no_two_rows_have_the_same_batch_of_the_provider(ledger):
    first, second = planned(ledger, shards=2)
    submitted(ledger, first, id="batch-1")

    with pytest.raises(LedgerError, match="provider batch has one row"):
        submitted(ledger, second, id="batch-1")


def test_what_the_provider_says_of_an_open_batch_is_noted(ledger, ledger_clock):
    batch = submitted(ledger)
    ledger_clock.advance(timedelta(minutes=1))

    found = a_provider_batch(status="finalizing", completed=7, failed=1)
    ledger.polls.observe([Sighting(batch=batch, found=found)])

    found = ledger.batch(batch.id)
    assert (found.provider_status, found.completed, found.failed) == ("finalizing", 7, 1)
    assert found.polled_at == ledger_clock.now


def test_an_observation_that_comes_late_changes_nothing(ledger):
    batch = ended(ledger)

    found = a_provider_batch(status="in_progress")
    ledger.polls.observe([Sighting(batch=batch, found=found)])

    assert ledger.batch(batch.id) == batch


def test_an_ended_batch_has_its_files_whatever_it_ended_as(ledger):
    """Rows 8 and 9: an expired batch with an output file has answers to collect."""
    batch = ended(ledger, status="expired", output_file_id="out", error_file_id="err", completed=1)

    assert (batch.provider_status, batch.output_file_id, batch.error_file_id) == (
        "expired",
        "out",
        "err",
    )
    assert batch.completed == 1


def test_a_batch_that_failed_as_a_whole_says_why(ledger):
    """Row 43: code, line and message of the provider's errors are kept."""
    problems = (
        BatchProblem(code="invalid_json_line", message="not JSON", line=3),
        BatchProblem(code=None, message="and more"),
    )

    batch = ended(ledger, status="failed", problems=problems)

    assert batch.error_code == "invalid_json_line"
    assert batch.reason == "line 3: invalid_json_line not JSON; and more"


def test_a_note_says_why_a_batch_stays_where_it_is(ledger):
    batch = reserved(ledger)

    ledger.note(batch, "no reply came")

    assert ledger.batch(batch.id) == replace(batch, reason="no reply came")
    assert len(ledger.events(batch.id)) == 2


def test_a_note_on_a_batch_that_moved_on_is_dropped(ledger):
    batch = reserved(ledger)
    ledger.record(batch, a_provider_batch(), owner="run-1")

    ledger.note(batch, "no reply came")

    assert ledger.batch(batch.id).reason is None


def test_a_batch_that_is_not_there_is_asked_for_in_vain(ledger):
    with pytest.raises(LedgerError, match="the ledger has no batch 4711"):
        ledger.batch(4711)


def test_batches_are_found_by_every_condition_given(ledger):
    first, second = planned(ledger, partition="a", shards=2)
    [other] = planned(ledger, partition="b", account=Account("another"))
    reserved(ledger, first)
    [later] = planned(ledger, partition="a", wave=1)

    def ids(**conditions):
        return [batch.id for batch in ledger.batches(**conditions)]

    assert ids() == [first.id, second.id, other.id, later.id]
    assert ids(partition=("words", "a"), wave=0) == [first.id, second.id]
    assert ids(account=Account("another")) == [other.id]
    assert ids(states={S.RESERVED}) == [first.id]
    assert ids(request_set=other.request_set.id) == [other.id]
    assert ids(partition=("words", "b"), states={S.RESERVED}) == []
    assert ids(partition=("others", "a")) == []
    assert ids(states=[]) == []


def test_planning_a_later_wave_puts_it_on_its_way(ledger):
    planned(ledger)

    assert planned(ledger, wave=2)[0].request_set.wave == 2
    assert planned(ledger, wave=1)[0].request_set.wave == 2


def test_unresolved_batches_are_those_of_the_wave_on_its_way_of_current_request_sets(ledger):
    planned(ledger, partition="a", digest="old")
    planned(ledger, partition="a", digest="new")
    current = planned(ledger, partition="a", digest="new", wave=1)
    planned(ledger, partition="done")
    ledger.request_sets.resolve(open_set(ledger, "done"))

    assert ledger.batches_of_unresolved() == current


def test_a_ledger_without_shards_plans_nothing(ledger):
    assert planned(ledger, shards=0) == []


def test_the_phase_of_a_provider_does_not_move_a_batch_by_itself(ledger):
    batch = submitted(ledger)

    found = a_provider_batch(phase=Phase.ENDED, status="completed")
    ledger.polls.observe([Sighting(batch=batch, found=found)])

    assert ledger.batch(batch.id).state is S.SUBMITTED


def test_a_shards_size_is_the_one_it_was_planned_with(ledger):
    ledger.plan(
        open_set(ledger),
        [a_shard(requests=50_000, tokens=10**12)],
        wave=0,
        account=ACCOUNT,
        endpoint="/v1/chat/completions",
        owner="planner",
    )

    assert ledger.batches()[0].reservation == Reservation(requests=50_000, tokens=10**12, batches=1)
