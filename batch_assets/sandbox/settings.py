"""What of the sandbox can be chosen: how long batches take, and the provider's limits."""

from typing import Annotated, TypedDict

import msgspec

from batch_assets.sandbox.compatible_oddities import Oddities

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits are OpenAI's (Batch guide, "Rate limits"): 50,000 requests and 200 MB per batch.

    Megabytes are counted as millions of bytes, the stricter reading of the published number.
    A batch keeps the latencies it was created under, so a change never moves one back in time.
    """

    latency: Seconds = 30.0
    """Seconds from creation to `completed`; above 24 hours a batch expires instead."""
    cancel_delay: Seconds = 2.0
    """Seconds from `cancelling` to `cancelled`."""
    enqueued_token_limit: Count | None = None
    """Input tokens that unfinished batches of one model may hold together; None is no limit."""
    max_requests: Count = 50_000
    max_file_bytes: Count = 200_000_000
    compatible: Oddities = Oddities()
    """What the server at `/compatible/v1` does otherwise than OpenAI."""
    mistral_filters_metadata: bool = True
    """Whether Mistral's list of jobs heeds the metadata that is asked for."""
    live_latency: Seconds = 0.0
    """Seconds that a live call takes, on a clock that runs by itself."""
    live_requests_per_minute: Count | None = None
    """Live calls in any sixty seconds; the next one gets 429. None is no limit."""


class SettingValues(TypedDict, total=False):
    """The fields of `Settings`, as keyword arguments of the functions that start a sandbox."""

    latency: float
    cancel_delay: float
    enqueued_token_limit: int | None
    max_requests: int
    max_file_bytes: int
    compatible: Oddities
    mistral_filters_metadata: bool
    live_latency: float
    live_requests_per_minute: int | None
