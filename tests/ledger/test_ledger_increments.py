"""Numbers of results are given once and in order; sweeps and cancellations are taken on once."""

from datetime import timedelta

import pytest
from ledger_world import ACCOUNT, collected, open_set, planned, submitted

from batch_assets.domain.control import Scope
from batch_assets.domain.errors import StaleMove

HOUR = timedelta(hours=1)


def spans(ledger, **over):
    found = ledger.increments.after("words", over.pop("sequence", 0), **over)
    return [(each.partition_key, each.first_sequence, each.last_sequence) for each in found]


# Increments


def test_numbers_follow_each_other_over_all_partitions(ledger):
    p, q = open_set(ledger, "p"), open_set(ledger, "q", "d2")

    ledger.increments.add(p, before=None, mark="0 1", rows=3, path="a")
    ledger.increments.add(q, before=None, mark="0 1", rows=2, path="b")
    ledger.increments.add(p, before="0 1", mark="0 2", rows=1, path="c")

    assert spans(ledger) == [("p", 1, 3), ("q", 4, 5), ("p", 6, 6)]
    assert [each.path for each in ledger.increments.of(p)] == ["a", "c"]


def test_only_increments_with_rows_behind_a_sequence_are_read(ledger):
    p = open_set(ledger)
    ledger.increments.add(p, before=None, mark="0 1", rows=3, path="a")
    ledger.increments.add(p, before="0 1", mark="0 2", rows=2, path="b")

    assert spans(ledger, sequence=2) == [("p", 1, 3), ("p", 4, 5)]
    assert spans(ledger, sequence=3) == [("p", 4, 5)]
    assert spans(ledger, sequence=5) == []


def test_partitions_can_be_read_alone(ledger):
    p, q = open_set(ledger, "p"), open_set(ledger, "q", "d2")
    ledger.increments.add(p, before=None, mark="0 1", rows=3, path="a")
    ledger.increments.add(q, before=None, mark="0 1", rows=2, path="b")

    assert spans(ledger, partition_keys=["q"]) == [("q", 4, 5)]


@pytest.mark.parametrize("before", [None, "0 1"])
def test_of_two_who_take_the_same_increment_one_is_refused(ledger, other, before):
    p = open_set(ledger)
    if before is not None:
        ledger.increments.add(p, before=None, mark=before, rows=1, path="first")
    ledger.increments.add(p, before=before, mark="0 2", rows=3, path="a")

    with pytest.raises(StaleMove, match="another process took the increment of p"):
        other.increments.add(p, before=before, mark="0 2", rows=3, path="b")

    assert "b" not in [each.path for each in ledger.increments.of(p)]


def test_an_increment_without_rows_leaves_its_mark_alone(ledger):
    p = open_set(ledger)

    ledger.increments.add(p, before=None, mark="0 1", rows=0, path="a")

    assert (ledger.increments.mark(p), spans(ledger)) == ("0 1", [])


# Sweeps


def test_a_sweep_is_due_from_the_first_batch_on(ledger):
    assert ledger.accounts.begin_sweep(ACCOUNT, every=HOUR) is None

    [batch] = planned(ledger)

    assert ledger.accounts.begin_sweep(ACCOUNT, every=HOUR) == batch.created_at


def test_of_two_who_would_sweep_one_does_until_the_next_is_due(ledger, other, ledger_clock):
    planned(ledger)
    began = ledger_clock.now
    ledger.accounts.begin_sweep(ACCOUNT, every=HOUR)

    assert other.accounts.begin_sweep(ACCOUNT, every=HOUR) is None
    ledger_clock.advance(HOUR)
    assert other.accounts.begin_sweep(ACCOUNT, every=HOUR) == began


# Request sets without batches, and cancellations to pass on


def test_a_request_set_that_nothing_was_planned_for_is_found(ledger):
    opened = open_set(ledger)

    assert [each.id for each in ledger.request_sets.without_batches()] == [opened.id]
    planned(ledger)
    assert ledger.request_sets.without_batches() == []


def test_a_resolved_request_set_without_batches_waits_for_nothing(ledger):
    ledger.request_sets.resolve(open_set(ledger))

    assert ledger.request_sets.without_batches() == []


def test_a_cancellation_is_passed_on_once_for_each_batch_at_the_provider(ledger):
    first, _, _ = planned(ledger, shards=3)
    sent = submitted(ledger, first)
    ledger.request_sets.cancel(sent.request_set, owner="Ann", reason="wrong", cancels_batches=True)

    assert [batch.id for batch in ledger.batches_to_cancel(ACCOUNT)] == [sent.id]
    ledger.polls.asked_to_cancel(sent)
    assert ledger.batches_to_cancel(ACCOUNT) == []


@pytest.mark.parametrize("cancels", [False, None])
def test_what_is_left_to_finish_is_not_cancelled_at_the_provider(ledger, cancels):
    sent = submitted(ledger)
    if cancels is not None:
        ledger.request_sets.cancel(
            sent.request_set, owner="Ann", reason="enough", cancels_batches=cancels
        )

    assert ledger.batches_to_cancel(ACCOUNT) == []


def test_results_of_a_set_that_was_cancelled_meanwhile_are_not_final(ledger):
    """A fold that began before the cancellation knows nothing of what was dropped."""
    as_read = collected(ledger).request_set
    ledger.request_sets.cancel(as_read, owner="Ann", reason="wrong", cancels_batches=False)

    ledger.request_sets.resolve(as_read)

    [waits] = ledger.request_sets.unresolved(Scope(inference="words"))
    ledger.request_sets.resolve(waits)
    assert ledger.request_sets.unresolved(Scope(inference="words")) == []
