"""Partitions on their way: real files, a real ledger, and the sandbox behind the real adapter.

One clock moves the provider and the ledger. One sandbox serves the session; each test finds it
empty and behaving.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from factories import a_corpus, a_recipe
from stage_world import LIMITS, SETTINGS, Border, Script, World, a_ledger, a_provider

from batch_assets.domain.provider import Provider
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest
from batch_assets.ledger import Ledger
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import ManualClock, RunningSandbox, running_sandbox
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment

ProviderAt = Callable[..., OpenAIProvider]
Prepared = Callable[..., Manifest]


@pytest.fixture(scope="session")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def server(clock: ManualClock) -> Iterator[tuple[RunningSandbox, Script]]:
    script = Script()
    with running_sandbox(clock=clock, faults=script) as running:
        yield running, script


@pytest.fixture
def sandbox(server: tuple[RunningSandbox, Script]) -> RunningSandbox:
    running, script = server
    script.forget()
    running.state.reset()
    running.state.change_settings(SETTINGS)
    return running


@pytest.fixture
def script(server: tuple[RunningSandbox, Script], sandbox: RunningSandbox) -> Script:
    return server[1]


@pytest.fixture
def border(sandbox: RunningSandbox) -> Iterator[Border]:
    border = Border(sandbox.base_url)
    yield border
    border.stop()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "store"))


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    ledger = a_ledger(tmp_path, clock)
    yield ledger
    ledger.close()


@pytest.fixture
def provider_at() -> Iterator[ProviderAt]:
    """Makes providers for an address; keywords are OpenAIProvider's."""
    made: list[OpenAIProvider] = []

    def make(base_url: str, **over: Any) -> OpenAIProvider:
        made.append(a_provider(base_url, **over))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def provider(provider_at: ProviderAt, sandbox: RunningSandbox) -> Provider:
    return provider_at(sandbox.base_url)


@pytest.fixture
def a_world(
    tmp_path: Path,
    clock: ManualClock,
    sandbox: RunningSandbox,
    files: Files,
    ledger: Ledger,
    provider: Provider,
) -> Callable[..., World]:
    """A world around a corpus of so many rows; keywords are a_recipe's or World's."""

    def make(rows: pa.Table | int = 3, *, via: Provider | None = None, **over: Any) -> World:
        of_world = {key: over.pop(key) for key in ("limits", "partition_key") if key in over}
        recipe = a_recipe(a_corpus(tmp_path / "corpus", rows), **over)
        return World(
            deployment=Deployment(
                ledger=ledger, files=files, provider=via or provider, owner="run-1"
            ),
            recipe=recipe,
            clock=clock,
            sandbox=sandbox,
            **of_world,
        )

    return make


@pytest.fixture
def prepared(tmp_path: Path, files: Files) -> Prepared:
    """Prepares a corpus of these rows; keywords are a_recipe's, `limits` and `into`."""

    def make(
        rows: pa.Table | int = 3, *, limits: Limits = LIMITS, into: Files = files, **over: Any
    ) -> Manifest:
        recipe = a_recipe(a_corpus(tmp_path / "corpus", rows), **over)
        return prepare(recipe, "p", files=into, limits=limits)

    return make
