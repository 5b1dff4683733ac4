"""Anthropic's Message Batches: the adapter behind the port, and the resource that vends it."""

from batch_assets.resources.anthropic.provider import AnthropicProvider
from batch_assets.resources.anthropic.resource import AnthropicResource

__all__ = ["AnthropicProvider", "AnthropicResource"]
