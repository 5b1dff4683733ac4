"""OpenAI's Batch API: the adapter behind the port, and the Dagster resource that vends it."""

from batch_assets.resources.openai.provider import OpenAIProvider
from batch_assets.resources.openai.resource import OpenAIResource

__all__ = ["OpenAIProvider", "OpenAIResource"]
