"""Stragglers: requests that a batch provider has not answered in time, and how they are rescued."""

import math
from dataclasses import dataclass
from datetime import timedelta

from batch_assets.domain.errors import DeclarationError

#: No window of a provider's is so long.
_LONGEST_HOURS = 24 * 365


@dataclass(frozen=True, kw_only=True)
class Stragglers:
    """What is not answered so many hours after it was submitted is asked live, by a lane.

    That costs the lane's price, which is the standard one where a batch has a discount. Raises
    DeclarationError for what cannot be.
    """

    #: Key of the lane's resource in the deployment: openai_live, or one of your own. It must take
    #: the requests as they are, so it speaks the wire of the inference's provider.
    provider: str
    #: Hours, above 0: fewer than the provider's window, so that nothing expires before.
    after_hours: float

    def __post_init__(self) -> None:
        if not self.provider.strip():
            raise DeclarationError(
                "stragglers: provider is empty; give the resource key of a lane, such as "
                "openai_live"
            )
        hours = self.after_hours
        is_number = isinstance(hours, int | float) and not isinstance(hours, bool)
        if not is_number or not math.isfinite(hours) or not 0 < hours <= _LONGEST_HOURS:
            raise DeclarationError(
                f"stragglers: after_hours is {hours!r}; give hours above 0 and below the "
                "provider's window, such as 20 of its 24"
            )

    @property
    def after(self) -> timedelta:
        return timedelta(hours=self.after_hours)

    def __str__(self) -> str:
        return f"after {self.after_hours:g} h by {self.provider}"
