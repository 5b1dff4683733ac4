"""What a person asks of a provider directly: nothing of it is in the ledger."""
