"""What the tests work on: valid by default, keywords override."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from batch_assets.corpus import FileCorpus
from batch_assets.domain.batch import Account, Batch, BatchId, BatchState, RequestSet, RequestSetId
from batch_assets.domain.budget import Reservation
from batch_assets.domain.checks import Checks
from batch_assets.domain.provider import Phase, ProviderBatch
from batch_assets.domain.request import RequestSetDigest
from batch_assets.domain.shard import Shard
from batch_assets.domain.stragglers import Stragglers
from batch_assets.domain.wave import RetryPolicy
from batch_assets.prompt import Prompt, output_of
from batch_assets.prompt.packs import endpoint_of
from batch_assets.stages.recipe import Recipe


class Kind(BaseModel):
    """The answer most tests ask for: typed columns of three kinds."""

    label: Literal["animal", "plant", "place"]
    words: list[str]
    score: int


def a_table(rows: int = 3, **columns: Any) -> pa.Table:
    """Rows `i-0`, `i-1`, … with a word each."""
    made = {
        "id": [f"i-{row}" for row in range(rows)],
        "word": [f"word {row}" for row in range(rows)],
    }
    return pa.table(made | columns)


def a_corpus(folder: Path, rows: pa.Table | int = 3, *, key: str = "p") -> FileCorpus:
    """A corpus of one partition; an existing folder gets one more."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(a_table(rows) if isinstance(rows, int) else rows, folder / f"{key}.parquet")
    return FileCorpus(path=str(folder), item_id="id")


def a_recipe(
    corpus: FileCorpus,
    *,
    inference: str = "words",
    model: str = "gpt-5-mini",
    user: str = "Word: {{ word }}",
    system: str | None = "Say what kind of thing it is.",
    prompt: Prompt | None = None,
    endpoint: str = "chat",
    output: Any = Kind,
    settings: dict[str, Any] | None = None,
    max_waves: int = 3,
    reuse: bool = True,
    keeps_remote: bool = True,
    rows_per_request: int = 1,
    canary: int | None = None,
    needs_approval: bool = False,
    checks: Checks | None = None,
    stragglers: Stragglers | None = None,
) -> Recipe:
    """An inference over the corpus, compiled."""
    return Recipe(
        inference=inference,
        model=model,
        corpus=corpus,
        endpoint=endpoint_of(
            endpoint,
            model=model,
            prompt=prompt or Prompt(user=user, system=system),
            output=output_of(output),
            settings=settings or {},
            rows_per_request=rows_per_request,
        ),
        retries=RetryPolicy(max_waves=max_waves),
        reuse=reuse,
        keeps_remote=keeps_remote,
        canary=canary,
        needs_approval=needs_approval,
        checks=checks or Checks(),
        stragglers=stragglers,
    )


#: When nothing in a test says otherwise.
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_shard(number: int = 0, **over: Any) -> Shard:
    """A shard of ten requests; its ordinals follow those of the shards before it."""
    facts: dict[str, Any] = {
        "wave": 0,
        "number": number,
        "path": f"words/requests/wave-0-shard-{number:05}.jsonl",
        "sha256": "0" * 64,
        "requests": 10,
        "bytes": 1_000,
        "tokens": 100,
        "first_ordinal": 10 * number,
        "last_ordinal": 10 * number + 9,
    }
    return Shard(**facts | over)


def a_request_set(**over: Any) -> RequestSet:
    """The first wave of a partition on its way."""
    facts: dict[str, Any] = {
        "id": RequestSetId(1),
        "inference": "words",
        "partition_key": "p",
        "digest": RequestSetDigest("d" * 64),
        "created_at": NOON,
        "wave": 0,
        "resolved_at": None,
    }
    return RequestSet(**facts | over)


def a_batch(**over: Any) -> Batch:
    """A planned batch, as the ledger has it."""
    facts: dict[str, Any] = {
        "id": BatchId(1),
        "request_set": a_request_set(),
        "wave": 0,
        "shard": 0,
        "attempt": 1,
        "account": Account("openai"),
        "endpoint": "/v1/chat/completions",
        "state": BatchState.PLANNED,
        "key": "k",
        "reservation": Reservation(requests=10, tokens=100, batches=1),
        "created_at": NOON,
    }
    return Batch(**facts | over)


def a_provider_batch(id: str = "batch-1", **over: Any) -> ProviderBatch:
    """A batch that the provider works on, as it describes it."""
    facts: dict[str, Any] = {"phase": Phase.OPEN, "status": "in_progress", "created_at": NOON}
    return ProviderBatch(id=id, **facts | over)
