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


#: Error codes of a line that ends without a response (OpenAI's error file).
UNRUN_CODES = {"batch_expired": Outcome.EXPIRED, "batch_cancelled": Outcome.CANCELLED}

#: Status codes of one answer that another try can cure: timeouts, rate limits, server errors,
#: Cloudflare's own (520 to 524) and Anthropic's "overloaded" (529) among them.
_TRANSIENT_STATUS = frozenset({0, 408, 409, 425, 429, 500, 502, 503, 504, *range(520, 525), 529})

#: The same, of a line that ends without a response (OpenAI's specification).
_TRANSIENT_CODES = frozenset({"request_timeout"})

#: Codes of a 429 that only a person can cure, so that asking again is of no use.
ACCOUNT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


def is_retryable(outcome: Outcome, status_code: int | None, error_code: str | None) -> bool:
    """Whether asking the same request again may end better."""
    match outcome:
        case Outcome.EXPIRED | Outcome.MISSING | Outcome.INVALID:
            return True
        case Outcome.ERRORED:
            transient = status_code in _TRANSIENT_STATUS or error_code in _TRANSIENT_CODES
            return transient and error_code not in ACCOUNT_CODES
        case _:
            return False
