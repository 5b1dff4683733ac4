"""What a change of a corpus sends: CPU time, peak memory, and the sandbox's own count of requests.

`python -m benchmarks.reuse` takes 100,000 rows once through the real SDK and the sandbox, then: 312
rows change; the prompt changes; it changes back; the file is touched, moved and copied. Each step
is a process of its own over the same store and ledger, and prints the requests that the sandbox
executed, with CPU time and peak memory of its parts: `look` is what `requests` does to say what is
reused, `submit` carries it over. A count that is not what it must be ends the run with an error.
`--rows 10000 --changed 31` is a smaller run.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_assets import FileCorpus, Inference, Prompt
from batch_assets.domain.budget import Budget
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.resources.openai.provider import OpenAIProvider
from batch_assets.sandbox import SystemClock, running_sandbox
from batch_assets.stages.advance import advance
from batch_assets.stages.poll import poll
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.reuse import reuse
from batch_assets.stages.submit import submit

LIMITS = Limits(requests=50_000, bytes=200_000_000)
TEXT = "A tall perennial herb of the tropics, cultivated for its edible root. "
PROMPTS = {"first": "Title: {{ title }}\nText: {{ text }}", "second": "{{ title }}: {{ text }}"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change, and the requests that it must send."""

    name: str
    sends: int
    prompt: str = "first"
    partition_key: str = "all"


def write_corpus(folder: Path, rows: int, changed: int = 0, key: str = "all") -> None:
    """One partition of distinct rows of about 250 characters, `changed` of them spread over it."""
    folder.mkdir(exist_ok=True)
    every = rows // changed if changed else rows + 1
    is_changed = [row % every == 0 and row // every < changed for row in range(rows)]
    table = pa.table(
        {
            "id": [f"item-{row:07}" for row in range(rows)],
            "title": [f"title {row}{' changed' * is_changed[row]}" for row in range(rows)],
            "text": [TEXT * (1 + row % 5) for row in range(rows)],
        }
    )
    pq.write_table(table, folder / f"{key}.parquet")


def carry(home: Path, step: Step, base_url: str) -> dict[str, Any]:
    """Figures of one step, in this process: what was found out, and then the way to the results."""
    provider = OpenAIProvider(
        base_url=base_url,
        api_key="sk-none",
        limits=LIMITS,
        budget=Budget(),
        timeout_seconds=600.0,
        max_retries=0,
        account="openai",
    )
    deployment = Deployment(
        ledger=Ledger.open(f"sqlite:///{home}/ledger.db"),
        files=Files(str(home / "files")),
        provider=provider,
        owner="benchmark",
    )
    recipe = Inference(
        name="bench",
        corpus=FileCorpus(path=str(home / "corpus"), item_id="id"),
        prompt=Prompt(system="Sort it.", user=PROMPTS[step.prompt]),
        model="gpt-5-mini",
        output="batch_assets.defs.glosses.gloss_class:GlossClass",
    ).recipe()
    figures: dict[str, Any] = {"base MB": peak_mb()}
    with measured(figures, "prepare"):
        manifest = prepare(recipe, step.partition_key, files=deployment.files, limits=LIMITS)
    with measured(figures, "look"):
        found = reuse(deployment, recipe, manifest)
    with measured(figures, "submit"):
        submission = submit(deployment, recipe, manifest)
    with measured(figures, "results"):
        poll(deployment)
        state = advance(deployment, recipe, submission.request_set)
    provider.close()
    assert isinstance(state, Resolution), state
    assert state.summary.outcomes == {"ok": manifest.items}, state.summary.outcomes
    return figures | {"carried": len(found.carried)}


@contextmanager
def measured(figures: dict[str, Any], what: str) -> Iterator[None]:
    """Add the block's CPU seconds, and the peak memory of the process after it."""
    start = time.process_time()
    yield
    figures[f"{what} s"] = round(time.process_time() - start, 2)
    figures[f"{what} MB"] = peak_mb()


def peak_mb() -> int:
    """Peak resident memory of this process so far, in MB; what it was started from is not in it."""
    [found] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found) // 1024


def in_child(home: Path, step: Step, base_url: str) -> dict[str, Any]:
    """The same in a process of its own."""
    arguments = json.dumps([str(home), asdict(step), base_url])
    command = [sys.executable, "-m", "benchmarks.reuse", "--one", arguments]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(out)
    return figures


def steps(home: Path, rows: int, changed: int) -> Iterator[Step]:
    """Each step, with its change made to the corpus."""
    corpus = home / "corpus"
    file = corpus / "all.parquet"
    write_corpus(corpus, rows)
    yield Step(name="all rows are new", sends=rows)
    yield Step(name="nothing changed", sends=0)
    write_corpus(corpus, rows, changed)
    yield Step(name=f"{changed} rows changed", sends=changed)
    yield Step(name="the prompt changed", sends=rows, prompt="second")
    yield Step(name="the prompt changed back", sends=0)
    os.utime(file)
    yield Step(name="the file was touched", sends=0)
    shutil.copy(file, corpus / "copy.parquet")
    yield Step(name="the file was copied", sends=0, partition_key="copy")
    (corpus / "copy.parquet").rename(corpus / "moved.parquet")
    yield Step(name="the file was moved", sends=0, partition_key="moved")


def main() -> None:
    """A line for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=312)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        home, step, base_url = json.loads(chosen.one)
        print(json.dumps(carry(Path(home), Step(**step), base_url)))
        return
    with tempfile.TemporaryDirectory() as folder, running_sandbox(clock=SystemClock()) as sandbox:
        sandbox.state.change_settings({"latency": 0.0, "enqueued_token_limit": None})
        before = 0
        for step in steps(Path(folder), chosen.rows, chosen.changed):
            figures = in_child(Path(folder), step, sandbox.base_url)
            total = sandbox.state.executions()["requests_executed"]
            sent, before = total - before, total
            print(f"{step.name:25}{sent:9,} sent  {json.dumps(figures)}", flush=True)
            if sent != step.sends:
                raise SystemExit(f"{step.name}: {sent:,} requests were sent, not {step.sends:,}")


if __name__ == "__main__":
    main()
