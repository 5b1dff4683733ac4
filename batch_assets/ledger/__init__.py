"""The ledger: the only mutable state of ours. One row per batch attempt, one event per move."""

from batch_assets.ledger.ledger import Ledger
from batch_assets.ledger.request_sets import Hold

__all__ = ["Hold", "Ledger"]
