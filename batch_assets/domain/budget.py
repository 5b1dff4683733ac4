"""What an account may have queued at the provider, over all partitions and inferences."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The share of the account's budget that one or more batches hold."""

    requests: int = 0
    #: Estimated prompt tokens.
    tokens: int = 0
    #: Inputs of embedding requests, each element of a list for itself.
    inputs: int = 0
    batches: int = 0

    def __add__(self, other: "Reservation") -> "Reservation":
        return Reservation(
            requests=self.requests + other.requests,
            tokens=self.tokens + other.tokens,
            inputs=self.inputs + other.inputs,
            batches=self.batches + other.batches,
        )


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most an account may hold at once. None leaves a unit unlimited."""

    requests: int | None = None
    #: Estimated prompt tokens.
    tokens: int | None = None
    #: Inputs of embedding requests.
    inputs: int | None = None
    batches: int | None = None

    def has_room(self, held: Reservation, asked: Reservation) -> bool:
        """Whether `asked` fits beside what is `held`."""
        total = held + asked
        return all(limit is None or getattr(total, unit) <= limit for unit, limit in self._limits())

    def never_fits(self, asked: Reservation) -> bool:
        """Whether `asked` would not fit an account that holds nothing."""
        return not self.has_room(Reservation(), asked)

    def share(self, held: Reservation) -> float:
        """The part of the budget that is `held`, by the unit of which most is taken.

        Without any limit, the number of batches.
        """
        shares = [getattr(held, unit) / limit for unit, limit in self._limits() if limit]
        return max(shares, default=float(held.batches))

    def _limits(self) -> list[tuple[str, int | None]]:
        return [(unit.name, getattr(self, unit.name)) for unit in fields(self)]


def target(limit: int, *, ratio: float = 1.0, headroom: int = 0) -> int:
    """How much of a limit to use: `min(limit x ratio, limit - headroom)`, batchor's rule.

    Raises ValueError where nothing would be left, or more than the limit.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"target_ratio is {ratio}; it is a share above 0, and 1 at most")
    if headroom < 0:
        raise ValueError(f"headroom is {headroom}; it is 0 or more")
    found = min(int(limit * ratio), limit - headroom)
    if found <= 0:
        raise ValueError(
            f"a limit of {limit:,} with target_ratio {ratio} and headroom {headroom:,} leaves "
            "nothing: lower the headroom or raise the ratio"
        )
    return found
