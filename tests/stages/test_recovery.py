"""A reply or a process that is lost leaves a doubt, which the provider's own list resolves."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from stage_world import World, lost, refusal, whole
from starlette.responses import JSONResponse

from batch_assets.domain.batch import BatchState
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    ProviderUnavailable,
    StaleMove,
)
from batch_assets.domain.provider import Provider, ProviderBatch, Upload
from batch_assets.domain.shard import Limits
from batch_assets.ledger import Ledger
from batch_assets.stages.dispatch import dispatch
from batch_assets.stages.lease import LEASE, kept
from batch_assets.stages.recover import LOOK_EVERY, recover

POST_BATCHES = r"POST /v1/batches$"
THREE_ROWS = Limits(requests=3, bytes=10**6)


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

    def find(self, key: str, **known: Any) -> ProviderBatch | None:
        return self._provider.find(key, **known)

    def poll(
        self, ids: Any, *, since: datetime, among: Sequence[str] = ()
    ) -> Iterator[ProviderBatch]:
        return self._provider.poll(ids, since=since, among=among)

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        return self._provider.uploads(since=since)

    def delete_upload(self, file_id: str) -> None:
        self._provider.delete_upload(file_id)

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


def test_a_batch_that_is_listed_late_is_not_bought_twice(a_world, border, script, provider_at):
    """Row 22: that the list does not show it yet is no proof that it does not exist."""
    border.change(POST_BATCHES, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.clock.advance(LEASE.total_seconds() + 1)
    script.replies["batches.list"] = [JSONResponse({"data": [], "has_more": False})]

    assert recover(world.deployment) == 0
    assert world.batch.state is BatchState.RESERVED
    world.lease_over()
    assert recover(world.deployment) == 1

    assert world.batch.state is BatchState.SUBMITTED
    assert world.executions["batches_created"] == 1


def test_a_batch_that_nobody_can_tell_of_is_not_asked_about_by_every_run(
    a_world, border, script, provider_at
):
    border.change(POST_BATCHES, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.lease_over()
    script.replies["batches.list"] = [refusal(404), refusal(404)]

    for _ in range(3):
        assert recover(world.deployment) == 0

    assert len(script.replies["batches.list"]) == 1
    assert world.ledger.doubtful_batches(world.batch.account) == [world.batch]
    world.clock.advance(LOOK_EVERY.total_seconds() + 1)
    recover(world.deployment)
    assert script.replies["batches.list"] == []


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

    def find(self, key: str, **known: Any) -> ProviderBatch | None:
        found = super().find(key, **known)
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


class SlowCall(Dying):
    """The batch is created, and the reply takes so long that others have decided meanwhile."""

    def __init__(self, provider: Provider, world: World, decide: Callable[[], None]) -> None:
        super().__init__(provider, after=False)
        self._world, self._decide = world, decide

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        created = self._provider.submit(shard, endpoint=endpoint, key=key)
        self._world.lease_over()
        self._decide()
        return created


def test_a_reply_that_outlasts_the_lease_finds_its_batch_adopted(a_world, provider):
    world = a_world(3)
    other = replace(world.deployment, owner="run-2")
    slow = SlowCall(provider, world, lambda: recover(other))
    world.deployment = replace(world.deployment, provider=slow)

    assert world.submit().sent == 1

    assert world.batch.state is BatchState.SUBMITTED
    assert world.executions["batches_created"] == 1


def test_a_batch_that_is_one_too_many_is_named(a_world, provider, script):
    """The provider's list did not show it, so another process offered the shard again."""

    def others_do_not_see_it() -> None:
        script.replies["batches.list"] = [JSONResponse({"data": [], "has_more": False})]
        other = replace(world.deployment, provider=provider, owner="run-2")
        assert (recover(other), dispatch(other, world.request_set).sent) == (1, 1)

    world = a_world(3)
    slow = SlowCall(provider, world, others_do_not_see_it)
    world.deployment = replace(world.deployment, provider=slow)

    with pytest.raises(StaleMove, match=r"The provider has batch_\w+ for it: cancel that one"):
        world.submit()

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
