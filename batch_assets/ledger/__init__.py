"""The ledger: the only mutable state of ours. One row per batch attempt, one event per move."""

from batch_assets.ledger.ledger import Ledger

__all__ = ["Ledger"]
