"""Each shard is with the provider once; the sandbox's own counters are the judge."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from factories import a_corpus, a_table
from stage_world import a_ledger

from batch_assets.domain.batch import BatchState
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    ArtifactError,
    DeclarationError,
)
from batch_assets.domain.shard import Limits
from batch_assets.stages.submit import submit

THREE_ROWS = Limits(requests=3, bytes=10**6)


# Once


def test_each_shard_is_sent_once(a_world):
    world = a_world(9, limits=THREE_ROWS)

    submission = world.submit()

    assert (submission.sent, submission.waiting) == (3, [])
    assert world.states == ["submitted"] * 3
    assert world.executions["batches_created"] == 3


def test_what_was_sent_is_not_sent_again(a_world):
    """Row 22: every retry of create made another batch."""
    world = a_world(9, limits=THREE_ROWS)
    world.submit()

    assert world.submit().sent == 0
    assert world.executions["batches_created"] == 3
    assert world.executions["files_uploaded"] == 3


def test_nothing_is_sent_for_results_that_are_there(a_world):
    world = a_world(3)
    world.carry()

    assert world.submit().sent == 0
    assert world.advance().summary.coverage == 1.0
    assert world.executions["batches_created"] == 1


def test_a_partition_without_requests_sends_nothing(a_world):
    world = a_world(3, limits=Limits(requests=10, bytes=10))

    assert world.submit().sent == 0
    assert world.executions["files_uploaded"] == 0


def test_a_batch_that_was_planned_by_a_process_that_died_is_planned_again(a_world):
    world = a_world(9, limits=THREE_ROWS)
    manifest = world.prepare()
    world.ledger.request_sets.open(manifest.inference, manifest.partition_key, manifest.digest)

    world.advance()

    assert world.states == ["submitted"] * 3


# Two dispatchers


def test_two_threads_send_each_shard_once(a_world, tmp_path, clock):
    world = a_world(12, limits=Limits(requests=1, bytes=10**6))
    manifest = world.prepare()
    start = Barrier(2)

    def in_a_thread(owner: str) -> int:
        ledger = a_ledger(tmp_path, clock)
        deployment = replace(world.deployment, ledger=ledger, owner=owner)
        start.wait()
        sent = submit(deployment, world.recipe, manifest).sent
        ledger.close()
        return sent

    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(in_a_thread, ["run-1", "run-2"]))

    assert sum(sent) == world.executions["batches_created"] == 12
    assert world.states == ["submitted"] * 12


def test_two_threads_may_replace_a_request_set_at_once(a_world, tmp_path, clock, provider_at):
    provider = provider_at(a_world().sandbox.base_url, budget=Budget(batches=1))
    world = a_world(20, limits=Limits(requests=1, bytes=10**6), via=provider, reuse=False)
    world.submit()
    a_corpus(tmp_path / "corpus", 2)
    manifest = world.prepare()
    start = Barrier(2)

    def in_a_thread(owner: str) -> int:
        ledger = a_ledger(tmp_path, clock)
        deployment = replace(world.deployment, ledger=ledger, owner=owner)
        start.wait()
        sent = submit(deployment, world.recipe, manifest).sent
        ledger.close()
        return sent

    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(in_a_thread, ["run-1", "run-2"]))

    assert sent == [0, 0]
    assert world.states == ["submitted", *["abandoned"] * 19, "planned", "planned"]


# Budget


def test_what_has_no_room_is_sent_when_room_is_there(a_world, sandbox, provider_at):
    world = a_world(
        9, limits=THREE_ROWS, via=provider_at(sandbox.base_url, budget=Budget(batches=2))
    )

    first = world.submit()
    again = world.submit()
    world.poll(after=100)
    world.advance()

    assert (first.sent, len(first.waiting), again.sent) == (2, 1, 0)
    assert world.states == ["collected", "collected", "submitted"]


@pytest.mark.parametrize(("spare", "sent"), [(0, 2), (-1, 1), (1, 2)])
def test_the_budget_is_used_to_the_last_token_and_no_further(
    a_world, sandbox, spare, sent, provider_at
):
    """Row 34: what an account has queued is known from the ledger alone."""
    world = a_world(9, limits=THREE_ROWS)
    shard = world.prepare().shards[0].tokens
    provider = provider_at(sandbox.base_url, budget=Budget(tokens=2 * shard + spare))
    world.deployment = replace(world.deployment, provider=provider)

    assert world.submit().sent == sent
    assert world.ledger.held(provider.account).tokens == sent * shard


def test_two_partitions_share_one_budget(a_world, tmp_path, sandbox, provider_at):
    a_corpus(tmp_path / "corpus", a_table(3, word=["x", "y", "z"]), key="q")
    provider = provider_at(sandbox.base_url, budget=Budget(batches=1))
    world = a_world(3, via=provider)
    other = replace(world, partition_key="q")

    assert world.submit().sent == 1
    assert other.submit().sent == 0
    world.finish()
    other.advance()

    assert other.batches[-1].state is BatchState.SUBMITTED
    assert world.executions["batches_created"] == 2


def test_a_shard_that_no_budget_will_ever_hold_is_said_to_be_so(a_world, sandbox, provider_at):
    """Row 31: waiting for room that cannot come would be silent for ever."""
    provider = provider_at(sandbox.base_url, budget=Budget(tokens=10))
    world = a_world(3, via=provider)

    with pytest.raises(
        DeclarationError, match=r"shard 0 of partition p .* max_batch_enqueued_tokens"
    ):
        world.submit()

    assert world.batch.state is BatchState.PLANNED
    assert "max_batch_enqueued_tokens" in world.batch.reason


def test_smaller_shards_are_cut_where_nothing_was_sent(a_world, sandbox, provider_at):
    """The way out that the error before names."""
    world = a_world(9)
    tokens = world.prepare().tokens
    provider = provider_at(sandbox.base_url, budget=Budget(tokens=tokens // 2))
    world.deployment = replace(world.deployment, provider=provider)
    with pytest.raises(DeclarationError):
        world.submit()

    world.files.delete(world.layout.manifest)
    world.limits = replace(world.limits, tokens=tokens // 2)
    world.submit()

    assert world.states == ["abandoned", "submitted", "planned", "planned"]
    assert world.finish().summary.coverage == 1.0


def test_shards_that_were_sent_are_not_cut_otherwise(a_world):
    world = a_world(9, limits=THREE_ROWS)
    world.submit()
    world.files.delete(world.layout.manifest)
    world.limits = Limits(requests=2, bytes=10**6)

    with pytest.raises(ArtifactError, match=r"was cut into other shards when batch batch_\w+ was"):
        world.submit()

    assert world.executions["batches_created"] == 3


# A newer request set


def test_what_a_newer_request_set_replaces_is_not_sent(a_world, tmp_path, sandbox, provider_at):
    provider = provider_at(sandbox.base_url, budget=Budget(batches=1))
    world = a_world(9, limits=THREE_ROWS, via=provider, reuse=False)
    world.submit()
    a_corpus(tmp_path / "corpus", 2)

    world.submit()

    assert world.states == ["submitted", "abandoned", "abandoned", "planned"]
    assert world.batches[1].reason == "the partition has a newer request set"
    assert world.executions["batches_created"] == 1


def test_a_request_set_that_comes_back_is_not_bought_again(a_world, tmp_path):
    world = a_world(3, reuse=False)
    world.carry()
    first = world.column("answer")
    a_corpus(tmp_path / "corpus", 2)
    world.carry()
    a_corpus(tmp_path / "corpus", 3)

    world.carry()

    assert world.column("answer") == first
    assert world.executions["batches_created"] == 2


# Files


def test_a_missing_shard_is_said_and_written_again_by_the_next_try(a_world):
    world = a_world(9, limits=THREE_ROWS)
    manifest = world.prepare()
    world.files.delete(manifest.shards[1].path)

    with pytest.raises(ArtifactError, match=r"wave-0-shard-00001.* is missing from the store"):
        submit(world.deployment, world.recipe, manifest)
    assert world.states == ["submitted", "abandoned", "planned"]

    assert world.submit().sent == 2
    assert world.finish().summary.coverage == 1.0
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_shard_that_is_not_what_was_written_is_not_bought(a_world):
    world = a_world(3)
    shard = world.prepare().shards[0].path
    world.files.write(shard, world.files.read(shard)[:-100])

    with pytest.raises(ArtifactError, match=r"is not what was written: .* delete it"):
        world.submit()
    assert world.executions["files_uploaded"] == 0

    world.files.delete(shard)
    assert world.submit().sent == 1
