"""What a person orders holds for every process; what only a person can decide waits for one."""

from contextlib import closing
from dataclasses import replace

import pytest
from stage_world import LATENCY, a_ledger, lost, refusal, whole

from batch_assets.domain.batch import Account, BatchId, BatchState
from batch_assets.domain.budget import Budget
from batch_assets.domain.control import Scope, WaitKind
from batch_assets.domain.errors import LedgerError, RequestRefused, StaleMove
from batch_assets.domain.shard import Limits
from batch_assets.stages.control import adopt, cancel, give_up, offer_again, pause, resume
from batch_assets.stages.recover import recover
from batch_assets.stages.resolve import Resolution

THREE_ROWS = Limits(requests=3, bytes=10**6)
POST_BATCHES = "POST /v1/batches"
SCOPES = [
    Scope(account=Account("openai")),
    Scope(inference="words"),
    Scope(inference="words", partition_key="p"),
]


# Pause and resume


@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_nothing_of_a_paused_scope_is_sent_until_it_is_resumed(a_world, scope):
    world = a_world(6, limits=THREE_ROWS)
    pause(world.ledger, scope, owner="Ann", reason="prices are looked into")

    paused = world.submit()

    assert (paused.sent, paused.waiting_for.kind) == (0, WaitKind.PAUSED)
    assert paused.waiting_for.reason == f"{scope} is paused by Ann: prices are looked into"
    assert world.executions["files_uploaded"] == 0
    assert resume(world.ledger, scope, owner="Bob") == 1
    assert world.submit().sent == 2


@pytest.mark.parametrize(
    "scope", [Scope(account=Account("another")), Scope(inference="words", partition_key="q")]
)
def test_a_pause_of_another_scope_keeps_nobody_waiting(a_world, scope):
    world = a_world()
    pause(world.ledger, scope, owner="Ann", reason="not this one")

    assert world.submit().sent == 1


def test_what_is_out_when_a_pause_begins_finishes_and_is_collected(a_world):
    world = a_world()
    world.submit()
    pause(world.ledger, Scope(inference="words"), owner="Ann", reason="enough for today")

    assert world.finish().summary.coverage == 1.0


def test_a_pause_outlives_the_process_that_ordered_it(a_world, tmp_path, clock):
    world = a_world()
    pause(world.ledger, Scope(inference="words"), owner="Ann", reason="lunch")
    with closing(a_ledger(tmp_path, clock)) as another:
        world.deployment = replace(world.deployment, ledger=another, owner="run-2")

        assert world.submit().waiting_for.kind is WaitKind.PAUSED


def test_the_same_pause_given_twice_is_one_pause_with_the_last_reason(a_world):
    world = a_world()
    for reason in ("first", "second"):
        pause(world.ledger, Scope(inference="words"), owner="Ann", reason=reason)

    assert [order.reason for order in world.ledger.pauses.standing()] == ["second"]
    assert resume(world.ledger, Scope(inference="words"), owner="Ann") == 1
    assert resume(world.ledger, Scope(inference="words"), owner="Ann") == 0


# Cancel


def cancelled(world, *, at_provider: bool):
    scope = Scope(inference="words", partition_key="p")
    return cancel(
        world.deployment, scope, owner="Ann", reason="wrong prompt", at_provider=at_provider
    )


def test_a_drained_partition_keeps_what_was_sent_and_sends_no_more(a_world, sandbox, provider_at):
    world = one_at_a_time(a_world, sandbox, provider_at)
    world.submit()

    met = cancelled(world, at_provider=False)

    assert (met.request_sets, met.dropped, met.open) == (1, 1, 1)
    resolution = world.finish()
    assert resolution.summary.outcomes == {"ok": 3, "cancelled": 3}
    assert world.states == ["collected", "abandoned"]
    assert world.executions["requests_executed"] == 3


def test_a_cancellation_at_the_provider_is_followed_to_its_end_and_collected(a_world):
    """Row 18: cancel is a request and no state; what was finished is kept."""
    world = a_world(10)
    world.submit()
    world.poll(after=50)

    met = cancelled(world, at_provider=True)

    assert met.open == 1
    assert world.batch.state is BatchState.SUBMITTED
    assert world.ledger.held(Account("openai")).batches == 1
    outcomes = world.finish().summary.outcomes
    assert set(outcomes) == {"ok", "cancelled"}
    assert outcomes["ok"] == world.executions["requests_executed"]
    assert world.batch.provider_status == "cancelled"


@pytest.mark.parametrize("at_provider", [True, False])
def test_what_is_at_the_provider_says_who_cancelled_it_and_why_until_it_ended(a_world, at_provider):
    world = a_world()
    world.submit()
    everything = Scope(inference="words")

    cancel(
        world.deployment,
        everything,
        owner="Ann",
        reason="cancelled by Ann: wrong corpus",
        at_provider=at_provider,
    )

    assert world.batch.reason == "cancelled by Ann: wrong corpus"
    world.poll(after=LATENCY)
    assert world.batch.reason is None


def test_a_partition_cancelled_before_anything_was_sent_ends_as_cancelled(a_world):
    world = a_world(6, limits=THREE_ROWS)
    pause(world.ledger, Scope(inference="words"), owner="Ann", reason="wait")
    world.submit()

    cancelled(world, at_provider=True)
    state = world.advance()

    assert isinstance(state, Resolution)
    assert state.summary.outcomes == {"cancelled": 6}
    assert world.executions["files_uploaded"] == 0


