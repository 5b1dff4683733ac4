import pytest

from batch_assets.domain.outcome import (
    ACCOUNT_CODES,
    UNRUN_CODES,
    Failure,
    Outcome,
    failure_of,
    remedy_of,
)

#: Outcomes that say by themselves what failed.
NAMED = {
    Outcome.OK: None,
    Outcome.OVERSIZE: None,
    Outcome.INVALID: Failure.INVALID,
    Outcome.REFUSED: Failure.REFUSED,
    Outcome.TRUNCATED: Failure.TRUNCATED,
    Outcome.EXPIRED: Failure.EXPIRED,
    Outcome.CANCELLED: Failure.CANCELLED,
    Outcome.MISSING: Failure.MISSING,
}


@pytest.mark.parametrize(("outcome", "failure"), NAMED.items())
def test_an_outcome_says_by_itself_what_failed(outcome, failure):
    assert failure_of(outcome) is failure


def test_every_outcome_but_an_error_says_so():
    assert {*NAMED, Outcome.ERRORED} == set(Outcome)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (429, Failure.RATE_LIMITED),
        # Row 15: what a line says that never ran, whatever the counts say.
        (0, Failure.SERVER_ERROR),
        (500, Failure.SERVER_ERROR),
        (502, Failure.SERVER_ERROR),
        (504, Failure.SERVER_ERROR),
        # Cloudflare's, and Anthropic's "overloaded".
        (520, Failure.SERVER_ERROR),
        (524, Failure.SERVER_ERROR),
        (529, Failure.SERVER_ERROR),
        # Not implemented; version not supported.
        (501, Failure.REJECTED),
        (505, Failure.REJECTED),
        (408, Failure.TIMEOUT),
        (409, Failure.TIMEOUT),
        (425, Failure.TIMEOUT),
        (400, Failure.REJECTED),
        (404, Failure.REJECTED),
        (413, Failure.REJECTED),
        (422, Failure.REJECTED),
        (200, Failure.REJECTED),
        (700, Failure.REJECTED),
        (-1, Failure.REJECTED),
        (401, Failure.ACCOUNT),
        (402, Failure.ACCOUNT),
        (403, Failure.ACCOUNT),
    ],
)
def test_an_error_with_a_status_is_judged_by_it(status, failure):
    assert failure_of(Outcome.ERRORED, status, "some_code") is failure


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("request_timeout", Failure.TIMEOUT),
        ("rate_limit_exceeded", Failure.RATE_LIMITED),
        ("server_error", Failure.SERVER_ERROR),
        ("invalid_request_error", Failure.REJECTED),
        ("not_found_error", Failure.REJECTED),
        ("rate_limit_error", Failure.RATE_LIMITED),
        ("timeout_error", Failure.TIMEOUT),
        ("api_error", Failure.SERVER_ERROR),
        ("overloaded_error", Failure.SERVER_ERROR),
        ("something_new", Failure.REJECTED),
        (None, Failure.REJECTED),
    ],
)
def test_an_error_without_a_status_is_judged_by_its_code(code, failure):
    assert failure_of(Outcome.ERRORED, None, code) is failure


@pytest.mark.parametrize("code", sorted(ACCOUNT_CODES))
@pytest.mark.parametrize("status", [None, 400, 429])
def test_an_account_without_credit_or_key_is_no_items_fault(code, status):
    """Row 57: thousands of rows fail in one go, and only a person can change it."""
    assert failure_of(Outcome.ERRORED, status, code) is Failure.ACCOUNT


def test_a_model_that_the_account_may_not_use_is_no_items_fault():
    assert failure_of(Outcome.ERRORED, 404, "model_not_found") is Failure.ACCOUNT
    assert failure_of(Outcome.ERRORED, 404, "file_not_found") is Failure.REJECTED


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("insufficient_quota", "add credit"),
        ("402", "add credit"),
        ("invalid_api_key", "correct the provider's key"),
        ("401", "correct the provider's key"),
        ("model_not_found", "right to use the model"),
        ("403", "right to use the model"),
    ],
)
def test_trouble_of_the_account_comes_with_what_to_do(code, remedy):
    assert remedy in remedy_of(code)


def test_a_request_that_never_ran_is_expired_or_cancelled_by_its_code():
    assert UNRUN_CODES == {
        "batch_expired": Outcome.EXPIRED,
        "batch_cancelled": Outcome.CANCELLED,
        "expired": Outcome.EXPIRED,
        "canceled": Outcome.CANCELLED,
    }
