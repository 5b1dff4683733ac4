"""What a tick of the poll sensor costs with 2,000 open batches in a ledger of 20,000 rows.

The sandbox is a process of its own, asked through the SDK over HTTP; Dagster's instance is a real
one on SQLite. The ledger is SQLite too, or Postgres with `--ledger URL`, which must be empty. Its
clock is put forward between ticks, so that hours of ticks take minutes. With `--slow 5` each page
of the provider's list takes five seconds at the end, on a real clock.
"""

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

import batch_assets as ba
from batch_assets.domain.batch import Account, BatchState
from batch_assets.domain.budget import Budget
from batch_assets.domain.provider import Provider
from batch_assets.domain.shard import Shard
from batch_assets.ledger import Ledger, schema
from batch_assets.resources.openai import OpenAIResource

PARTITIONS = 500
EVERY = timedelta(seconds=30)
ENDPOINT = "/v1/chat/completions"


class Clock:
    """The time now, put forward or back."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Sandbox:
    """A sandbox in a process of its own, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        command = ["sandbox", "serve", "--port", str(self._port), "--state-dir", str(folder)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "batch_assets.cli", *command, "--latency", "86000"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                self._ask("GET", "executions")
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def answer_after(self, seconds: float) -> None:
        """From now on, pages and single batches take so long; calls are counted anew."""
        self._ask("DELETE", "faults")
        slow = {"kind": "slow_answer", "seconds": seconds}
        routes = ("batches.list", "batches.retrieve")
        rules = [{"route": route, "fault": slow, "times": None} for route in routes]
        self._ask("POST", "faults", {"calls": rules})

    def calls(self) -> list[int]:
        """Pages and single batches asked for since they were counted anew."""
        found = self._ask("GET", "faults")
        return [rule["hits"] for rule in found["calls"]]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/sandbox/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")


def fill(
    ledger: Ledger, provider: Provider, clock: Clock, folder: Path, opened: int, rows: int
) -> None:
    """So many open batches, which the provider has, beside older ones that are collected."""
    shard = folder / "shard.jsonl"
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Word: oak"}]}
    line = {"custom_id": "r-0", "method": "POST", "url": ENDPOINT, "body": body}
    shard.write_text(json.dumps(line) + "\n")
    each = opened // PARTITIONS
    begin, span = clock.ahead, timedelta(hours=3)
    for number in range(PARTITIONS):
        clock.ahead = begin - span + span * number / PARTITIONS
        partition_key = f"p{number:04}"
        request_set = ledger.request_sets.open("words", partition_key, f"{number:064}")
        ledger.plan(
            request_set,
            [a_shard(at) for at in range(each)],
            wave=0,
            account=provider.account,
            endpoint=ENDPOINT,
            owner="benchmark",
            carried=0,
        )
        for batch in ledger.batches(request_set=request_set.id):
            held = ledger.reserve(
                batch, owner="benchmark", lease=timedelta(minutes=5), budget=Budget()
            )
            made = provider.submit(shard, endpoint=ENDPOINT, key=batch.key)
            ledger.record(held, made, owner="benchmark")  # type: ignore[arg-type]
    clock.ahead = begin
    add_collected(ledger, provider.account, clock(), rows - each * PARTITIONS)


def a_shard(number: int) -> Shard:
    return Shard(
        wave=0,
        number=number,
        path="shard.jsonl",
        sha256="0" * 64,
        requests=1,
        bytes=100,
        tokens=10,
        first_ordinal=number,
        last_ordinal=number,
    )


def add_collected(ledger: Ledger, account: Account, now: datetime, rows: int) -> None:
    """Rows of long ago, some of which ended lately: they tell how long a batch takes."""
    sets = [
        {
            "inference": "words",
            "partition_key": f"p{number:04}",
            "digest": f"old-{number}",
            "created_at": now - timedelta(days=2),
            "is_current": False,
            "wave": 0,
            "resolved_at": now - timedelta(days=1),
            "origin": "",
            "cancels_batches": False,
            "needs_approval": False,
            "carried": 0,
        }
        for number in range(PARTITIONS)
    ]
    with ledger._writing.begin() as connection:  # noqa: SLF001
        connection.execute(schema.request_set.insert(), sets)
        ids = list(
            connection.scalars(
                sa.select(schema.request_set.c.id).where(~schema.request_set.c.is_current)
            )
        )
        connection.execute(
            schema.batch.insert(),
            [
                {
                    "request_set_id": ids[number % len(ids)],
                    "wave": 0,
                    "shard": number // len(ids),
                    "attempt": 1,
                    "account": account,
                    "endpoint": ENDPOINT,
                    "state": BatchState.COLLECTED,
                    "key": secrets.token_hex(16),
                    "requests": 1,
                    "tokens": 10,
                    "inputs": 0,
                    "created_at": now - timedelta(days=2),
                    "submitted_at": now - timedelta(days=1, minutes=number % 600),
                    "ended_at": now - timedelta(days=1, minutes=number % 600 - 180 - number % 240),
                    "provider_id": f"batch_old_{number}",
                    "refusals": 0,
                    "problems": [],
                }
                for number in range(rows)
            ],
        )


@contextmanager
def location(folder: Path, ledger: Ledger, sandbox: Sandbox) -> Iterator[dg.Definitions]:
    """A code location of one inference over the partitions of the ledger."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for number in range(PARTITIONS):
        pq.write_table(pa.table({"id": ["1"], "word": ["oak"]}), corpus / f"p{number:04}.parquet")
    inference = ba.Inference(
        name="words",
        corpus=ba.FileCorpus(path=str(corpus), item_id="id"),
        prompt=ba.Prompt(user="Word: {{ word }}"),
        model="gpt-5-mini",
    )
    resources = {
        "batch_ledger": ledger,
        "batch_files": ba.BatchFilesIOManager(root=str(folder / "files")),
        "openai": OpenAIResource(api_key="sandbox", base_url=sandbox.base_url),
    }
    yield ba.with_operations(
        dg.Definitions.merge(ba.batch_inference(inference), dg.Definitions(resources=resources))
    )


def tick(instance: dg.DagsterInstance, defs: dg.Definitions) -> Any:
    """One tick; what it observes is written down, as the daemon does."""
    sensor = defs.resolve_sensor_def("batch_poll")
    with dg.build_sensor_context(
        instance=instance, definitions=defs, resources=dict(defs.resources or {})
    ) as context:
        return sensor.evaluate_tick(context)


def measured(
    what: str, instance: dg.DagsterInstance, defs: dg.Definitions, sandbox: Sandbox
) -> str:
    """One line: seconds, CPU seconds, calls, and what the tick said."""
    before = sandbox.calls()
    wall, cpu = time.perf_counter(), time.process_time()
    found = tick(instance, defs)
    took = time.perf_counter() - wall, time.process_time() - cpu
    pages, single = (after - then for after, then in zip(sandbox.calls(), before, strict=True))
    for event in found.asset_events:
        instance.report_runless_asset_event(event)
    said = str(found.skip_message or f"{len(found.run_requests)} runs")
    print(
        f"{what:<28} {took[0]:6.2f} s {took[1]:6.2f} s CPU {pages:3} pages {single:3} single "
        f"{len(found.asset_events):3} events  {said}",
        flush=True,
    )
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=2_000, help="open batches")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the ledger")
    parser.add_argument("--ledger", default="", help="URL of an empty Postgres database")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds for a page, in the end")
    parser.add_argument("--ticks", type=int, default=20, help="ticks, half a minute apart")
    options = parser.parse_args()
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    with tempfile.TemporaryDirectory() as temporary:
        folder, clock = Path(temporary), Clock()
        ledger = Ledger.open(options.ledger or f"sqlite:///{folder}/ledger.db", clock)
        sandbox = Sandbox(folder / "sandbox")
        try:
            with (
                location(folder, ledger, sandbox) as defs,
                dg.DagsterInstance.local_temp(str(folder)) as instance,
            ):
                assert defs.resources is not None
                resource: OpenAIResource = defs.resources["openai"]
                provider = resource.create_resource(dg.build_init_resource_context())
                begin = time.perf_counter()
                fill(ledger, provider, clock, folder, options.open, options.rows)
                took = time.perf_counter() - begin
                print(f"{options.rows} rows, {options.open} open: made in {took:.0f} s", flush=True)
                sandbox.answer_after(0)
                measured("first tick", instance, defs, sandbox)
                measured("at once again", instance, defs, sandbox)
                for number in range(options.ticks):
                    clock.ahead += EVERY
                    measured(f"after {(number + 1) * EVERY}", instance, defs, sandbox)
                if options.slow:
                    sandbox.answer_after(options.slow)
                    clock.ahead += timedelta(minutes=15)
                    said = "next time"
                    while "next time" in said:
                        said = measured(
                            f"{options.slow:g} s for each page", instance, defs, sandbox
                        )
        finally:
            sandbox.stop()
            ledger.close()


if __name__ == "__main__":
    main()
