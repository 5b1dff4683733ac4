"""A wave is one pass over the items still without a final outcome; wave 0 is all of them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often the items whose outcome another try can cure are asked again."""

    #: Waves at most, the first one included. 1 never asks again.
    max_waves: int = 3

    def __post_init__(self) -> None:
        if self.max_waves < 1:
            raise ValueError(
                f"max_waves is {self.max_waves}; wave 0 asks everything, so 1 at least"
            )

    def allows_after(self, wave: int) -> bool:
        """Whether another wave may follow `wave`."""
        return wave + 1 < self.max_waves
