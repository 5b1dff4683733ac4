"""Which request set is a partition's current one, and who has a partition in hand."""

from datetime import timedelta

import pytest
from ledger_world import LEASE, ended, open_set, planned

from batch_assets.domain.batch import BatchState
from batch_assets.ledger import Hold


def test_a_new_request_set_is_current_and_in_its_first_wave(ledger, ledger_clock):
    opened = open_set(ledger)

    assert (opened.wave, opened.resolved_at, opened.created_at) == (0, None, ledger_clock.now)
    assert ledger.request_sets.current("words", "p") == opened


def test_opening_the_same_digest_again_finds_the_same_request_set(ledger, ledger_clock):
    opened = open_set(ledger)
    ledger_clock.advance(timedelta(hours=1))

    assert open_set(ledger) == opened


def test_a_partition_without_a_request_set_has_no_current_one(ledger):
    open_set(ledger, "a")

    assert ledger.request_sets.current("words", "b") is None
    assert ledger.request_sets.current("others", "a") is None


def test_each_partition_has_a_current_request_set_of_its_own(ledger):
    a, b = open_set(ledger, "a", "d1"), open_set(ledger, "b", "d1")

    assert a.id != b.id
    assert ledger.request_sets.current("words", "a") == a
    assert ledger.request_sets.current("words", "b") == b


def test_a_newer_request_set_takes_the_place_and_the_old_one_keeps_its_batches(ledger):
    old = ended(ledger, planned(ledger, digest="old")[0])

    new = open_set(ledger, digest="new")

    assert ledger.request_sets.current("words", "p") == new
    assert ledger.batches(request_set=old.request_set.id) == [old]


def test_a_resolved_request_set_stays_resolved_when_it_is_opened_again(ledger, ledger_clock):
    ledger.request_sets.resolve(open_set(ledger))

    assert open_set(ledger).resolved_at == ledger_clock.now


def test_switching_back_to_an_older_request_set_has_it_folded_again(ledger):
    """Its results in the store were overwritten by those of the newer one."""
    old = open_set(ledger, digest="old")
    ledger.request_sets.resolve(old)
    open_set(ledger, digest="new")

    back = open_set(ledger, digest="old")

    assert (back.id, back.resolved_at) == (old.id, None)
    assert ledger.request_sets.current("words", "p") == back


def test_switching_back_keeps_the_wave_and_what_was_paid_for(ledger):
    """Row 56: what was answered once is never asked again."""
    planned(ledger, digest="old")
    planned(ledger, digest="old", wave=1)
    open_set(ledger, digest="new")

    back = open_set(ledger, digest="old")

    assert back.wave == 1
    assert [batch.wave for batch in ledger.batches(request_set=back.id)] == [0, 1]


def test_resolving_twice_keeps_the_first_time(ledger, ledger_clock):
    opened, first = open_set(ledger), ledger_clock.now
    ledger.request_sets.resolve(opened)
    ledger_clock.advance(timedelta(hours=1))

    ledger.request_sets.resolve(opened)

    assert open_set(ledger).resolved_at == first


def test_a_resolved_partition_waits_for_nothing(ledger):
    batch = planned(ledger)[0]
    assert ledger.batches_of_unresolved() == [batch]

    ledger.request_sets.resolve(batch.request_set)

    assert not ledger.batches_of_unresolved()


def test_a_further_wave_of_a_resolved_request_set_waits_for_results_again(ledger):
    """As when more waves are allowed after the results were written."""
    resolved = planned(ledger)[0].request_set
    ledger.request_sets.resolve(resolved)

    [batch] = planned(ledger, wave=1)

    assert ledger.batches_of_unresolved() == [batch]


def test_a_dropped_batch_of_an_older_request_set_gives_way_to_none_of_the_new(ledger):
    old = planned(ledger, digest="old")[0]
    new = planned(ledger, digest="new")[0]

    ledger.drop(old, owner="run-1", reason="the partition has a newer request set")

    assert [batch.id for batch in ledger.batches(states={BatchState.PLANNED})] == [new.id]


def test_a_run_holds_partitions_until_it_lets_them_go(ledger, ledger_clock):
    open_set(ledger, "a")
    open_set(ledger, "b")

    has = ledger.request_sets.hold("words", ["a", "b", "unknown"], holder="run-1", lease=LEASE)

    assert has == {"a", "b"}
    until = ledger_clock.now + LEASE
    hold = Hold(holder="run-1", until=until)
    assert ledger.request_sets.holds("words") == {"a": hold, "b": hold}
    ledger.request_sets.let_go("run-1")
    assert not ledger.request_sets.holds("words")


def test_a_partition_in_the_hands_of_a_live_run_stays_there(ledger, ledger_clock):
    open_set(ledger)
    ledger.request_sets.hold("words", ["p"], holder="run-1", lease=LEASE)

    has = ledger.request_sets.hold("words", ["p"], holder="run-2", lease=LEASE)

    assert not has
    assert ledger.request_sets.holds("words")["p"].holder == "run-1"
    ledger_clock.advance(LEASE * 2)
    ledger.request_sets.hold("words", ["p"], holder="run-2", lease=LEASE)
    assert ledger.request_sets.holds("words")["p"].holder == "run-2"


@pytest.mark.parametrize("count", [0, 1, 1_001])
def test_any_number_of_partitions_can_be_held_at_once(ledger, count):
    open_set(ledger)

    ledger.request_sets.hold(
        "words", ["p", *(f"p-{n}" for n in range(count))], holder="run-1", lease=LEASE
    )

    assert list(ledger.request_sets.holds("words")) == ["p"]
