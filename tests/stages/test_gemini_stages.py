"""A partition's whole way at Gemini: the stages know no provider."""

from collections.abc import Iterator
from typing import Any

import pytest

from batch_assets.domain.budget import Budget
from batch_assets.domain.shard import Limits
from batch_assets.resources.gemini import GeminiProvider
from batch_assets.sandbox import ItemError

GEMINI: dict[str, Any] = {"endpoint": "generate_content", "model": "gemini-2.5-flash"}


@pytest.fixture
def gemini(sandbox) -> Iterator[GeminiProvider]:
    made = GeminiProvider(
        api_key="AIzaSy0123456789",
        limits=Limits(requests=50, bytes=1_000_000),
        budget=Budget(),
        timeout_seconds=10.0,
        max_retries=0,
        base_url=f"{sandbox.origin}/gemini",
    )
    yield made
    made.close()


def test_every_item_has_its_typed_answer(a_world, gemini):
    world = a_world(5, via=gemini, **GEMINI)

    world.carry()

    assert set(world.column("outcome")) == {"ok"}
    assert {tuple(output) for output in world.column("output")} == {("label", "words", "score")}
    assert all(tokens > 0 for tokens in world.column("input_tokens"))
    assert world.executions["requests_executed"] == 5


def test_items_that_share_a_request_have_answers_of_their_own(a_world, gemini):
    world = a_world(5, via=gemini, rows_per_request=2, **GEMINI)

    world.carry()

    assert world.column("outcome") == ["ok"] * 5
    assert world.executions["requests_executed"] == 3


def test_what_the_provider_could_not_do_is_asked_again(a_world, gemini, faults):
    faults.items(ItemError(status=503), times=1, containing="word 1")
    world = a_world(3, via=gemini, **GEMINI)

    world.carry()

    assert world.column("outcome") == ["ok"] * 3
    assert sorted(world.column("wave")) == [0, 0, 1]


def test_answers_are_carried_over_to_the_next_request_set(a_world, gemini):
    world = a_world(3, via=gemini, **GEMINI)
    world.carry()
    other = a_world(4, via=gemini, **GEMINI)

    other.carry()

    assert other.column("outcome") == ["ok"] * 4
    assert other.executions["requests_executed"] == 4
