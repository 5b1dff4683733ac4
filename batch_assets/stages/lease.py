"""Keeps a batch, or partitions, in one process's hands for as long as that process lives."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

from batch_assets.domain.batch import Batch
from batch_assets.ledger import Ledger

#: After this long without a renewal the process is taken for dead and the batch for doubtful.
LEASE = timedelta(seconds=60)


@contextmanager
def kept(ledger: Ledger, batch: Batch, *, owner: str, lease: timedelta = LEASE) -> Iterator[None]:
    """Renew the batch's lease in the background until the block ends."""
    with kept_by(lambda: ledger.renew(batch, owner=owner, lease=lease), lease):
        yield


@contextmanager
def held(
    ledger: Ledger,
    inference: str,
    partition_keys: Collection[str],
    *,
    holder: str,
    lease: timedelta = LEASE,
) -> Iterator[Collection[str]]:
    """Hold the partitions until the block ends; `partition_keys` may shrink meanwhile.

    Gives those that it has: what another live process holds stays that one's.
    """

    def renew() -> Collection[str]:
        return ledger.request_sets.hold(inference, list(partition_keys), holder=holder, lease=lease)

    has = renew()
    try:
        with kept_by(renew, lease):
            yield has
    finally:
        ledger.request_sets.let_go(holder)


@contextmanager
def kept_by(renew: Callable[[], object], lease: timedelta) -> Iterator[None]:
    """Call `renew` in the background, thrice in a lease, until the block ends."""
    done = threading.Event()

    def keep_renewing() -> None:
        while not done.wait(lease.total_seconds() / 3):
            renew()

    thread = threading.Thread(target=keep_renewing, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
