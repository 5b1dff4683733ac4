"""Mistral's batch jobs: the adapter behind the port, and the Dagster resource that vends it."""

from batch_assets.resources.mistral.provider import MistralProvider
from batch_assets.resources.mistral.resource import MistralResource

__all__ = ["MistralProvider", "MistralResource"]
