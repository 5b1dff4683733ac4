"""What one batch at a provider is, by the ledger's row of it."""

import pytest
from factories import NOON, a_batch, a_provider_batch

from batch_assets.domain.audit import Case, FindingKind, case_of, findings_of
from batch_assets.domain.batch import BatchId, BatchState

ABANDONED, PLANNED, RESERVED = BatchState.ABANDONED, BatchState.PLANNED, BatchState.RESERVED
SUBMITTED, COLLECTED = BatchState.SUBMITTED, BatchState.COLLECTED


@pytest.mark.parametrize(
    ("row", "case"),
    [
        ({"state": SUBMITTED, "provider_id": "b-1"}, None),
        ({"state": COLLECTED, "provider_id": "b-1", "ended_at": NOON}, None),
        # a second batch of the key
        ({"state": SUBMITTED, "provider_id": "b-0"}, Case.SAME_KEY),
        ({"state": COLLECTED, "provider_id": "b-0", "ended_at": NOON}, Case.SAME_KEY),
        # nothing of it ran, or its answers are gone: it had ended before it was given up
        ({"state": ABANDONED, "provider_id": "b-1", "ended_at": NOON}, None),
        # a person said that the provider does not have it
        ({"state": ABANDONED, "provider_id": "b-1"}, Case.GIVEN_UP),
        ({"state": ABANDONED}, Case.GIVEN_UP),
        ({"state": PLANNED}, Case.RELEASED),
        # a live process is sending it
        ({"state": RESERVED}, None),
    ],
)
def test_a_batch_is_judged_by_its_row(row, case):
    found = a_provider_batch("b-1", key="k")

    assert case_of(found, a_batch(**row), is_doubtful=False) is case


def test_a_reserved_one_in_nobodys_hands_is_a_lost_reply():
    found = a_provider_batch("b-1", key="k")

    assert case_of(found, a_batch(state=RESERVED), is_doubtful=True) is Case.LOST_REPLY


@pytest.mark.parametrize(("key", "case"), [(None, Case.NO_KEY), ("k", Case.FOREIGN_KEY)])
def test_one_without_a_row_is_unknown_with_a_key_or_without(key, case):
    found = a_provider_batch("b-1", key=key)

    assert case_of(found, None, is_doubtful=False) is case
    assert case.kind is FindingKind.UNKNOWN


@pytest.mark.parametrize("case", Case)
def test_every_case_is_of_a_kind(case):
    assert case.kind in FindingKind


def test_batches_without_a_key_are_no_twins():
    odd = [a_provider_batch("b-1"), a_provider_batch("b-2")]

    found = list(findings_of(odd, {}, doubtful=frozenset(), others={}))

    assert [(each.case, each.twin_of) for each in found] == [(Case.NO_KEY, None)] * 2


def test_of_one_key_the_first_in_the_list_stands_where_none_is_newer():
    """As `find` takes it: the list runs from new to old."""
    odd = [a_provider_batch("b-1", key="k"), a_provider_batch("b-2", key="k")]

    found = list(findings_of(odd, {}, doubtful=frozenset(), others={}))

    assert [(each.case, each.twin_of) for each in found] == [
        (Case.FOREIGN_KEY, None),
        (Case.SAME_KEY, "b-1"),
    ]


def test_a_second_batch_of_one_that_is_being_sent_is_a_twin_at_once():
    odd = [a_provider_batch("b-1", key="k"), a_provider_batch("b-2", key="k")]
    rows = dict.fromkeys(("b-1", "b-2"), a_batch(state=RESERVED))

    [finding] = findings_of(odd, rows, doubtful=frozenset(), others={})

    assert (finding.case, finding.batch, finding.twin_of) == (Case.SAME_KEY, odd[1], "b-1")


def test_one_that_was_given_up_for_another_is_its_twin():
    row = a_batch(state=ABANDONED, provider_id="b-1")
    odd = [a_provider_batch("b-1", key="k")]

    [finding] = findings_of(odd, {"b-1": row}, doubtful=frozenset(), others={BatchId(1): "b-9"})

    assert (finding.case, finding.twin_of) == (Case.OFFERED_AGAIN, "b-9")
