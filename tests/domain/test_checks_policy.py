"""What may be demanded of answers, and what stands where nothing is said."""

import pytest

from batch_assets.domain.checks import Check, Checks, Rule, Severity
from batch_assets.domain.errors import DeclarationError


def rule(name: str, checks: Checks) -> Rule:
    [found] = [rule for rule in checks.rules if rule.name == name]
    return found


def test_only_lost_items_block_where_nothing_is_declared():
    rules = Checks().rules

    assert [each.name for each in rules if each.blocking] == ["nothing_lost"]
    assert [each.name for each in rules if each.severity is Severity.ERROR] == ["nothing_lost"]
    assert {each.name: each.threshold for each in rules} == {
        "nothing_lost": "at most 0",
        "coverage": "at least 0.95",
        "invalid_share": "at most 0.02",
        "refused_share": "at most 0.02",
        "truncated_share": "at most 0.02",
        "token_estimate": "at least 0.25 and at most 1.5",
        "duplicate_answers": "at most 0.2",
        "label_drift": "at most 0.2",
    }


def test_a_number_is_the_threshold_and_the_rest_stays():
    assert rule("coverage", Checks(coverage=0.5)) == Rule(name="coverage", at_least=0.5)
    assert rule("label_drift", Checks(label_drift=0.1)).min_items == 100


def test_off_means_that_the_check_is_not_made():
    names = [each.name for each in Checks(nothing_lost="off", coverage="off").rules]

    assert "nothing_lost" not in names
    assert "coverage" not in names
    assert len(names) == 6


def test_one_end_of_a_band_may_be_set_alone():
    found = rule("token_estimate", Checks(token_estimate=Check(at_most=3)))

    assert (found.at_least, found.at_most) == (0.25, 3)


@pytest.mark.parametrize(
    ("check", "severity", "blocking"),
    [
        # What blocks is an error, and what is an error need not block.
        (Check(blocking=True), Severity.ERROR, True),
        (Check(severity="error"), Severity.ERROR, False),
        (Check(severity="error", blocking=True), Severity.ERROR, True),
        (Check(blocking=False), Severity.WARN, False),
    ],
)
def test_severity_and_blocking_of_a_check_that_warns_by_itself(check, severity, blocking):
    found = rule("coverage", Checks(coverage=check))

    assert (found.severity, found.blocking, found.at_least) == (severity, blocking, 0.95)


@pytest.mark.parametrize(
    ("check", "severity", "blocking"),
    [
        (Check(severity="warn"), Severity.WARN, False),
        (Check(blocking=False), Severity.ERROR, False),
    ],
)
def test_severity_and_blocking_of_the_check_that_blocks_by_itself(check, severity, blocking):
    found = rule("nothing_lost", Checks(nothing_lost=check))

    assert (found.severity, found.blocking) == (severity, blocking)


@pytest.mark.parametrize(
    ("demanded", "said"),
    [
        ({"coverage": 1.5}, "checks: coverage: at_least is 1.5, not a share of 0 to 1"),
        ({"coverage": 95}, "checks: coverage: at_least is 95, not a share of 0 to 1"),
        ({"coverage": float("nan")}, "checks: coverage: at_least is nan, not a number"),
        ({"coverage": -0.1}, "checks: coverage: at_least is -0.1, not a share of 0 to 1"),
        (
            {"coverage": "high"},
            "checks: coverage: it is 'high'; give a number for its threshold, 'off', "
            "or some of at_least, severity, blocking",
        ),
        ({"coverage": True}, "checks: coverage: it is True; give a number for its threshold"),
        (
            {"coverage": Check(at_most=1)},
            "checks: coverage: it has no at_most; set at_least, severity, blocking",
        ),
        (
            {"refused_share": Check(at_least=0.1, min_items=3)},
            "checks: refused_share: it has no at_least and no min_items; "
            "set at_most, severity, blocking",
        ),
        (
            {"nothing_lost": 0},
            "checks: nothing_lost: it is 0; give 'off', or some of severity, blocking",
        ),
        (
            {"token_estimate": 1},
            "checks: token_estimate: it is 1; give 'off', "
            "or some of at_least, at_most, severity, blocking",
        ),
        (
            {"token_estimate": Check(at_least=2)},
            "checks: token_estimate: at_least is 2 and at_most 1.5; nothing lies between",
        ),
        (
            {"token_estimate": Check(at_least=-1)},
            "checks: token_estimate: at_least is -1; a ratio is 0 or more",
        ),
        (
            {"label_drift": Check(min_items=-1)},
            "checks: label_drift: min_items is -1; give a number of items, 0 or more",
        ),
        (
            {"coverage": Check(severity="fatal")},
            "checks: coverage: severity is 'fatal'; write warn or error",
        ),
        (
            {"coverage": Check(blocking="yes")},
            "checks: coverage: blocking is 'yes'; write true or false",
        ),
        (
            {"coverage": Check(severity="warn", blocking=True)},
            "checks: coverage: a check that only warns blocks nothing: severity: error, "
            "or blocking: false",
        ),
    ],
)
def test_what_cannot_be_demanded_is_refused_with_the_way_out(demanded, said):
    with pytest.raises(DeclarationError) as refused:
        Checks(**demanded)

    assert refused.value.message.startswith(said)
