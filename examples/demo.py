"""The example corpus on Dagster, end to end, against the sandbox.

Starts the sandbox, the webserver and the daemon; backfills every partition of `glosses` through
the daemon, as the UI's own backfill dialog does; prints what came of it.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

PROJECT = Path(__file__).parents[1]
CORPUS = PROJECT / "examples" / "glosses" / "corpus"
HOME = PROJECT / ".batch_assets"
LOGS = PROJECT / ".dagster" / "demo"
ASSETS = ("requests", "batches", "raw_outputs", "results", "bundle")

LATENCY_SECONDS = 15
START_TIMEOUT = 180.0
BACKFILL_TIMEOUT = 300.0

LAUNCH = """
mutation ($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
STATUS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill {
      status
      error { message }
      assetBackfillData {
        assetBackfillStatuses {
          ... on AssetPartitionsStatusCounts {
            assetKey { path } numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed
          }
        }
      }
    }
  }
}"""
LOCATION = (
    "query { workspaceOrError { ... on Workspace { locationEntries { loadStatus "
    "locationOrLoadError { __typename ... on PythonError { message } } } } } }"
)


def free_port(wanted: int) -> int:
    """The wanted port, or another where it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("demo: no free port on 127.0.0.1")


@contextmanager
def running(name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process group of its own, which is gone when the block ends."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(timeout=15)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


class Dagster:
    """The webserver's GraphQL, as far as the demo needs it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a query's answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        if answer.get("errors"):
            raise SystemExit(f"demo: Dagster refused a query: {answer['errors'][0]['message']}")
        return answer["data"]

    def is_ready(self) -> bool:
        """Whether the code location is loaded. Ends the demo where it cannot be."""
        try:
            workspace = self.ask(LOCATION)["workspaceOrError"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        entries = workspace.get("locationEntries", [])
        for entry in entries:
            found = entry["locationOrLoadError"] or {}
            if found.get("__typename") == "PythonError":
                raise SystemExit(f"demo: the code location does not load: {found['message']}")
        return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)

    def backfill(self, partitions: list[str]) -> str:
        """Launch a backfill of every asset over the partitions; its id."""
        selection = [{"path": ["glosses", name]} for name in ASSETS]
        launched = self.ask(
            LAUNCH, backfill={"assetSelection": selection, "partitionNames": partitions}
        )["launchPartitionBackfill"]
        if launched["__typename"] != "LaunchBackfillSuccess":
            raise SystemExit(f"demo: the backfill was not launched: {launched}")
        return str(launched["backfillId"])

    def status(self, backfill_id: str) -> Any:
        """The backfill's status, and its assets' counts."""
        return self.ask(STATUS, id=backfill_id)["partitionBackfillOrError"]


def wait_until_ready(dagster: Dagster, servers: list[subprocess.Popen[bytes]]) -> None:
    """Until the webserver has loaded the code location."""
    deadline = time.monotonic() + START_TIMEOUT
    while not dagster.is_ready():
        if any(server.poll() is not None for server in servers):
            raise SystemExit(f"demo: a server ended early; its log is in {LOGS}")
        if time.monotonic() > deadline:
            raise SystemExit(f"demo: Dagster did not start in time; its log is in {LOGS}")
        time.sleep(1)


def wait_for(dagster: Dagster, backfill_id: str) -> str:
    """Until the backfill ended; prints a line where it got further. Its last status."""
    said = ""
    deadline = time.monotonic() + BACKFILL_TIMEOUT
    while time.monotonic() < deadline:
        found = dagster.status(backfill_id)
        counts = (found.get("assetBackfillData") or {}).get("assetBackfillStatuses", [])
        line = progress(counts)
        if line and line != said:
            print(f"  {line}", flush=True)
            said = line
        if found["status"] not in ("REQUESTED", "CANCELING"):
            return str(found["status"])
        time.sleep(2)
    return "TIMED OUT"


def progress(counts: list[dict[str, Any]]) -> str:
    """Partitions materialized of those asked for, asset by asset in the graph's order."""
    by_name = {asset["assetKey"]["path"][-1]: asset for asset in counts}
    return ", ".join(
        f"{name} {by_name[name]['numPartitionsMaterialized']}"
        f"/{by_name[name]['numPartitionsTargeted']}"
        for name in ASSETS
        if name in by_name
    )


def print_summary(partitions: list[str]) -> bool:
    """A line for each partition, from the Parquet files themselves. Whether every item is there."""
    files = HOME / "sandbox" / "files" / "glosses"
    heads = ("partition", "items", "outcomes", "accuracy", "tokens in", "tokens out")
    print("{:<10}{:>7}  {:<22}{:>9}{:>11}{:>12}".format(*heads))
    complete, total = True, Counter[str]()
    for partition in partitions:
        corpus = pq.read_table(CORPUS / f"{partition}.parquet", columns=["synset_id", "label"])
        results = pq.read_table(files / "results" / f"{partition}.parquet")
        complete &= corpus["synset_id"].to_pylist() == results["item_id"].to_pylist()
        outcomes = Counter(results["outcome"].to_pylist())
        labels = zip(results["output"].to_pylist(), corpus["label"].to_pylist(), strict=True)
        right = sum(output is not None and output["label"] == label for output, label in labels)
        tokens_in = sum(results["input_tokens"].to_pylist())
        tokens_out = sum(results["output_tokens"].to_pylist())
        _print_row(partition, results.num_rows, outcomes, right, tokens_in, tokens_out)
        total.update(items=results.num_rows, right=right, tokens_in=tokens_in)
        total.update(tokens_out=tokens_out, **outcomes)
    outcomes = Counter({k: v for k, v in total.items() if k not in _NOT_OUTCOMES})
    _print_row(
        "all", total["items"], outcomes, total["right"], total["tokens_in"], total["tokens_out"]
    )
    print(f"\nresults  {files / 'results'}/*.parquet\nbundles  {files / 'bundles'}")
    return complete


_NOT_OUTCOMES = {"items", "right", "tokens_in", "tokens_out"}


def _print_row(
    name: str, items: int, outcomes: Counter[str], right: int, tokens_in: int, tokens_out: int
) -> None:
    said = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"{name:<10}{items:>7}  {said:<22}{right / items:>9.1%}{tokens_in:>11,}{tokens_out:>12,}")


