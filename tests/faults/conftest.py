"""Partitions that meet the sandbox's faults: the product's stages, the real SDK, HTTP between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from factories import a_corpus, a_recipe
from fault_world import FaultWorld

from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import ManualClock, RunningSandbox
from batch_assets.stages.recipe import Deployment

Making = Callable[..., FaultWorld]


@pytest.fixture
def a_world(
    tmp_path: Path,
    clock: ManualClock,
    sandbox: RunningSandbox,
    files: Files,
    ledger: Ledger,
    provider: OpenAIProvider,
    provider_at: Callable[..., OpenAIProvider],
) -> Making:
    """A world around a corpus of so many rows; keywords are a_recipe's, World's or a provider's."""

    def make(rows: pa.Table | int = 4, **over: Any) -> FaultWorld:
        of_world = {key: over.pop(key) for key in ("limits",) if key in over}
        of_provider = {
            key: over.pop(key)
            for key in ("budget", "timeout_seconds", "max_retries")
            if key in over
        }
        return FaultWorld(
            deployment=Deployment(
                ledger=ledger,
                files=files,
                provider=provider_at(sandbox.base_url, **of_provider) if of_provider else provider,
                owner="run-1",
            ),
            recipe=a_recipe(a_corpus(tmp_path / "corpus", rows), **over),
            clock=clock,
            sandbox=sandbox,
            **of_world,
        )

    return make
