"""Facts and rules of the batch life cycle: standard library only, no I/O."""
