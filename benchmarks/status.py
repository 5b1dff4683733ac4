"""What `batch-assets status` costs: CPU and peak memory of the real process, 1,000 partitions.

Each partition has five batches: some are planned, some open, some collected. The same command over
an empty ledger is run in turn with it, so that the ratio tells what the rows cost, and what is left
is Python and its imports. The ledger is SQLite, or Postgres with `--ledger URL`, an empty database,
which keeps what is put there. `--most 1` ends with 1 where a run's median takes more CPU seconds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from batch_assets.domain.batch import Account, Batch
from batch_assets.domain.budget import Budget
from batch_assets.domain.provider import Phase, ProviderBatch
from batch_assets.domain.shard import Shard
from batch_assets.ledger import Ledger

ACCOUNT = Account("openai")


def fill(ledger: Ledger, partitions: int, each: int) -> None:
    """So many partitions of so many batches each, as submitting makes them."""
    for number in range(partitions):
        request_set = ledger.request_sets.open("words", f"2026-{number:05}", f"{number:064}")
        ledger.plan(
            request_set,
            [a_shard(at) for at in range(each)],
            wave=0,
            account=ACCOUNT,
            endpoint="/v1/chat/completions",
            owner="benchmark",
            carried=0,
        )
        for batch in ledger.batches(request_set=request_set.id)[: number % (each + 1)]:
            held = ledger.reserve(
                batch, owner="benchmark", lease=timedelta(minutes=5), budget=Budget()
            )
            assert isinstance(held, Batch)
            made = ProviderBatch(
                id=f"batch-{batch.id}",
                status="in_progress",
                phase=Phase.OPEN,
                created_at=ledger.clock(),
            )
            ledger.record(held, made, owner="benchmark")
        if number % 3 == 0:
            ledger.request_sets.resolve(request_set)


def a_shard(number: int) -> Shard:
    return Shard(
        wave=0,
        number=number,
        path="shard.jsonl",
        sha256="0" * 64,
        requests=500,
        bytes=100_000,
        tokens=50_000,
        first_ordinal=500 * number,
        last_ordinal=500 * number + 499,
    )


def cost(url: str, output: str) -> tuple[float, float, int]:
    """CPU seconds, peak MiB and lines of one run of the command."""
    command = [sys.executable, "-m", "batch_assets.cli", "status", "--db-path", url, "-o", output]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"{command} ended with {process.returncode}"
        said.seek(0)
        lines = sum(1 for _ in said)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, lines


def measured(urls: Sequence[str], output: str, times: int) -> float:
    """A line for the full ledger and one for the empty; median CPU seconds of the full one."""
    found: dict[str, list[tuple[float, float, int]]] = {url: [] for url in urls}
    for _ in range(times):
        for url in urls:
            found[url].append(cost(url, output))
    medians = []
    for name, url in zip(("full", "empty"), urls, strict=True):
        cpu = [each[0] for each in found[url]]
        peak = max(each[1] for each in found[url])
        medians.append(statistics.median(cpu))
        print(
            f"-o {output:<6} {name:<6} {medians[-1]:5.2f} s CPU ({min(cpu):.2f} to "
            f"{max(cpu):.2f}) {peak:6.0f} MiB {found[url][0][2]:6} lines",
            flush=True,
        )
    print(f"-o {output:<6} ratio  {medians[0] / medians[1]:5.2f}", flush=True)
    return medians[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=1_000)
    parser.add_argument("--batches", type=int, default=5, help="of each partition")
    parser.add_argument("--ledger", default="", help="URL of an empty Postgres database")
    parser.add_argument("--times", type=int, default=7, help="runs of each command")
    parser.add_argument("--most", type=float, help="CPU seconds that a run may take")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        empty = f"sqlite:///{Path(temporary) / 'empty.db'}"
        Ledger.open(empty).close()
        url = options.ledger or f"sqlite:///{Path(temporary) / 'ledger.db'}"
        ledger = Ledger.open(url)
        if options.ledger:
            assert not ledger.standing.inferences(), "the ledger is not empty"
        fill(ledger, options.partitions, options.batches)
        ledger.close()
        took = [measured([url, empty], output, options.times) for output in ("table", "json")]
    if options.most is not None and max(took) > options.most:
        sys.exit(f"{max(took):.2f} s CPU, and {options.most:g} may be taken")


if __name__ == "__main__":
    main()