def test_a_cancelled_partition_is_asked_no_further_wave(a_world, script):
    script.line = lambda batch_id, custom_id: (
        {"custom_id": custom_id, "response": {"status_code": 500, "body": {}}}
        if custom_id.endswith("-0")
        else None
    )
    world = a_world()
    world.submit()
    cancelled(world, at_provider=False)

    resolution = world.finish()

    assert resolution.summary.outcomes == {"ok": 2, "errored": 1}
    assert resolution.request_set.wave == 0


def test_a_cancelled_partition_is_taken_up_again_by_submitting_it(a_world, sandbox, provider_at):
    world = one_at_a_time(a_world, sandbox, provider_at)
    world.submit()
    cancelled(world, at_provider=False)
    world.finish()

    assert world.submit().sent == 1

    assert world.finish().summary.outcomes == {"ok": 6}
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_batch_that_comes_back_from_doubt_after_its_cancellation_is_not_sent_again(
    a_world, border, provider_at
):
    border.change(POST_BATCHES, lambda reply: b"", whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    cancelled(world, at_provider=True)
    world.lease_over()

    resolution = world.finish()

    assert resolution.summary.items == 3
    assert world.executions["batches_created"] == 1


def test_cancelling_nothing_says_so(a_world):
    world = a_world()

    met = cancelled(world, at_provider=True)

    assert (met.request_sets, met.dropped, met.open) == (0, 0, 0)


# Decisions


def in_doubt(a_world, border, provider_at):
    """A batch whose reply was lost."""
    border.change(POST_BATCHES, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.lease_over()
    return world


def test_a_batch_in_doubt_at_a_provider_without_a_list_stays_so_and_says_it(
    a_world, border, script, provider_at
):
    world = in_doubt(a_world, border, provider_at)
    script.replies["batches.list"] = [refusal(404)]

    assert recover(world.deployment) == 0

    assert world.batch.state is BatchState.RESERVED
    assert "nobody knows whether it exists at the provider" in world.batch.reason
    assert world.executions["batches_created"] == 1


def test_a_person_adopts_what_they_found_at_the_provider(a_world, border, provider_at):
    world = in_doubt(a_world, border, provider_at)
    bought = world.deployment.provider.find(world.batch.key, since=world.batch.reserved_at)

    adopt(world.deployment, world.batch.id, bought.id, owner="Ann")

    assert (world.batch.state, world.batch.provider_id) == (BatchState.SUBMITTED, bought.id)
    assert world.finish().summary.coverage == 1.0
    assert world.executions["max_executions_of_one_body"] == 1


def test_what_the_provider_does_not_know_cannot_be_adopted(a_world, border, provider_at):
    world = in_doubt(a_world, border, provider_at)

    with pytest.raises(RequestRefused, match="batch_unknown"):
        adopt(world.deployment, world.batch.id, "batch_unknown", owner="Ann")

    assert world.batch.state is BatchState.RESERVED


def test_what_a_person_knows_not_to_exist_is_sent_again(a_world, border, script, provider_at):
    border.change(POST_BATCHES, lambda reply: b"", whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.lease_over()

    offer_again(world.ledger, world.batch.id, owner="Ann")

    assert world.batch.state is BatchState.PLANNED
    assert "Ann says" in world.batch.reason


def test_a_batch_that_a_person_gives_up_waits_for_its_next_submission(a_world, border, provider_at):
    world = in_doubt(a_world, border, provider_at)

    give_up(world.ledger, world.batch.id, owner="Ann")

    assert world.states == ["abandoned"]
    assert world.advance().progress.stopped == 1


def test_a_submitted_batch_that_the_provider_lost_is_sent_again_by_a_persons_word(a_world):
    world = a_world()
    world.submit()

    offer_again(world.ledger, world.batch.id, owner="Ann")

    assert world.states == ["abandoned", "planned"]
    assert [batch.attempt for batch in world.batches] == [1, 2]
    assert world.ledger.held(Account("openai")).batches == 0


@pytest.mark.parametrize("decide", [offer_again, give_up])
def test_there_is_nothing_to_decide_about_a_batch_that_is_not_in_doubt(a_world, decide):
    world = a_world()
    world.carry()

    with pytest.raises(LedgerError, match="is collected, not in doubt"):
        decide(world.ledger, world.batch.id, owner="Ann")


def test_a_person_need_not_wait_for_the_next_look(a_world, border, script, provider_at):
    world = in_doubt(a_world, border, provider_at)
    script.replies["batches.list"] = [refusal(404)]
    recover(world.deployment)

    give_up(world.ledger, world.batch.id, owner="Ann")

    assert world.batch.state is BatchState.ABANDONED


def test_nobody_decides_about_a_batch_in_a_live_process_hands(a_world, border, provider_at):
    border.change(POST_BATCHES, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()

    with pytest.raises(StaleMove, match="in the hands of run-1"):
        offer_again(world.ledger, world.batch.id, owner="Ann")


def test_a_batch_that_is_not_there_is_said_not_to_be(a_world):
    with pytest.raises(LedgerError, match="no batch 7"):
        give_up(a_world().ledger, BatchId(7), owner="Ann")


def one_at_a_time(a_world, sandbox, provider_at):
    """Six requests in two shards, and room for one."""
    via = provider_at(sandbox.base_url, budget=Budget(batches=1))
    return a_world(6, limits=THREE_ROWS, via=via)
