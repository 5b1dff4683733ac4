"""What an account's refusals say about the room that the provider really has.

No provider tells how much of its queue is left (provider-facts, Azure and OpenAI), and what others
queue on the same account does not stand in our ledger. So the room is learned: a refusal says that
what was held is all there is for now, and each acceptance beyond that corrects it.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from batch_assets.domain.budget import Reservation

#: First wait after a refusal; doubles with each further one in a row.
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)


def backoff(
    refusals: int,
    seed: str,
    *,
    first: timedelta = FIRST_WAIT,
    longest: timedelta = LONGEST_WAIT,
) -> timedelta:
    """The wait after so many refusals in a row, in whole seconds: growing, and spread by up to a
    quarter each way.

    The spread comes from `seed`, so that accounts and shards that were refused at the same moment
    do not come back at the same moment.
    """
    wait: timedelta = min(first * (1 << min(max(refusals - 1, 0), 20)), longest)
    digest = hashlib.sha256(f"{seed}/{refusals}".encode()).digest()
    spread = 0.75 + int.from_bytes(digest[:4]) / 2**33
    return timedelta(seconds=round(wait.total_seconds() * spread))


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What is believed of an account's room at the provider."""

    #: Estimated prompt tokens that were held when it last refused more; None before any refusal.
    believed_tokens: int | None = None
    #: Refusals since it last accepted more than it was believed to.
    refusals: int = 0
    #: Until then no more than the belief is offered.
    not_before: datetime | None = None
    #: What the provider said.
    reason: str | None = None

    def allows(self, held: Reservation, asked: Reservation, now: datetime) -> bool:
        """Whether the shard may be offered: within the belief, or to try whether it still holds."""
        if self.believed_tokens is None or self.not_before is None or now >= self.not_before:
            return True
        return held.tokens + asked.tokens <= self.believed_tokens

    def refused(self, held: Reservation, now: datetime, *, account: str, reason: str) -> "Capacity":
        """After a refusal, with what was held beside the refused shard."""
        refusals = self.refusals + 1
        if held.batches == 0:
            reason = f"{reason} (the ledger holds nothing of this account: others use its queue)"
        return Capacity(
            believed_tokens=held.tokens,
            refusals=refusals,
            not_before=now + backoff(refusals, account),
            reason=reason,
        )

    def accepted(self, held: Reservation) -> "Capacity":
        """After an acceptance, with all that is held now."""
        if self.believed_tokens is None or held.tokens <= self.believed_tokens:
            return self
        return replace(self, believed_tokens=held.tokens, refusals=0, not_before=None, reason=None)
