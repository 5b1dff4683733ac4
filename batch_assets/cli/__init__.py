"""The operator's commands: parse, one call, render."""

from batch_assets.cli.root import main

__all__ = ["main"]
