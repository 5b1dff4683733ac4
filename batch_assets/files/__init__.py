"""Bytes under one root, a local folder or a bucket: where they lie and how they are written."""

from batch_assets.files.layout import RequestSetLayout
from batch_assets.files.store import Files, Written

__all__ = ["Files", "RequestSetLayout", "Written"]
