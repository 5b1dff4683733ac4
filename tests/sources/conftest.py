"""Sources of every kind on the whole way; buckets are those of a server that speaks S3."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from factories import a_recipe
from stage_world import SETTINGS, World, a_ledger, a_provider

from batch_assets.corpus import Corpus
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import ManualClock, RunningSandbox, running_sandbox
from batch_assets.stages.recipe import Deployment

WorldOf = Callable[..., World]


@pytest.fixture(scope="session")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def server(clock: ManualClock) -> Iterator[RunningSandbox]:
    with running_sandbox(clock=clock) as running:
        yield running


@pytest.fixture
def sandbox(server: RunningSandbox) -> RunningSandbox:
    server.state.reset()
    server.state.change_settings(SETTINGS)
    return server


@pytest.fixture(scope="session")
def provider(server: RunningSandbox) -> Iterator[OpenAIProvider]:
    with closing(a_provider(server.base_url)) as provider:
        yield provider


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    ledger = a_ledger(tmp_path, clock)
    yield ledger
    ledger.close()


@pytest.fixture
def world_of(
    clock: ManualClock, sandbox: RunningSandbox, ledger: Ledger, provider: OpenAIProvider
) -> WorldOf:
    """A partition of a corpus on its way to a store; keywords are a_recipe's."""

    def make(corpus: Corpus, store: str, partition_key: str, **over: Any) -> World:
        return World(
            deployment=Deployment(
                ledger=ledger, files=Files(store), provider=provider, owner="run-1"
            ),
            recipe=a_recipe(corpus, **over),
            clock=clock,
            sandbox=sandbox,
            partition_key=partition_key,
        )

    return make
