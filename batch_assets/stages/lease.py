"""Keeps a reserved batch in one process's hands for as long as that process lives."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from batch_assets.domain.batch import Batch
from batch_assets.ledger import Ledger

#: After this long without a renewal the process is taken for dead and the batch for doubtful.
LEASE = timedelta(seconds=60)


@contextmanager
def kept(ledger: Ledger, batch: Batch, *, owner: str, lease: timedelta = LEASE) -> Iterator[None]:
    """Renew the batch's lease in the background until the block ends."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease.total_seconds() / 3):
            ledger.renew(batch, owner=owner, lease=lease)

    thread = threading.Thread(target=renew, name=f"lease-of-batch-{batch.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
