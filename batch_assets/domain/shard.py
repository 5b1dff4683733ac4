"""A shard is an ordered run of requests that fits one provider batch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one batch may hold. Zero or less is never a limit: leave a unit out with None."""

    #: Requests per batch file.
    requests: int
    #: Bytes per batch file.
    bytes: int
    #: Estimated prompt tokens per batch: the account's queue limit, or what the user allows.
    tokens: int | None = None

    def __post_init__(self) -> None:
        for unit, limit in (
            ("requests", self.requests),
            ("bytes", self.bytes),
            ("tokens", self.tokens),
        ):
            if limit is not None and limit <= 0:
                raise ValueError(f"a batch limit of {limit} {unit} would let no request through")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One file of a request set as it lies in the store."""

    wave: int
    #: Position among the shards of its wave, from 0.
    number: int
    #: Path below the store's root.
    path: str
    sha256: str
    requests: int
    bytes: int
    #: Estimated prompt tokens.
    tokens: int
    #: Ordinals of its first and last request; in between, ordinals grow.
    first_ordinal: int
    last_ordinal: int
    #: Inputs of embedding requests, each element of a list for itself.
    inputs: int = 0

    def holds(self, ordinal: int | None) -> bool:
        """Whether the ordinal lies between its first and its last."""
        return ordinal is not None and self.first_ordinal <= ordinal <= self.last_ordinal

    def overlaps(self, other: "Shard") -> bool:
        """Whether both may hold a request of the same ordinal."""
        return self.first_ordinal <= other.last_ordinal and other.first_ordinal <= self.last_ordinal


class ShardFill:
    """Decides, request by request, where one shard ends and the next begins."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.requests = 0
        self.bytes = 0
        self.tokens = 0

    def never_fits(self, request_bytes: int, tokens: int) -> bool:
        """Whether the request alone is more than a batch may hold."""
        limits = self._limits
        return request_bytes > limits.bytes or (
            limits.tokens is not None and tokens > limits.tokens
        )

    def has_room(self, request_bytes: int, tokens: int) -> bool:
        """Whether the request fits beside those already taken."""
        limits = self._limits
        return (
            self.requests < limits.requests
            and self.bytes + request_bytes <= limits.bytes
            and (limits.tokens is None or self.tokens + tokens <= limits.tokens)
        )

    def take(self, request_bytes: int, tokens: int) -> None:
        """Count the request in."""
        self.requests += 1
        self.bytes += request_bytes
        self.tokens += tokens

    def empty(self) -> None:
        """Begin the next shard."""
        self.requests = self.bytes = self.tokens = 0
