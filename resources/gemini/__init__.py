"""Gemini's batches: the adapter behind the port, and the Dagster resource that vends it."""

from batch_assets.resources.gemini.provider import GeminiProvider
from batch_assets.resources.gemini.resource import GeminiResource

__all__ = ["GeminiProvider", "GeminiResource"]
