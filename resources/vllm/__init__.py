"""vLLM's run_batch as a lane, and the Dagster resource that vends it."""

from batch_assets.resources.vllm.lane import VllmLane
from batch_assets.resources.vllm.resource import VllmResource

__all__ = ["VllmLane", "VllmResource"]
