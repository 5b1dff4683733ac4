"""Partitions that meet the sandbox's faults: the product's stages, the real SDK, HTTP between."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from factories import a_corpus, a_recipe
from fault_world import FaultWorld
from stage_world import SETTINGS, a_ledger, a_provider

from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import ManualClock, RunningSandbox, ScriptedFaults, running_sandbox
from batch_assets.stages.recipe import Deployment

Making = Callable[..., FaultWorld]


@pytest.fixture(scope="session")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def script() -> ScriptedFaults:
    return ScriptedFaults()


@pytest.fixture(scope="session")
def server(clock: ManualClock, script: ScriptedFaults) -> Iterator[RunningSandbox]:
    with running_sandbox(clock=clock, faults=script) as running:
        yield running


@pytest.fixture
def sandbox(server: RunningSandbox) -> RunningSandbox:
    server.state.reset()
    server.state.change_settings(SETTINGS)
    return server


@pytest.fixture
def faults(sandbox: RunningSandbox, script: ScriptedFaults) -> ScriptedFaults:
    """The script of the sandbox, which is empty."""
    return script


@pytest.fixture(scope="session")
def usual_provider(server: RunningSandbox) -> Iterator[OpenAIProvider]:
    with closing(a_provider(server.base_url)) as provider:
        yield provider


@pytest.fixture
def provider_at(
    sandbox: RunningSandbox, usual_provider: OpenAIProvider
) -> Iterator[Callable[..., OpenAIProvider]]:
    """Makes providers where any keyword of OpenAIProvider's is given."""
    made: list[OpenAIProvider] = []

    def make(**over: Any) -> OpenAIProvider:
        if not over:
            return usual_provider
        made.append(a_provider(sandbox.base_url, **over))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    ledger = a_ledger(tmp_path, clock)
    yield ledger
    ledger.close()


@pytest.fixture
def a_world(
    tmp_path: Path,
    clock: ManualClock,
    sandbox: RunningSandbox,
    ledger: Ledger,
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
                files=Files(str(tmp_path / "store")),
                provider=provider_at(**of_provider),
                owner="run-1",
            ),
            recipe=a_recipe(a_corpus(tmp_path / "corpus", rows), **over),
            clock=clock,
            sandbox=sandbox,
            **of_world,
        )

    return make
