"""Sources of every kind on the whole way; buckets are those of a server that speaks S3."""

from collections.abc import Callable
from typing import Any

import pytest
from factories import a_recipe
from stage_world import World

from batch_assets.corpus import Corpus
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import ManualClock, RunningSandbox
from batch_assets.stages.recipe import Deployment

WorldOf = Callable[..., World]


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