def main() -> int:
    """Run the demo; 0 when every partition came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end by itself and leave nothing up")
    once = parser.parse_args().once
    # Started in the background, a process is born deaf to Ctrl-C.
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.default_int_handler)
    sandbox_port, ui_port = free_port(8750), free_port(3000)
    os.environ |= {
        "BATCH_ASSETS_DEPLOYMENT": "sandbox",
        "BATCH_ASSETS_HOME": str(HOME),
        "BATCH_ASSETS_SANDBOX_URL": f"http://127.0.0.1:{sandbox_port}/v1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    partitions = sorted(path.stem for path in CORPUS.glob("*.parquet"))
    dagster = Dagster(f"http://127.0.0.1:{ui_port}")
    with ExitStack() as servers:
        sandbox = servers.enter_context(
            running(
                "sandbox", sys.executable, "-m", "batch_assets.cli", "sandbox", "serve",
                "--port", str(sandbox_port), "--latency", str(LATENCY_SECONDS),
                "--state-dir", str(HOME / "sandbox" / "provider"),
            )
        )  # fmt: skip
        dev = servers.enter_context(
            running(
                "dagster", sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml",
                "-h", "127.0.0.1", "-p", str(ui_port),
            )
        )  # fmt: skip
        print(f"starting sandbox, webserver and daemon ({dagster.url})", flush=True)
        wait_until_ready(dagster, [sandbox, dev])
        started = time.monotonic()
        backfill_id = dagster.backfill(partitions)
        print(f"backfill {backfill_id} of {len(partitions)} partitions, through the daemon")
        status = wait_for(dagster, backfill_id)
        print(f"backfill {backfill_id}: {status} after {time.monotonic() - started:.0f} s\n")
        if status != "COMPLETED_SUCCESS":
            print(f"logs     {LOGS}")
            return 1
        complete = print_summary(partitions)
        print(f"the UI   {dagster.url}/asset-groups, {dagster.url}/runs/b/{backfill_id}")
        if not once:
            print("stop it  Ctrl-C", flush=True)
            _until_interrupted(dev)
        return 0 if complete else 1


def _until_interrupted(server: subprocess.Popen[bytes]) -> None:
    try:
        server.wait()
    except KeyboardInterrupt:
        print("\nstopping")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
