"""Rows that mean harm, on the whole way: real files, a real ledger, the SDK and the sandbox."""

from collections.abc import Callable
from typing import Any

import pytest
from factories import a_recipe
from hostile_world import Repeats
from stage_world import Script, World

from batch_assets.corpus import Corpus
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import ManualClock, RunningSandbox
from batch_assets.stages.recipe import Deployment

WorldOf = Callable[..., World]


@pytest.fixture
def model(script: Script) -> Repeats:
    """The sandbox's model, which repeats what reaches it until a test has it say something else."""
    return Repeats(script)


@pytest.fixture
def world_of(
    clock: ManualClock,
    sandbox: RunningSandbox,
    model: Repeats,
    files: Files,
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
                files=files,
                provider=provider,
                owner="run-1",
            ),
            recipe=recipe,
            clock=clock,
            sandbox=sandbox,
            partition_key=partition_key,
        )

    return make
