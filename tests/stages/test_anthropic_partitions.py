"""A partition's whole way through Anthropic's batches: real SDK, sandbox, files and ledger."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from factories import Kind
from pydantic import BaseModel
from stage_world import LIMITS, World

from batch_assets.domain.batch import BatchState
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import ProviderUnavailable
from batch_assets.resources.anthropic import AnthropicProvider
from batch_assets.sandbox import (
    CancelledOutside,
    ConnectionCut,
    Expires,
    ItemError,
    LostReply,
    NotJson,
    Refusal,
    RunningSandbox,
    TruncatedAnswer,
)
from batch_assets.stages.recover import recover


class Tree(BaseModel):
    """What the format cannot have and a tool can."""

    label: str
    children: list["Tree"]


@pytest.fixture
def anthropic(sandbox: RunningSandbox) -> Iterator[AnthropicProvider]:
    provider = AnthropicProvider(
        api_key="sk-ant-0123456789",
        base_url=f"{sandbox.origin}/anthropic",
        limits=LIMITS,
        budget=Budget(),
        timeout_seconds=10,
        max_retries=0,
        account="anthropic",
    )
    yield provider
    provider.close()


@pytest.fixture
def a_partition(a_world, anthropic) -> Callable[..., World]:
    """A world whose inference asks Claude; keywords are a_recipe's."""

    def make(rows: int = 6, **over: Any) -> World:
        facts = {"endpoint": "messages", "model": "claude-haiku-4-5", **over}
        world: World = a_world(rows, via=anthropic, **facts)
        return world

    return make


@pytest.mark.parametrize(
    "over",
    [
        {"output": Kind},
        {"output": Kind, "settings": {"structured_output": "tool"}},
        {"output": Kind, "rows_per_request": 3},
        {"output": Kind, "rows_per_request": 3, "settings": {"structured_output": "tool"}},
        {"output": Tree, "settings": {"structured_output": "tool"}},
        {"output": None, "settings": {"cache_prefix": "1h"}},
    ],
)
def test_every_item_has_its_answer(a_partition, over):
    world = a_partition(6, **over)

    assert world.carry().summary.coverage == 1.0
    assert world.column("outcome") == ["ok"] * 6
    assert world.column("item_id") == [f"i-{number}" for number in range(6)]


def test_the_results_say_what_the_cache_gave(a_partition):
    world = a_partition(20, system="x" * 8_000, settings={"cache_prefix": True})
    world.carry()

    assert all(tokens > 2_000 for tokens in world.column("input_tokens"))
    assert set(world.column("cached_tokens")) <= {0, 2_000}
    assert sum(world.column("cached_tokens")) > 10 * 2_000


@pytest.mark.parametrize("fault", [ItemError(529), ItemError(429), ItemError(504), NotJson()])
def test_what_failed_for_a_while_is_asked_again(a_partition, faults, fault):
    faults.items(fault, times=1)
    world = a_partition(6)

    assert world.carry().summary.coverage == 1.0
    assert {batch.wave for batch in world.batches} == {0, 1}


@pytest.mark.parametrize("fault", [Expires(at=0.5), CancelledOutside(at=0.5)])
def test_what_a_batch_left_is_asked_in_the_next_one(a_partition, faults, fault):
    faults.batches(fault)
    world = a_partition(6)

    world.carry()

    assert world.executions["max_executions_of_one_body"] == 1
    assert world.column("outcome").count("ok") >= 3
    assert all(batch.provider_status == "ended" for batch in world.batches)


def test_refusals_and_cut_answers_are_outcomes_of_their_own(a_partition, faults):
    faults.items(Refusal(), containing="word 1")
    faults.items(TruncatedAnswer(), containing="word 2")
    world = a_partition(4, max_waves=1)
    world.carry()

    assert world.column("outcome") == ["ok", "refused", "truncated", "ok"]


def test_a_lost_batch_is_adopted_once_its_results_tell_it(a_partition, sandbox, faults, clock):
    """Row 22: nothing is offered again while the batch may exist."""
    sandbox.state.change_settings({"latency": 3_600.0})
    faults.calls("batches.create", LostReply())
    world = a_partition(6)
    world.submit()
    world.lease_over()

    with pytest.raises(ProviderUnavailable, match="it may be msgbatch_"):
        recover(world.deployment)
    assert "UTC at the latest" in str(world.batch.reason)
    assert world.batch.state is BatchState.RESERVED

    clock.advance(3_600)
    assert recover(world.deployment) == 1
    assert world.finish().summary.coverage == 1.0
    assert world.executions["batches_created"] == 1
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_batch_that_never_came_is_offered_again(a_partition, faults):
    faults.calls("batches.create", ConnectionCut())
    world = a_partition(6)
    world.submit()
    world.lease_over()

    assert recover(world.deployment) == 1
    assert world.carry().summary.coverage == 1.0
    assert world.executions["batches_created"] == 1
