"""A wave is one pass over the items still without a final outcome; wave 0 is all of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from batch_assets.domain.capacity import backoff
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.outcome import Failure

#: What another try can cure, as it is.
TRANSIENT = frozenset(
    {
        Failure.RATE_LIMITED,
        Failure.SERVER_ERROR,
        Failure.TIMEOUT,
        Failure.EXPIRED,
        Failure.MISSING,
        Failure.INVALID,
        Failure.NOT_RUN,
    }
)

#: What a policy may name: of the further ones a user may know that another try helps.
MAY_ASK_AGAIN = TRANSIENT | {Failure.TRUNCATED, Failure.REFUSED}

#: Failures that a person puts right, and that use up no attempt.
UNCOUNTED = frozenset({Failure.ACCOUNT, Failure.WITHDRAWN})

#: What a provider left without a word of the model's: a rescue asks it once more in any case.
_LEFT = frozenset(
    {
        Failure.CANCELLED,
        Failure.EXPIRED,
        Failure.MISSING,
        Failure.STRAGGLER,
        Failure.WITHDRAWN,
    }
)

#: Failures of the service and not of an answer: a rescue asks these once more where the policy
#: names them, however often that was before.
_UNANSWERED = TRANSIENT - {Failure.INVALID}

#: After so many of them an item's failure is its own, whatever its code says: each time a person
#: put the account right, and this item found it wrong again.
MOST_UNCOUNTED = 5


def counts_as_attempt(failure: Failure | None) -> bool:
    """Whether a time that ended so is one of those that a policy allows an item."""
    return failure not in UNCOUNTED | {Failure.PACKED, Failure.STRAGGLER}


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Which items are asked again in a further wave, how often, and how soon.

    Raises DeclarationError for a policy that cannot be kept.
    """

    #: How often an item is asked at most, the first time included. Times that failed for the
    #: account's sake, were cancelled, or that a pack lost, do not count.
    max_waves: int = 3
    #: Names of the failures that are asked again.
    ask_again: Collection[str] = TRANSIENT
    #: The wait before wave 1; it doubles with each further wave.
    first_wait: timedelta = timedelta(minutes=1)
    longest_wait: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.max_waves < 1:
            raise DeclarationError(
                f"retries: max_waves is {self.max_waves}; wave 0 asks everything, so 1 at least"
            )
        names = [self.ask_again] if isinstance(self.ask_again, str) else self.ask_again
        unknown = sorted(set(names) - MAY_ASK_AGAIN)
        if unknown or isinstance(self.ask_again, str):
            raise DeclarationError(
                f"retries: ask_again has {', '.join(map(repr, unknown or names))}; "
                f"it is a list of names among {', '.join(sorted(MAY_ASK_AGAIN))}"
            )
        if not timedelta() <= self.first_wait <= self.longest_wait:
            raise DeclarationError(
                f"retries: first_wait is {self.first_wait} and longest_wait {self.longest_wait}; "
                "the first is 0 or more, and no longer than the longest"
            )

    def asks_again(self, failure: Failure | None, attempts: int, uncounted: int) -> bool:
        """Whether a request with this last failure is asked again.

        `attempts` is how often it was asked and it counted, `uncounted` how often it did not.
        """
        if failure is Failure.PACKED:
            return True  # packs are halved with each wave, and one of a single item has none
        if failure is Failure.HELD:
            return True  # it was never asked
        if failure is Failure.STRAGGLER:
            return True  # who asks live cancels no batch for it
        if failure in UNCOUNTED:
            return uncounted < MOST_UNCOUNTED
        return failure in self.ask_again and attempts < self.max_waves

    def rescues(self, failure: Failure | None, attempts: int, uncounted: int) -> bool:
        """Whether a request with this last failure is of the wave that rescues stragglers.

        What was never answered gets it, though the times that the policy allows are used up.
        """
        if failure in _LEFT or (failure in _UNANSWERED and failure in self.ask_again):
            return True
        return self.asks_again(failure, attempts, uncounted)

    def wait_before(self, wave: int, seed: str) -> timedelta:
        """The wait between the end of a wave and the start of the next one, which is `wave`."""
        return backoff(wave, seed, first=self.first_wait, longest=self.longest_wait)
