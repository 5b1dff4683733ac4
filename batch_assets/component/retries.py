"""How a component file says which items are asked again."""

from datetime import timedelta

from pydantic import ConfigDict, Field

from batch_assets.component.choice import Declared
from batch_assets.domain.wave import MAY_ASK_AGAIN, TRANSIENT, RetryPolicy


class RetriesModel(Declared):
    """Which items are asked again in a further wave, how often, and how soon."""

    # Of the class and not of the fields: Dagster resolves no field with constraints of its own.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    max_waves: int = Field(
        default=3,
        description="How often an item is asked at most, the first time included. Times that "
        "failed for the account's sake, or were cancelled, do not count.",
    )
    ask_again: list[str] = Field(
        default_factory=lambda: [str(name) for name in sorted(TRANSIENT)],
        description=f"Failures that are asked again. Left out: {', '.join(sorted(TRANSIENT))}. "
        f"It may name {', '.join(sorted(MAY_ASK_AGAIN - TRANSIENT))} too.",
    )
    first_wait_seconds: float = Field(
        default=60.0,
        description="Seconds before the first further wave; doubled before each one after it.",
    )
    longest_wait_seconds: float = Field(
        default=3600.0, description="The longest wait between two waves."
    )

    def check(self) -> None:
        self.policy()

    def policy(self) -> RetryPolicy:
        """The same as the inference takes it."""
        return RetryPolicy(
            max_waves=self.max_waves,
            ask_again=frozenset(self.ask_again),
            first_wait=timedelta(seconds=self.first_wait_seconds),
            longest_wait=timedelta(seconds=self.longest_wait_seconds),
        )
