"""Servers of OpenAI's Batch API by other names: their profiles, and the resource that takes one."""

from batch_assets.resources.compatible.profiles import PROFILES
from batch_assets.resources.compatible.resource import CompatibleResource

__all__ = ["PROFILES", "CompatibleResource"]
