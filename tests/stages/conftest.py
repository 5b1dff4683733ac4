"""Partitions on their way: real files, a real ledger, and the sandbox behind the real adapter."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from factories import a_corpus, a_recipe
from lane_world import SleptTime, a_lane
from stage_world import LIMITS, Border, World
from stragglers_world import AFTER, HOUR

from batch_assets.domain.provider import Provider
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest
from batch_assets.ledger import Ledger
from batch_assets.resources.live import LiveLane
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import ManualClock, RunningSandbox
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment

ProviderAt = Callable[..., OpenAIProvider]
Prepared = Callable[..., Manifest]


@pytest.fixture
def border(sandbox: RunningSandbox) -> Iterator[Border]:
    border = Border(sandbox.base_url)
    yield border
    border.stop()


@pytest.fixture
def provider(provider_at: ProviderAt, sandbox: RunningSandbox) -> Provider:
    """Of this test alone: what it learns of the account is not the next one's."""
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

    def make(
        rows: pa.Table | int = 3,
        *,
        via: Provider | None = None,
        live: Provider | None = None,
        **over: Any,
    ) -> World:
        of_world = {key: over.pop(key) for key in ("limits", "partition_key") if key in over}
        recipe = a_recipe(a_corpus(tmp_path / "corpus", rows), **over)
        return World(
            deployment=Deployment(
                ledger=ledger, files=files, provider=via or provider, owner="run-1", live=live
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


@pytest.fixture
def lane_at(sandbox: RunningSandbox, clock: ManualClock) -> Iterator[Callable[..., LiveLane]]:
    """Makes lanes to the sandbox; keywords are a_lane's."""
    made: list[LiveLane] = []

    def make(**over: Any) -> LiveLane:
        made.append(a_lane(sandbox.base_url, **{"time": SleptTime(clock), **over}))
        return made[-1]

    yield make
    for lane in made:
        lane.close()


@pytest.fixture
def lane(lane_at: Callable[..., LiveLane]) -> LiveLane:
    return lane_at()


@pytest.fixture
def slow(sandbox: RunningSandbox) -> RunningSandbox:
    """A provider that needs 40 hours, and so has half of the answers at the deadline."""
    sandbox.state.change_settings({"latency": 40 * HOUR, "cancel_delay": 60.0})
    return sandbox


@pytest.fixture
def late_world(
    a_world: Callable[..., World], lane: LiveLane, slow: RunningSandbox
) -> Callable[..., World]:
    """A world with stragglers after 20 hours; keywords are a_world's."""

    def make(rows: Any = 6, **over: Any) -> World:
        return a_world(rows, live=lane, **{"stragglers": AFTER, **over})

    return make
