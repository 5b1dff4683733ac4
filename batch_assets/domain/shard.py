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
    #: Inputs of embedding requests per batch, each element of a list for itself.
    inputs: int | None = None

    def __post_init__(self) -> None:
        for unit, limit in (
            ("requests", self.requests),
            ("bytes", self.bytes),
            ("tokens", self.tokens),
            ("inputs", self.inputs),
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


@dataclass(frozen=True, kw_only=True)
class Size:
    """What one request takes of a batch."""

    bytes: int
    #: Estimated prompt tokens.
    tokens: int
    #: Embedding inputs.
    inputs: int = 0


class ShardFill:
    """Decides, request by request, where one shard ends and the next begins."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.requests = 0
        self.bytes = 0
        self.tokens = 0
        self.inputs = 0

    def never_fits(self, size: Size) -> bool:
        """Whether the request alone is more than a batch may hold."""
        limits = self._limits
        return (
            size.bytes > limits.bytes
            or (limits.tokens is not None and size.tokens > limits.tokens)
            or (limits.inputs is not None and size.inputs > limits.inputs)
        )

    def has_room(self, size: Size) -> bool:
        """Whether the request fits beside those already taken."""
        limits = self._limits
        return (
            self.requests < limits.requests
            and self.bytes + size.bytes <= limits.bytes
            and (limits.tokens is None or self.tokens + size.tokens <= limits.tokens)
            and (limits.inputs is None or self.inputs + size.inputs <= limits.inputs)
        )

    def take(self, size: Size) -> None:
        """Count the request in."""
        self.requests += 1
        self.bytes += size.bytes
        self.tokens += size.tokens
        self.inputs += size.inputs

    def empty(self) -> None:
        """Begin the next shard."""
        self.requests = self.bytes = self.tokens = self.inputs = 0
