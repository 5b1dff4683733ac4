"""Rows that mean harm, on the whole way: real files, a real ledger, the SDK and the sandbox."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from factories import a_recipe
from hostile_world import Repeats
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
def server(clock: ManualClock) -> Iterator[tuple[RunningSandbox, Repeats]]:
    model = Repeats()
    with running_sandbox(clock=clock, faults=model) as running:
        yield running, model


@pytest.fixture
def sandbox(server: tuple[RunningSandbox, Repeats]) -> RunningSandbox:
    running, _ = server
    running.state.reset()
    running.state.change_settings(SETTINGS)
    return running


@pytest.fixture
def model(server: tuple[RunningSandbox, Repeats], sandbox: RunningSandbox) -> Repeats:
    _, model = server
    model.says = str
    return model


@pytest.fixture(scope="session")
def provider(server: tuple[RunningSandbox, Repeats]) -> Iterator[OpenAIProvider]:
    with closing(a_provider(server[0].base_url)) as provider:
        yield provider


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    ledger = a_ledger(tmp_path, clock)
    yield ledger
    ledger.close()


@pytest.fixture
def world_of(
    tmp_path: Path,
    clock: ManualClock,
    sandbox: RunningSandbox,
    model: Repeats,
    ledger: Ledger,
    provider: OpenAIProvider,
) -> WorldOf:
    """A world around a corpus; keywords are a_recipe's and `partition_key`.

    Without another prompt the user message is the field `text`, without another output free text.
    """

    def make(corpus: Corpus, *, partition_key: str = "p", **over: Any) -> World:
        recipe = over.pop("recipe", None) or a_recipe(
            corpus, **{"user": "{{ text }}", "output": None, **over}
        )
        return World(
            deployment=Deployment(
                ledger=ledger,
                files=Files(str(tmp_path / "store")),
                provider=provider,
                owner="run-1",
            ),
            recipe=recipe,
            clock=clock,
            sandbox=sandbox,
            partition_key=partition_key,
        )

    return make
