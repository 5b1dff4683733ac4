"""What the provider says of its batches, and what becomes of them in the ledger."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from factories import a_corpus
from stage_world import edited, refusal, whole

from batch_assets.domain.batch import BatchState
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.domain.capacity import backoff
from batch_assets.domain.errors import ProviderUnavailable, RequestRefused
from batch_assets.domain.shard import Limits
from batch_assets.stages.poll import SETTLED, PollReport, poll, poll_if_overdue

ONE_ROW = Limits(requests=1, bytes=10**6)
LIST = r"GET /v1/batches\?"


def with_batch(**fields):
    """A list whose batches say something else."""

    def edit(body: bytes) -> bytes:
        page = json.loads(body)
        for batch in page["data"]:
            batch.update(fields)
        return json.dumps(page).encode()

    return edited(edit)


# On the way


@pytest.mark.parametrize(
    ("seconds", "status", "completed"),
    [(0, "validating", 0), (50, "in_progress", 5), (95, "finalizing", 10)],
)
def test_an_open_batch_shows_what_the_provider_says(a_world, seconds, status, completed):
    """Row 19: the numbers are the provider's report and never the results' truth."""
    world = a_world(10)
    world.submit()

    report = world.poll(after=seconds)

    assert report == PollReport(open=1, ended=0)
    batch = world.batch
    assert (batch.state, batch.provider_status) == (BatchState.SUBMITTED, status)
    assert (batch.completed, batch.failed) == (completed, 0)
    assert batch.polled_at == world.ledger.clock()


def test_nobody_is_asked_while_nothing_is_open(a_world, border, provider_at):
    world = a_world(3, via=provider_at(border.base_url))
    world.prepare()

    assert world.poll() == PollReport(open=0, ended=0)
    assert border.calls == []


def test_all_batches_of_the_account_are_asked_for_by_one_call(
    a_world, border, provider_at, tmp_path
):
    world = a_world(5, limits=ONE_ROW, via=provider_at(border.base_url), reuse=False)
    a_corpus(tmp_path / "corpus", 4, key="q")
    world.submit()
    replace(world, partition_key="q").submit()
    border.calls.clear()

    assert world.poll() == PollReport(open=9, ended=0)
    assert len(border.calls) == 1


def test_a_status_nobody_knows_is_kept_and_reported(a_world, border, provider_at):
    """Row 29: a word that is new is neither an end nor an error."""
    border.change(LIST, with_batch(status="paused"), whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()

    report = world.poll(after=100)

    batch = world.batch
    [unknown] = report.unknown
    assert (report.open, report.ended) == (1, 0)
    assert (unknown.id, unknown.status) == (batch.provider_id, "paused")
    assert (batch.state, batch.provider_status) == (BatchState.SUBMITTED, "paused")
    assert "'paused', which is not known" in batch.reason
    assert world.finish().summary.coverage == 1.0


# At the end


def test_a_completed_batch_has_ended_and_its_budget_is_free(a_world, sandbox):
    world = a_world(3)
    world.submit()

    report = world.poll(after=100)

    assert report == PollReport(open=0, ended=1)
    assert world.batch.state is BatchState.ENDED
    assert (world.batch.provider_status, world.batch.completed) == ("completed", 3)
    assert world.batch.output_file_id is not None
    assert world.ledger.held(world.batch.account) == Reservation()


def test_a_batch_the_provider_cancelled_is_followed_to_its_end(a_world):
    """Row 18: cancelling is no end; what was answered comes after it."""
    world = a_world(10)
    world.submit()
    world.poll(after=50)
    world.deployment.provider.cancel(world.batch.provider_id)

    assert world.poll() == PollReport(open=1, ended=0)
    assert world.batch.provider_status == "cancelling"
    assert world.poll(after=10) == PollReport(open=0, ended=1)
    assert world.batch.provider_status == "cancelled"


def test_an_expired_batch_has_ended_with_both_files(a_world, sandbox):
    """Row 9: an expired batch of which a part was answered has an output file."""
    sandbox.state.change_settings({"latency": 48 * 3600.0})
    world = a_world(10)
    world.submit()

    assert world.poll(after=24 * 3600) == PollReport(open=0, ended=1)
    assert world.batch.provider_status == "expired"
    assert None not in (world.batch.output_file_id, world.batch.error_file_id)


def test_a_batch_that_fails_at_validation_says_which_line(a_world, border, provider_at):
    border.edit_call = lambda body: body.replace(b'"POST"', b'"POTS"', 1)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()

    assert world.poll(after=100) == PollReport(open=0, ended=1)

    assert (world.batch.provider_status, world.batch.error_code) == ("failed", "invalid_method")
    assert world.batch.reason == "line 1: invalid_method The method must be 'POST'."


def test_an_end_is_counted_by_one_of_two_who_see_it(a_world, provider_at, sandbox):
    world = a_world(6, limits=ONE_ROW)
    world.submit()
    world.clock.advance(100)
    others = [replace(world.deployment, owner=owner) for owner in ("sensor", "run-2", "run-3")]

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(poll, others))

    assert sum(report.ended for report in reports) == 6
    assert world.states == ["ended"] * 6


def test_a_batch_of_a_replaced_request_set_is_followed_too(a_world, tmp_path):
    world = a_world(3, reuse=False)
    world.submit()
    a_corpus(tmp_path / "corpus", 2)
    world.submit()

    assert world.poll(after=100) == PollReport(open=0, ended=2)


def test_a_batch_the_provider_forgot_hides_no_other(a_world, border, provider_at):
    def without_the_newest(body: bytes) -> bytes:
        page = json.loads(body)
        return json.dumps(page | {"data": page["data"][1:]}).encode()

    world = a_world(3, limits=ONE_ROW, via=provider_at(border.base_url))
    world.submit()
    world.clock.advance(100)
    forgotten = world.batches[-1].provider_id
    border.change(LIST, edited(without_the_newest))
    border.change(forgotten, lambda reply: replace(reply, status=404).sent())

    with pytest.raises(RequestRefused, match=forgotten):
        world.poll()

    assert world.states == ["ended", "ended", "submitted"]
    assert forgotten in world.batches[-1].reason


def test_a_provider_that_is_down_changes_nothing(a_world, script):
    world = a_world(3)
    world.submit()
    script.replies["batches.list"] = [refusal(503)]

    with pytest.raises(ProviderUnavailable):
        world.poll(after=100)

    assert world.batch.state is BatchState.SUBMITTED
    assert world.poll() == PollReport(open=0, ended=1)


# Completed, and its files are not there


NO_FILES = with_batch(output_file_id=None, error_file_id="")


def test_a_completed_batch_without_its_files_is_still_open(a_world, border, provider_at):
    """Rows 11 and 14: neither an error nor a success; the files come a little later."""
    border.change(LIST, NO_FILES, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()

    assert world.poll(after=100) == PollReport(open=1, ended=0)
    assert world.batch.reason == "it is completed; its files are not there yet"

    assert world.finish().summary.coverage == 1.0
    assert world.executions["requests_executed"] == 3


def test_files_that_never_come_are_not_waited_for_without_end(a_world, border, provider_at):
    border.change(LIST, NO_FILES)
    world = a_world(3, via=provider_at(border.base_url), max_waves=1)
    world.submit()

    assert world.poll(after=SETTLED.total_seconds() - 1) == PollReport(open=1, ended=0)
    assert world.poll(after=1) == PollReport(open=0, ended=1)

    world.advance()
    assert world.column("outcome") == ["missing"] * 3


# No room


def test_a_batch_the_provider_had_no_room_for_is_offered_again(a_world, sandbox):
    """Row 31: a full queue is no failure of any item, and what was offered was not executed."""
    sandbox.state.change_settings({"enqueued_token_limit": 10})
    world = a_world(3)
    world.submit()
    world.poll(after=100)

    pending = world.advance()

    assert pending.progress.planned == 1
    assert world.states == ["abandoned", "planned"]
    again = world.batches[-1]
    assert (again.attempt, again.refusals) == (2, 1)
    assert world.capacity.not_before == world.ledger.clock() + backoff(1, "openai")
    assert "Enqueued token limit reached" in again.reason
    sandbox.state.change_settings({"enqueued_token_limit": None})
    world.clock.advance(backoff(1, "openai").total_seconds())
    world.advance()
    assert world.finish().summary.coverage == 1.0
    assert world.executions["requests_executed"] == 3


def test_a_queue_that_stays_full_is_asked_less_and_less_often(a_world, sandbox):
    """Row 32: the provider says full, the ledger says empty."""
    sandbox.state.change_settings({"enqueued_token_limit": 10})
    world = a_world(3)
    world.submit()

    waits = []
    for _ in range(7):
        world.poll(after=100)
        world.advance()
        waits.append(world.capacity.not_before - world.ledger.clock())
        world.clock.advance(waits[-1].total_seconds())
        world.advance()

    assert waits == [backoff(refusals, "openai") for refusals in range(1, 8)]
    assert "the ledger holds nothing of this account" in world.capacity.reason


def test_a_replaced_request_set_is_not_offered_again(a_world, sandbox, tmp_path):
    sandbox.state.change_settings({"enqueued_token_limit": 10})
    world = a_world(3)
    world.submit()
    a_corpus(tmp_path / "corpus", 2)
    sandbox.state.change_settings({"enqueued_token_limit": None})
    world.submit()

    world.finish()

    assert world.states == ["collected", "collected"]
    assert [batch.provider_status for batch in world.batches] == ["failed", "completed"]


def test_a_full_queue_frees_the_budget_of_those_that_have_room(a_world, sandbox, provider_at):
    world = a_world(2, limits=ONE_ROW, via=provider_at(sandbox.base_url, budget=Budget(batches=1)))
    sandbox.state.change_settings({"enqueued_token_limit": 1})
    world.submit()
    world.poll(after=100)

    world.advance()

    assert world.states == ["abandoned", "submitted", "planned"]


# Where no sensor looks


def test_whoever_waits_looks_for_himself_when_nobody_else_did(a_world):
    world = a_world(3)
    assert poll_if_overdue(world.deployment) is None
    world.submit()

    world.clock.advance(119)
    assert poll_if_overdue(world.deployment) is None
    world.clock.advance(1)
    assert poll_if_overdue(world.deployment) == PollReport(open=0, ended=1)
    assert poll_if_overdue(world.deployment) is None


def test_whoever_waits_does_not_ask_again_at_once(a_world):
    world = a_world(3)
    world.submit()
    world.poll(after=50)
    world.clock.advance(60)

    assert poll_if_overdue(world.deployment) is None
    assert poll_if_overdue(world.deployment, timedelta(seconds=60)) is not None
