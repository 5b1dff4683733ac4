"""What an account may have queued at the provider, over all partitions and inferences."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The share of the account's budget that one or more batches hold."""

    requests: int = 0
    #: Estimated prompt tokens.
    tokens: int = 0
    batches: int = 0

    def __add__(self, other: "Reservation") -> "Reservation":
        return Reservation(
            requests=self.requests + other.requests,
            tokens=self.tokens + other.tokens,
            batches=self.batches + other.batches,
        )


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most an account may hold at once. None leaves a unit unlimited."""

    requests: int | None = None
    #: Estimated prompt tokens.
    tokens: int | None = None
    batches: int | None = None

    def has_room(self, held: Reservation, asked: Reservation) -> bool:
        """Whether `asked` fits beside what is `held`."""
        total = held + asked
        return (
            (self.requests is None or total.requests <= self.requests)
            and (self.tokens is None or total.tokens <= self.tokens)
            and (self.batches is None or total.batches <= self.batches)
        )

    def never_fits(self, asked: Reservation) -> bool:
        """Whether `asked` would not fit an account that holds nothing."""
        return not self.has_room(Reservation(), asked)
