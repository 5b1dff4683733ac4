"""A lane that asks an endpoint request by request, and the Dagster resource that vends it."""

from batch_assets.resources.live.lane import LiveLane
from batch_assets.resources.live.resource import LiveResource

__all__ = ["LiveLane", "LiveResource"]
