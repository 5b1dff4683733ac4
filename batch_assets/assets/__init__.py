"""The nouns: asset definitions whose bodies call one stage and return metadata."""

from batch_assets.assets.collect import collect_assets
from batch_assets.assets.submit import submit_assets

__all__ = ["collect_assets", "submit_assets"]
