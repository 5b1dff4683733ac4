"""What the checks say of outcomes, tokens, repeated answers and labels."""

from typing import Any

import pytest

from batch_assets.domain.checks import Check, Checks
from batch_assets.domain.quality import Evaluation, Measured, Repeats, evaluate


def measured(**over: Any) -> Measured:
    """Ten good items."""
    return Measured(**{"expected": 10, "items": 10, "outcomes": {"ok": 10}, **over})


def verdict(name: str, facts: Measured, checks: Checks | None = None) -> Evaluation:
    [found] = [each for each in evaluate(checks or Checks(), facts) if each.name == name]
    return found


def test_good_answers_pass_every_check():
    evaluations = evaluate(Checks(), measured())

    assert [each.name for each in evaluations if not each.passed] == []
    assert [each.name for each in evaluations] == [
        "nothing_lost",
        "coverage",
        "invalid_share",
        "refused_share",
        "truncated_share",
        "token_estimate",
    ]


@pytest.mark.parametrize(
    ("facts", "lost"),
    [
        ({"outcomes": {"ok": 9, "missing": 1}}, 1),
        ({"items": 8, "outcomes": {"ok": 8}}, 2),
        # A row that no item has.
        ({"items": 11, "outcomes": {"ok": 11}}, 1),
        # An error is an answer or a reason.
        ({"outcomes": {"errored": 5, "expired": 5}}, 0),
    ],
)
def test_an_item_without_a_row_and_a_request_without_a_reason_are_lost(facts, lost):
    found = verdict("nothing_lost", measured(**facts))

    assert (found.value, found.passed, found.blocks) == (lost, lost == 0, lost > 0)


def test_coverage_at_the_threshold_passes():
    outcomes = {"ok": 19, "refused": 1}

    found = verdict("coverage", measured(expected=20, items=20, outcomes=outcomes))

    assert (found.value, found.passed, found.said) == (0.95, True, "19 of 20 items are ok")


def test_what_is_not_ok_is_told_by_its_most_frequent_reasons():
    reasons = {("errored", "500"): 1, ("invalid", "no JSON"): 2, ("refused", ""): 3}
    outcomes = {"ok": 4, "errored": 1, "invalid": 2, "refused": 3}

    facts = measured(outcomes=outcomes, reasons=reasons)

    assert list(verdict("coverage", facts).worst) == [
        ("refused", 3),
        ("invalid: no JSON", 2),
        ("errored: 500", 1),
    ]
    assert list(verdict("invalid_share", facts).worst) == [("invalid: no JSON", 2)]
    assert verdict("invalid_share", facts).value == 0.2


def test_of_no_items_nothing_is_said():
    facts = measured(expected=0, items=0, outcomes={})

    assert {each.value for each in evaluate(Checks(), facts)} == {0, None}
    assert all(each.passed for each in evaluate(Checks(), facts))


@pytest.mark.parametrize(
    ("reported", "estimated", "value", "passed"),
    [
        (150, 100, 1.5, True),
        (151, 100, 1.51, False),
        (24, 100, 0.24, False),
        # Images and moderations have no prompt tokens.
        (0, 100, None, True),
        (100, 0, None, True),
    ],
)
def test_the_token_estimate_has_a_band(reported, estimated, value, passed):
    facts = measured(input_tokens=reported, estimated_tokens=estimated, executions=10)

    found = verdict("token_estimate", facts)

    assert (found.value, found.passed) == (value, passed)


@pytest.mark.parametrize(
    ("compared", "repeated", "value", "passed"),
    [(100, 20, 0.2, True), (100, 21, 0.21, False), (19, 19, None, True), (20, 20, 1.0, False)],
)
def test_repeated_answers_have_a_share_where_there_are_enough(compared, repeated, value, passed):
    facts = measured(repeats=Repeats(compared=compared, repeated=repeated))

    found = verdict("duplicate_answers", facts)

    assert (found.value, found.passed) == (value, passed)


# Drift


def drift(now: dict[str, int], before: dict[str, int], **over: Any) -> Evaluation:
    facts = measured(labels={"kind": now}, labels_before={"kind": before}, partition_before="p")
    return verdict("label_drift", facts, Checks(label_drift=Check(**over)))


def test_drift_is_the_share_of_items_that_are_labelled_otherwise():
    found = drift({"a": 4000, "b": 6000}, {"a": 7000, "b": 3000})

    # Ten thousand items leave little to chance.
    assert found.value == pytest.approx(0.3, abs=0.01)
    assert not found.passed
    assert found.said.startswith("kind: 30.0% of the items are labelled otherwise than in parti")
    assert dict(found.worst) == {
        "kind: a": pytest.approx(-0.3),
        "kind: b": pytest.approx(0.3),
    }


def test_a_label_that_is_new_and_one_that_is_gone_are_drift():
    found = drift({"new": 1000}, {"old": 1000})

    assert found.value == pytest.approx(1, abs=0.04)
    assert dict(found.worst) == {"kind: new": 1, "kind: old": -1}


def test_what_chance_does_in_a_small_sample_with_many_labels_is_no_drift():
    """Total variation alone would be 0.25 here, above the threshold."""
    labels = [f"label {number}" for number in range(20)]
    now = dict(zip(labels, [5 + (2 if n % 2 else -3) for n in range(20)], strict=True))
    before = dict.fromkeys(labels, 5)

    found = drift(now, before, min_items=10)

    assert found.passed
    assert found.value == pytest.approx(0.0, abs=0.05)


def test_the_field_that_moved_most_is_told():
    facts = measured(
        labels={"kind": {"a": 500, "b": 500}, "tone": {"c": 900, "d": 100}},
        labels_before={"kind": {"a": 510, "b": 490}, "tone": {"c": 100, "d": 900}},
        partition_before="p",
    )

    found = verdict("label_drift", facts)

    assert found.said.startswith("tone: 80.0%")
    assert [label for label, _ in found.worst] == ["tone: c", "tone: d"]


@pytest.mark.parametrize(
    ("now", "before"), [({"a": 99}, {"b": 1000}), ({"a": 1000}, {"b": 99}), ({}, {})]
)
def test_too_few_items_in_either_partition_say_nothing(now, before):
    found = drift(now, before)

    assert (found.value, found.passed) == (None, True)
    assert "too few to say anything: it takes 100 (min_items)" in found.said


def test_the_first_partition_has_nothing_to_drift_from():
    found = verdict("label_drift", measured(labels={"kind": {"a": 1000}}))

    assert (found.value, found.passed) == (None, True)
    assert found.said == "no partition before it has results"
