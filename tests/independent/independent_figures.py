"""Time and memory of the runs; conftest.py prints them at the end."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

from independent_servers import Running

FIGURES: list[str] = []


@contextmanager
def measured(what: str, server: Running) -> Iterator[None]:
    """Prints at the end how long the block took, and both sides' most memory so far."""
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    FIGURES.append(
        f"{server.name}: {what}: {seconds:.1f} s; peak memory {ours} MB here, "
        f"{server.peak_megabytes} MB there"
    )
