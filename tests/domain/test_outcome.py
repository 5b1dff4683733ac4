import pytest

from batch_assets.domain.outcome import ACCOUNT_CODES, UNRUN_CODES, Outcome, is_retryable

ALWAYS = {Outcome.EXPIRED, Outcome.MISSING, Outcome.INVALID}
TRANSIENT = [0, 408, 409, 425, 429, 500, 502, 503, 504, 520, 524, 529]


@pytest.mark.parametrize("outcome", set(Outcome) - {Outcome.ERRORED})
def test_an_outcome_alone_says_whether_asking_again_may_help(outcome):
    """Rows 8 and 16: only what was not answered, or not as asked, is asked again."""
    assert is_retryable(outcome, None, None) is (outcome in ALWAYS)


@pytest.mark.parametrize("status", TRANSIENT)
def test_an_error_that_time_cures_is_asked_again(status):
    """Row 15: status 0 is what a line says that never ran, whatever the counts say."""
    assert is_retryable(Outcome.ERRORED, status, None)


@pytest.mark.parametrize("status", [None, 200, 400, 401, 403, 404, 413, 422, 501])
def test_an_error_that_stays_is_not_asked_again(status):
    assert not is_retryable(Outcome.ERRORED, status, "invalid_request_error")


@pytest.mark.parametrize("code", sorted(ACCOUNT_CODES))
def test_an_account_without_credit_is_not_asked_again(code):
    """Row 57: thousands of rows fail in one go, and only a person can change it."""
    assert not is_retryable(Outcome.ERRORED, 429, code)


def test_a_call_that_timed_out_inside_the_provider_is_asked_again():
    assert is_retryable(Outcome.ERRORED, None, "request_timeout")


def test_a_request_that_never_ran_is_expired_or_cancelled_by_its_code():
    assert UNRUN_CODES == {
        "batch_expired": Outcome.EXPIRED,
        "batch_cancelled": Outcome.CANCELLED,
    }
