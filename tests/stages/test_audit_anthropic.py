"""At Anthropic no batch carries a key: an audit tells ours by their ids, and by their results."""

from collections.abc import Callable, Iterator

import pytest
from anthropic import Anthropic
from audit_world import an_audit, cases
from stage_world import LIMITS, World

from batch_assets.domain.audit import Case
from batch_assets.domain.budget import Budget
from batch_assets.resources.anthropic import AnthropicProvider
from batch_assets.sandbox import LostReply, RunningSandbox
from batch_assets.stages.recover import recover


@pytest.fixture
def a_partition(a_world, sandbox: RunningSandbox) -> Iterator[Callable[[int], World]]:
    """A world whose inference asks Claude."""
    provider = AnthropicProvider(
        api_key="sk-ant-0123456789",
        base_url=f"{sandbox.origin}/anthropic",
        limits=LIMITS,
        budget=Budget(),
        timeout_seconds=10,
        max_retries=0,
        account="anthropic",
    )

    def make(rows: int) -> World:
        world: World = a_world(rows, via=provider, endpoint="messages", model="claude-haiku-4-5")
        return world

    yield make
    provider.close()


@pytest.fixture
def lost_batch(a_partition, sandbox, faults) -> World:
    """A partition whose batch takes an hour, its reply lost and its lease over."""
    sandbox.state.change_settings({"latency": 3_600.0})
    faults.calls("batches.create", LostReply())
    world: World = a_partition(6)
    world.submit()
    world.lease_over()
    return world


def a_foreign_batch(sandbox: RunningSandbox) -> str:
    """A batch that somebody makes without batch-assets; its id."""
    asked = {
        "model": "claude-haiku-4-5",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "Who?"}],
    }
    address = f"{sandbox.origin}/anthropic"
    with Anthropic(api_key="sk-ant-somebody", base_url=address) as client:
        requests = [{"custom_id": "1", "params": asked}]
        return client.messages.batches.create(requests=requests).id  # type: ignore[arg-type]


def test_ours_are_known_by_their_ids_and_others_are_unknown(a_partition, sandbox):
    world = a_partition(6)
    world.carry()
    other = a_foreign_batch(sandbox)

    assert cases(world) == [(Case.NO_KEY, other)]


def test_a_lost_batch_is_unknown_as_long_as_its_results_cannot_tell_it(lost_batch):
    audit, [finding] = an_audit(lost_batch)

    assert finding.case is Case.NO_KEY
    assert any("it may be msgbatch_" in sentence for sentence in audit.unread)


def test_a_lost_batch_is_an_orphan_once_its_results_tell_it(lost_batch, sandbox, clock):
    other = a_foreign_batch(sandbox)
    clock.advance(3_600)

    found = {each.case: each for each in an_audit(lost_batch)[1]}
    recover(lost_batch.deployment)

    assert found[Case.LOST_REPLY].row is not None
    assert found[Case.LOST_REPLY].batch is not None
    assert found[Case.LOST_REPLY].batch.id == lost_batch.batch.provider_id
    assert cases(lost_batch) == [(Case.NO_KEY, other)]
