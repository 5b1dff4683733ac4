"""How an item ended. Every item of a corpus ends in exactly one outcome."""

from enum import StrEnum


class Outcome(StrEnum):
    """The verdict on one item."""

    #: The answer is there and is what the output type asks for.
    OK = "ok"
    #: An answer came that is not JSON or not of the output type.
    INVALID = "invalid"
    #: The model or the provider's filter declined to answer.
    REFUSED = "refused"
    #: The answer stops at the token limit.
    TRUNCATED = "truncated"
    #: The provider answered this request with an error.
    ERRORED = "errored"
    #: The batch's window closed before this request ran.
    EXPIRED = "expired"
    #: The batch was cancelled before this request ran.
    CANCELLED = "cancelled"
    #: The batch ended and no line for this request came back.
    MISSING = "missing"
    #: The request alone is more than the provider takes in one batch: never sent.
    OVERSIZE = "oversize"


class Failure(StrEnum):
    """Kinds of failure, by the names that a retry policy uses."""

    #: The provider refused this one call for its rate: status 429.
    RATE_LIMITED = "rate_limited"
    #: The provider broke down: status 5xx, Cloudflare's and Anthropic's own (52x, 529) among them,
    #: and 0, which is what a line says whose request never ran.
    SERVER_ERROR = "server_error"
    #: Status 408, 409 or 425, or the code request_timeout.
    TIMEOUT = "timeout"
    #: The batch's window closed before the request ran.
    EXPIRED = "expired"
    #: The batch ended, and no line came for the request.
    MISSING = "missing"
    #: An answer came that is not JSON or not of the output type.
    INVALID = "invalid"
    #: The provider refused the request's batch for the sake of other lines of it.
    NOT_RUN = "not_run"
    #: The answer stops at the token limit.
    TRUNCATED = "truncated"
    #: The model or the provider's filter declined to answer.
    REFUSED = "refused"
    #: The provider finds the request itself wrong: status 400, or any that is not known.
    REJECTED = "rejected"
    #: The provider refuses the account: no credit, a wrong key, a model that it may not use.
    ACCOUNT = "account"
    #: Its pack brought no answer for it: it is asked in a smaller one, down to one of its own.
    PACKED = "packed"
    #: The batch was cancelled, and not by us.
    CANCELLED = "cancelled"
    #: A person cancelled the request set before the request ran.
    WITHDRAWN = "withdrawn"
    #: It was not asked yet: a canary goes first.
    HELD = "held"
    #: We cancelled its batch, so that what that had not answered in time is asked live.
    STRAGGLER = "straggler"


#: Words for a request that never ran: codes of OpenAI's error file, and two of Anthropic's types of
#: results.
UNRUN_CODES = {
    "batch_expired": Outcome.EXPIRED,
    "batch_cancelled": Outcome.CANCELLED,
    "expired": Outcome.EXPIRED,
    "canceled": Outcome.CANCELLED,
}

#: Codes of refusals that last until a person pays or asks. They come with 429, and
#: billing_hard_limit_reached with 400 (seen in public error handlers; OpenAI publishes no list).
#: From billing_error on they are Anthropic's (anthropic 2.12, `types/shared/error_*.py`); the last
#: is Google's (googleapis, `google/api/error_reason.proto`).
CREDIT_CODES = frozenset(
    {
        "account_deactivated",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
        "billing_error",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
        "user_profile_billing_not_authorized",
        "user_profile_not_billable",
        "BILLING_DISABLED",
    }
)

#: The same of a key that is not valid: OpenAI's, Anthropic's and Google's.
KEY_CODES = frozenset({"invalid_api_key", "authentication_error", "API_KEY_INVALID"})

#: The same of an account that may not, whatever its key and credit; Anthropic's.
RIGHTS_CODES = frozenset(
    {
        "permission_error",
        "claude_code_key_creator_not_member",
        "cmek_key_disabled",
        "organization_on_hold",
    }
)

#: Codes that only a person can cure, so that asking others of the account is of no use.
ACCOUNT_CODES = CREDIT_CODES | KEY_CODES | RIGHTS_CODES

#: Statuses that say the same of the account: no key, no money, no right.
_ACCOUNT_STATUS = frozenset({401, 402, 403})

_TIMEOUT_STATUS = frozenset({408, 409, 425})

#: "Not implemented" and "version not supported" stay so.
_LASTING_STATUS = frozenset({501, 505})

#: Codes of a line without a status: OpenAI's (specification, and the second column of its error
#: guide), then Anthropic's types of errors (anthropic 2.12, `types/shared/error_type.py`).
_KINDS_OF_CODES = {
    "request_timeout": Failure.TIMEOUT,
    "rate_limit_exceeded": Failure.RATE_LIMITED,
    "server_error": Failure.SERVER_ERROR,
    "rate_limit_error": Failure.RATE_LIMITED,
    "timeout_error": Failure.TIMEOUT,
    "conflict_error": Failure.TIMEOUT,
    "api_error": Failure.SERVER_ERROR,
    "overloaded_error": Failure.SERVER_ERROR,
}

_KINDS_OF_OUTCOMES = {
    Outcome.INVALID: Failure.INVALID,
    Outcome.REFUSED: Failure.REFUSED,
    Outcome.TRUNCATED: Failure.TRUNCATED,
    Outcome.EXPIRED: Failure.EXPIRED,
    Outcome.CANCELLED: Failure.CANCELLED,
    Outcome.MISSING: Failure.MISSING,
}


def failure_of(
    outcome: Outcome, status_code: int | None = None, error_code: str | None = None
) -> Failure | None:
    """The kind of failure behind an outcome; None for one that is no failure of an answer."""
    if outcome is not Outcome.ERRORED:
        return _KINDS_OF_OUTCOMES.get(outcome)
    if _is_of_account(status_code, error_code):
        return Failure.ACCOUNT
    match status_code:
        case None:
            return _KINDS_OF_CODES.get(error_code or "", Failure.REJECTED)
        case 429:
            return Failure.RATE_LIMITED
        case status if status in _TIMEOUT_STATUS:
            return Failure.TIMEOUT
        case status if status == 0 or (500 <= status < 600 and status not in _LASTING_STATUS):
            return Failure.SERVER_ERROR
    return Failure.REJECTED


def _is_of_account(status_code: int | None, error_code: str | None) -> bool:
    if error_code in ACCOUNT_CODES or status_code in _ACCOUNT_STATUS:
        return True
    # OpenAI's words: "does not exist or you do not have access to it".
    return status_code == 404 and error_code == "model_not_found"


def remedy_of(error_code: str | None) -> str:
    """What a person does about a failure of the account, by the code its item has."""
    if error_code in CREDIT_CODES or error_code == "402":
        return "add credit or raise the limit in the provider's billing settings"
    if error_code in KEY_CODES or error_code == "401":
        return "correct the provider's key"
    return "give the key and its project the right to use the model"
