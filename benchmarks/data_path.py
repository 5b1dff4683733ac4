"""CPU time and peak memory of a partition's way through the data path, without Dagster or HTTP.

Each size runs in a process of its own. `python -m benchmarks.data_path 20000 200000` prints a line
for each: seconds and microseconds a row of CPU by stage, and the peak resident memory.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from batch_assets import FileCorpus, Inference, Prompt
from batch_assets.domain.batch import Account
from batch_assets.domain.budget import Budget
from batch_assets.domain.provider import Phase, Provider, ProviderBatch, Upload
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.stages.advance import advance
from batch_assets.stages.export import export
from batch_assets.stages.poll import poll
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.submit import submit

GLOSSES = Path(__file__).parents[1] / "examples" / "glosses" / "corpus"
ANSWER = json.dumps({"label": "plant", "evidence": "a tall perennial herb of the tropics"})
BLOCK = 1000


class InstantProvider(Provider):
    """Answers every shard at once, out of order, with one fixed answer: costs next to nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._batches: dict[str, ProviderBatch] = {}

    @property
    def account(self) -> Account:
        return Account("instant")

    @property
    def limits(self) -> Limits:
        return Limits(requests=50_000, bytes=200_000_000)

    @property
    def budget(self) -> Budget:
        return Budget()

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        custom_id = msgspec.json.Decoder(CustomId)
        shuffle = random.Random(key).shuffle
        with shard.open("rb") as requests, (self._folder / key).open("wb") as output:
            block: list[bytes] = []
            for line in requests:
                block.append(OUTPUT % custom_id.decode(line).custom_id.encode())
                if len(block) == BLOCK:
                    shuffle(block)
                    output.writelines(block)
                    block.clear()
            output.writelines(block)
        batch = ProviderBatch(
            id=key,
            phase=Phase.ENDED,
            status="completed",
            created_at=datetime.now(UTC),
            key=key,
            output_file_id=key,
        )
        self._batches[key] = batch
        return batch

    def find(
        self,
        key: str,
        *,
        since: datetime,
        requests: int | None = None,
        besides: Collection[str] = (),
    ) -> ProviderBatch | None:
        return self._batches.get(key)

    def poll(
        self, ids: Collection[str], *, since: datetime, among: Sequence[str] = ()
    ) -> Iterator[ProviderBatch]:
        return (self._batches[id_] for id_ in ids)

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        return iter(())

    def delete_upload(self, file_id: str) -> None:
        raise AssertionError("nothing is orphaned here")

    def download(self, file_id: str, sink: BinaryIO) -> None:
        with (self._folder / file_id).open("rb") as source:
            while block := source.read(1 << 16):
                sink.write(block)

    def cancel(self, batch_id: str) -> ProviderBatch:
        return self._batches[batch_id]


class CustomId(msgspec.Struct):
    """The one field of a request line that an answer needs."""

    custom_id: str


OUTPUT = (
    b'{"id":"batch_req_0","custom_id":"%s","response":{"status_code":200,"request_id":"r","body":'
    + json.dumps(
        {
            "id": "chatcmpl-0",
            "object": "chat.completion",
            "created": 0,
            "model": "instant",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": ANSWER, "refusal": None},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
            "usage": {"prompt_tokens": 80, "completion_tokens": 20, "total_tokens": 100},
        }
    )
    .encode()
    .replace(b"%", b"%%")
    + b'},"error":null}\n'
)


def write_corpus(folder: Path, rows: int) -> None:
    """One partition of that many distinct rows, made of the example's real glosses."""
    glosses = pq.read_table(GLOSSES, columns=["word", "gloss"]).to_pylist()
    schema = pa.schema([("id", pa.string()), ("word", pa.string()), ("gloss", pa.string())])
    with pq.ParquetWriter(folder / "all.parquet", schema) as writer:
        for start in range(0, rows, 10_000):
            numbers = range(start, min(start + 10_000, rows))
            chosen = [glosses[number % len(glosses)] for number in numbers]
            columns = [
                [f"item-{number}" for number in numbers],
                [
                    f"{row['word']} ({number // len(glosses)})"
                    for number, row in zip(numbers, chosen, strict=True)
                ],
                [row["gloss"] for row in chosen],
            ]
            writer.write_table(pa.table(columns, schema=schema))


def run(rows: int) -> dict[str, Any]:
    """Figures of one size, in this process."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "corpus").mkdir()
        (home / "provider").mkdir()
        write_in_child(home / "corpus", rows)
        recipe = Inference(
            name="bench",
            corpus=FileCorpus(path=str(home / "corpus"), item_id="id"),
            prompt=Prompt(system="Sort it.", user="Word: {{ word }}\nDefinition: {{ gloss }}"),
            model="instant",
            output="batch_assets.defs.glosses.gloss_class:GlossClass",
        ).recipe()
        deployment = Deployment(
            ledger=Ledger.open(f"sqlite:///{home}/ledger.db"),
            files=Files(str(home / "files")),
            provider=InstantProvider(home / "provider"),
            owner="benchmark",
        )
        base = peak_mb()
        cpu: dict[str, float] = {}
        with timed(cpu, "prepare"):
            provider = deployment.provider
            manifest = prepare(recipe, "all", files=deployment.files, limits=provider.limits)
        with timed(cpu, "provider"):
            submission = submit(deployment, recipe, manifest)
            poll(deployment)
        with timed(cpu, "collect+resolve"):
            state = advance(deployment, recipe, submission.request_set)
        assert isinstance(state, Resolution)
        with timed(cpu, "export"):
            export(deployment, submission.request_set)
        assert state.summary.outcomes == {"ok": rows}
        return {
            "rows": rows,
            "us_per_row": {stage: round(s / rows * 1e6, 1) for stage, s in cpu.items()},
            "base_mb": base,
            "peak_mb": peak_mb(),
        }


def write_in_child(folder: Path, rows: int) -> None:
    """Make the corpus elsewhere, so that its memory is not counted."""
    code = f"from benchmarks.data_path import *; write_corpus(Path({str(folder)!r}), {rows})"
    subprocess.run([sys.executable, "-c", code], check=True)


def peak_mb() -> int:
    """Peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@contextmanager
def timed(cpu: dict[str, float], stage: str) -> Iterator[None]:
    """Add the CPU seconds of the block."""
    start = time.process_time()
    yield
    cpu[stage] = time.process_time() - start


def main(sizes: list[str]) -> None:
    """One line of JSON for each size."""
    if len(sizes) == 1:
        print(json.dumps(run(int(sizes[0]))))
        return
    for size in sizes or ["20000", "200000"]:
        subprocess.run([sys.executable, "-m", "benchmarks.data_path", size], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
