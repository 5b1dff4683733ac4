"""Each shard is with the provider once; the sandbox's own counters are the judge."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from factories import a_corpus, a_table
from stage_world import World, a_ledger, lost, refusal, whole

from batch_assets.domain.batch import BatchState
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    AccountRefused,
    ArtifactError,
    DeclarationError,
    ProviderUnavailable,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.provider import Provider, ProviderBatch
from batch_assets.domain.shard import Limits
from batch_assets.ledger import Ledger
from batch_assets.stages.lease import LEASE, kept
from batch_assets.stages.submit import dispatch, recover, submit

CREATE = "batches.create"
POST_BATCHES = r"POST /v1/batches$"
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
        sent = submit(deployment, manifest).sent
        ledger.close()
        return sent

    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(in_a_thread, ["run-1", "run-2"]))

    assert sum(sent) == world.executions["batches_created"] == 12
    assert world.states == ["submitted"] * 12


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

    with pytest.raises(DeclarationError, match=r"shard 0 of partition p .* max_tokens_per_batch"):
        world.submit()

    assert world.batch.state is BatchState.PLANNED
    assert "max_tokens_per_batch" in world.batch.reason


# A newer request set


def test_what_a_newer_request_set_replaces_is_not_sent(a_world, tmp_path, sandbox, provider_at):
    provider = provider_at(sandbox.base_url, budget=Budget(batches=1))
    world = a_world(9, limits=THREE_ROWS, via=provider)
    world.submit()
    a_corpus(tmp_path / "corpus", 2)

    world.submit()

    assert world.states == ["submitted", "abandoned", "abandoned", "planned"]
    assert world.batches[1].reason == "the partition has a newer request set"
    assert world.executions["batches_created"] == 1


def test_a_request_set_that_comes_back_is_not_bought_again(a_world, tmp_path):
    world = a_world(3)
    world.carry()
    first = world.column("answer")
    a_corpus(tmp_path / "corpus", 2)
    world.carry()
    a_corpus(tmp_path / "corpus", 3)

    world.carry()

    assert world.column("answer") == first
    assert world.executions["batches_created"] == 2


# Lost replies and lost processes


def test_a_batch_whose_reply_was_lost_is_adopted(a_world, sandbox, border, provider_at):
    """Rows 22 and 23: the batch exists and costs; only its reply is gone."""
    border.change(POST_BATCHES, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))

    submission = world.submit()
    assert (submission.sent, world.batch.state) == (0, BatchState.RESERVED)
    assert "looked up at the provider" in world.batch.reason
    assert (recover(world.deployment), world.submit().sent) == (0, 0)

    world.lease_over()
    assert recover(world.deployment) == 1
    assert world.batch.state is BatchState.SUBMITTED
    assert world.finish().summary.coverage == 1.0
    assert world.executions["batches_created"] == 1


def test_a_lost_reply_does_not_keep_other_shards_from_being_sent(a_world, border, provider_at):
    border.change(POST_BATCHES, whole, lost, whole)
    world = a_world(9, limits=THREE_ROWS, via=provider_at(border.base_url))

    assert world.submit().sent == 2
    assert world.states == ["submitted", "reserved", "submitted"]


class Dying(Provider):
    """Stops as a killed process does, before or after the call that creates a batch."""

    def __init__(self, provider: Provider, *, after: bool) -> None:
        self._provider, self._after = provider, after

    account = property(lambda self: self._provider.account)
    limits = property(lambda self: self._provider.limits)
    budget = property(lambda self: self._provider.budget)

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        if self._after:
            self._provider.submit(shard, endpoint=endpoint, key=key)
        raise KeyboardInterrupt

    def find(self, key: str, *, since: datetime) -> ProviderBatch | None:
        return self._provider.find(key, since=since)

    def poll(self, ids: Any, *, since: datetime) -> Iterator[ProviderBatch]:
        return self._provider.poll(ids, since=since)

    def download(self, file_id: str, sink: Any) -> None:
        self._provider.download(file_id, sink)

    def cancel(self, batch_id: str) -> ProviderBatch:
        return self._provider.cancel(batch_id)


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_at_the_call_leaves_one_batch(a_world, provider, after):
    """Row 26: all state is outside the process."""
    world = a_world(3, via=Dying(provider, after=after))
    with pytest.raises(KeyboardInterrupt):
        world.submit()
    world.deployment = replace(world.deployment, provider=provider, owner="run-2")

    assert world.submit().sent == 0
    world.lease_over()
    assert world.submit().sent == (not after)

    assert world.finish().summary.coverage == 1.0
    assert world.executions["batches_created"] == 1


def test_a_batch_in_doubt_holds_its_budget(a_world, sandbox, border, provider_at):
    border.change(POST_BATCHES, lost, whole)
    world = a_world(
        6, limits=THREE_ROWS, via=provider_at(border.base_url, budget=Budget(batches=1))
    )

    world.submit()

    assert world.states == ["reserved", "planned"]
    assert world.executions["batches_created"] == 1


def test_a_batch_stays_in_doubt_while_the_provider_cannot_be_asked(
    a_world, border, script, provider_at
):
    border.change(POST_BATCHES, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.lease_over()
    script.replies["batches.list"] = [refusal(503)]

    with pytest.raises(ProviderUnavailable):
        recover(world.deployment)
    assert world.batch.state is BatchState.RESERVED

    world.lease_over()
    assert recover(world.deployment) == 1
    assert world.executions["batches_created"] == 1


def test_a_batch_in_doubt_is_decided_by_one_process(a_world, border, provider_at):
    border.change(POST_BATCHES, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.lease_over()
    others = [replace(world.deployment, owner=owner) for owner in ("a", "b", "c")]

    with ThreadPoolExecutor(3) as pool:
        decided = list(pool.map(recover, others))

    assert sorted(decided) == [0, 0, 1]
    assert world.batch.state is BatchState.SUBMITTED


class SlowSearch(Dying):
    """Finds the batch, but so slowly that another process takes over meanwhile."""

    def __init__(self, provider: Provider, world: World) -> None:
        super().__init__(provider, after=False)
        self._world = world

    def find(self, key: str, *, since: datetime) -> ProviderBatch | None:
        found = super().find(key, since=since)
        self._world.lease_over()
        other = replace(self._world.deployment, provider=self._provider, owner="faster")
        assert recover(other) == 1
        return found


def test_a_search_that_outlasts_its_lease_leaves_the_decision_to_another(
    a_world, border, provider_at
):
    border.change(POST_BATCHES, lost, whole)
    provider = provider_at(border.base_url)
    world = a_world(3, via=provider)
    world.submit()
    world.lease_over()

    slow = replace(world.deployment, provider=SlowSearch(provider, world), owner="slow")

    assert recover(slow) == 0
    assert world.batch.state is BatchState.SUBMITTED


class CountingLedger(Ledger):
    """Says when a lease was renewed."""

    renewed: Event

    def renew(self, *args: Any, **options: Any) -> bool:
        kept = super().renew(*args, **options)
        self.renewed.set()
        return kept


def test_a_lease_lasts_as_long_as_its_process(a_world, tmp_path, clock):
    world = a_world(3)
    world.deployment = replace(
        world.deployment, provider=Dying(world.deployment.provider, after=False)
    )
    with pytest.raises(KeyboardInterrupt):
        world.submit()
    ledger = CountingLedger.open(
        f"sqlite:///{tmp_path / 'ledger.sqlite3'}", lambda: datetime.fromtimestamp(clock.now(), UTC)
    )
    ledger.renewed = Event()

    with kept(ledger, world.batch, owner="run-1", lease=timedelta(milliseconds=30)):
        world.lease_over()
        ledger.renewed.clear()
        assert ledger.renewed.wait(timeout=30)
        assert world.ledger.doubtful_batches(world.batch.account) == []

    ledger.close()


# Refusals


def test_a_shard_the_provider_refuses_is_given_up_with_the_reason(a_world, script):
    script.replies[CREATE] = [refusal(400, message="The model does not exist.")]
    world = a_world(3)

    with pytest.raises(RequestRefused, match="The model does not exist"):
        world.submit()

    assert world.batch.state is BatchState.ABANDONED
    assert "The model does not exist." in world.batch.reason
    assert world.executions["batches_created"] == 0


def test_a_refused_shard_is_sent_again_once_that_is_put_right(a_world, script):
    script.replies[CREATE] = [None, refusal(400)]
    world = a_world(9, limits=THREE_ROWS)
    with pytest.raises(RequestRefused):
        world.submit()

    assert world.submit().sent == 2

    assert world.states == ["submitted", "abandoned", "submitted", "submitted"]
    assert world.batches[-1].attempt == 2
    assert world.finish().summary.coverage == 1.0
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_refused_shard_is_not_sent_again_by_itself(a_world, script):
    script.replies[CREATE] = [refusal(400)]
    world = a_world(3)
    with pytest.raises(RequestRefused):
        world.submit()

    pending = world.advance()

    assert (pending.progress.stopped, pending.progress.is_collected) == (1, False)
    assert world.executions["batches_created"] == 0


@pytest.mark.parametrize(
    "reply", [refusal(401, "invalid_api_key"), refusal(429, "insufficient_quota")]
)
def test_an_account_that_is_refused_uses_up_no_attempt(a_world, script, reply):
    script.replies[CREATE] = [reply]
    world = a_world(6, limits=THREE_ROWS)

    with pytest.raises(AccountRefused) as refused:
        world.submit()
    assert world.states == ["planned", "planned"]
    assert world.batches[0].reason == refused.value.message
    assert world.executions["batches_created"] == 0

    assert world.submit().sent == 2
    assert [batch.attempt for batch in world.batches] == [1, 1]


def test_a_wrong_key_sends_nothing(a_world, sandbox, provider_at):
    world = a_world(3, via=provider_at(sandbox.base_url, api_key="sk-wrong-1234567890"))

    with pytest.raises(AccountRefused, match="OPENAI_API_KEY"):
        world.submit()

    assert world.executions["files_uploaded"] == world.executions["batches_created"] == 0
    assert "1234567890" not in world.batch.reason


# Waiting


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_an_unreachable_provider_is_tried_again_later(a_world, provider, closed_port, provider_at):
    world = a_world(3, via=provider_at(f"http://127.0.0.1:{closed_port}/v1"))

    with pytest.raises(ProviderUnreachable, match=str(closed_port)):
        world.submit()

    assert world.batch.state is BatchState.PLANNED
    assert str(closed_port) in world.batch.reason
    assert world.batch.not_before == world.ledger.clock() + timedelta(seconds=30)
    world.deployment = replace(world.deployment, provider=provider)
    assert dispatch(world.deployment, world.request_set) == 0
    world.clock.advance(30)
    assert dispatch(world.deployment, world.request_set) == 1


def test_a_full_provider_is_given_more_time_with_each_refusal(a_world, script):
    """Row 31: a refusal for want of room is no failure, and uses up no attempt."""
    script.replies[CREATE] = [refusal(429) for _ in range(12)]
    world = a_world(3)
    world.submit()

    waits = []
    for _ in range(9):
        assert world.batch.state is BatchState.PLANNED
        waits.append(world.batch.not_before - world.ledger.clock())
        world.clock.advance(waits[-1].total_seconds())
        world.advance()

    seconds = [wait.total_seconds() for wait in waits]
    assert seconds == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert (world.batch.attempt, world.batch.refusals) == (1, 10)


def test_a_full_provider_is_not_asked_about_the_next_shard(a_world, script):
    script.replies[CREATE] = [None, refusal(429)]
    world = a_world(12, limits=THREE_ROWS)

    submission = world.submit()

    assert (submission.sent, len(submission.waiting)) == (1, 3)
    assert world.executions["files_uploaded"] == 2


def test_a_shard_that_is_told_to_wait_keeps_no_other_waiting(a_world, script):
    script.replies[CREATE] = [refusal(429)]
    world = a_world(9, limits=THREE_ROWS)
    world.submit()

    world.advance()

    assert world.states == ["planned", "submitted", "submitted"]


def test_a_person_who_asks_again_does_not_wait(a_world, script):
    script.replies[CREATE] = [refusal(429)]
    world = a_world(3)
    world.submit()

    assert world.submit().sent == 1


# Files


def test_a_missing_shard_is_said_and_written_again_by_the_next_try(a_world):
    world = a_world(9, limits=THREE_ROWS)
    manifest = world.prepare()
    world.files.delete(manifest.shards[1].path)

    with pytest.raises(ArtifactError, match=r"wave-0-shard-00001.* is missing from the store"):
        submit(world.deployment, manifest)
    assert world.states == ["submitted", "abandoned", "planned"]

    assert world.submit().sent == 2
    assert world.finish().summary.coverage == 1.0
    assert world.executions["max_executions_of_one_body"] == 1


def test_every_move_is_kept_with_who_made_it(a_world, border, provider_at):
    """Row 20: what happened before stays to be read."""
    border.change(POST_BATCHES, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.clock.advance(LEASE.total_seconds() + 1)
    recover(replace(world.deployment, owner="run-2"))

    events = world.ledger.events(world.batch.id)

    assert [(event.to_state.value, event.owner) for event in events] == [
        ("planned", "run-1"),
        ("reserved", "run-1"),
        ("submitted", "run-2"),
    ]
