"""Batches that end, or do not end, as nobody hoped."""

import json

import openai
import pytest

from batch_assets.sandbox import (
    CancelledOutside,
    EmptyFileIds,
    Expires,
    FailsValidation,
    ItemError,
    LateFiles,
    LyingCounts,
    ManualClock,
    QueueFull,
    ScriptedFaults,
    StatusWord,
    Stuck,
    running_sandbox,
)

TOKENS_OF_ONE = 7


@pytest.fixture
def executed(sandbox):
    return lambda: sandbox.state.executions()["requests_executed"]


@pytest.mark.parametrize(("at", "done"), [(0, 0), (0.29, 29), (1, 100)])
def test_a_batch_expires_with_its_share_executed(
    faults, submit, finish, some_requests, lines_of, executed, at, done
):
    faults.batches(Expires(at))
    batch = finish(submit(some_requests(100)))
    assert (batch.status, batch.expires_at, executed()) == ("expired", batch.expired_at, done)
    assert len(lines_of(batch.output_file_id)) == done
    left = lines_of(batch.error_file_id)
    assert [line["error"]["code"] for line in left] == ["batch_expired"] * (100 - done)
    assert (batch.request_counts.completed, batch.request_counts.failed) == (done, 0)


def test_a_batch_is_open_until_it_expires(faults, client, submit, some_requests, clock):
    faults.batches(Expires(0.5))
    batch = submit(some_requests(10))
    clock.advance(999)
    batch = client.batches.retrieve(batch.id)
    assert (batch.status, batch.output_file_id) == ("in_progress", None)
    assert batch.request_counts.completed == 5


@pytest.mark.parametrize(("at", "done"), [(0, 0), (0.29, 29), (1, 100)])
def test_somebody_else_cancels_a_batch_at_its_share(
    faults, client, submit, some_requests, lines_of, executed, clock, at, done
):
    faults.batches(CancelledOutside(at))
    batch = submit(some_requests(100))
    clock.advance(102 + 800 * at)
    assert client.batches.retrieve(batch.id).status == "cancelling"
    clock.advance(60)
    batch = client.batches.retrieve(batch.id)
    assert (batch.status, executed()) == ("cancelled", done)
    assert len(lines_of(batch.output_file_id)) == done
    left = lines_of(batch.error_file_id)
    assert [line["error"]["code"] for line in left] == ["batch_cancelled"] * (100 - done)


def test_a_batch_somebody_else_will_cancel_can_be_cancelled_before(
    faults, client, submit, some_requests, clock
):
    faults.batches(CancelledOutside(0.9))
    batch = submit(some_requests(10))
    clock.advance(300)
    assert client.batches.cancel(batch.id).status == "cancelling"


def test_a_batch_fails_validation_by_the_lines_it_names(
    faults, submit, finish, some_requests, executed
):
    faults.batches(FailsValidation("invalid_body", "Bad body.", lines=(2, 3), param="body"))
    batch = finish(submit(some_requests(3)))
    assert batch.status == "failed"
    assert [error.model_dump() for error in batch.errors.data] == [
        {"code": "invalid_body", "line": line, "message": "Bad body.", "param": "body"}
        for line in (2, 3)
    ]
    assert (batch.output_file_id, batch.error_file_id, executed()) == (None, None, 0)


def test_a_batch_fails_validation_without_a_line(faults, submit, finish, some_requests, executed):
    faults.batches(FailsValidation("token_limit_exceeded"))
    batch = finish(submit(some_requests(3)))
    [error] = batch.errors.data
    assert (batch.status, error.code, error.line) == ("failed", "token_limit_exceeded", None)
    assert executed() == 0


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing"])
def test_a_stuck_batch_never_leaves_its_status(
    faults, client, submit, some_requests, clock, status
):
    faults.batches(Stuck(status))
    batch = submit(some_requests(3))
    clock.advance(30 * 24 * 3_600)
    batch = client.batches.retrieve(batch.id)
    assert (batch.status, batch.output_file_id) == (status, None)


def test_a_stuck_batch_stays_at_its_share(faults, submit, finish, some_requests, executed):
    faults.batches(Stuck(at=0.9))
    batch = finish(submit(some_requests(10)))
    assert (batch.request_counts.completed, executed()) == (9, 0)


def test_a_stuck_batch_can_be_cancelled(faults, client, submit, finish, some_requests, clock):
    faults.batches(Stuck(at=0.5))
    batch = finish(submit(some_requests(10)))
    client.batches.cancel(batch.id)
    clock.advance(60)
    batch = client.batches.retrieve(batch.id)
    assert (batch.status, batch.request_counts.completed) == ("cancelled", 5)


def test_a_cancel_may_never_end(faults, client, submit, some_requests, clock):
    faults.batches(Stuck("cancelling"))
    batch = submit(some_requests(3))
    client.batches.cancel(batch.id)
    clock.advance(24 * 3_600)
    assert client.batches.retrieve(batch.id).status == "cancelling"


def test_a_status_may_be_a_word_that_nobody_knows(faults, client, submit, some_requests, clock):
    faults.batches(StatusWord("on_hold", instead_of="in_progress"))
    batch = submit(some_requests(3))
    seen = [batch.status]
    for _ in range(2):
        clock.advance(500)
        seen.append(client.batches.retrieve(batch.id).status)
    assert seen == ["validating", "on_hold", "completed"]


def test_an_unknown_word_may_pass_after_some_looks(faults, client, submit, finish, some_requests):
    faults.batches(StatusWord("done", instead_of="completed", looks=2))
    batch = finish(submit(some_requests(3)))
    seen = [batch.status, *(client.batches.retrieve(batch.id).status for _ in range(2))]
    assert seen == ["done", "done", "completed"]


def test_file_ids_come_after_some_looks(faults, client, submit, finish, some_requests):
    faults.batches(LateFiles(looks=2))
    first = finish(submit(some_requests(3)))
    [second] = client.batches.list().data
    third = client.batches.retrieve(first.id)
    assert [look.status for look in (first, second, third)] == ["completed"] * 3
    assert (first.output_file_id, second.output_file_id) == (None, None)
    assert client.files.content(third.output_file_id).read().count(b"\n") == 3
    assert first.request_counts.completed == 3


def test_file_ids_come_after_some_seconds(faults, client, submit, finish, some_requests, clock):
    faults.batches(LateFiles(seconds=60))
    batch = finish(submit(some_requests(3)))
    clock.advance(59)
    assert client.batches.retrieve(batch.id).output_file_id is None
    clock.advance(1)
    assert client.batches.retrieve(batch.id).output_file_id


def test_file_ids_may_never_come(faults, client, submit, finish, some_requests, clock):
    faults.batches(LateFiles())
    batch = finish(submit(some_requests(3)))
    clock.advance(30 * 24 * 3_600)
    assert client.batches.retrieve(batch.id).output_file_id is None


def test_a_file_id_that_is_not_there_may_be_an_empty_string(faults, submit, finish, some_requests):
    faults.batches(EmptyFileIds())
    batch = submit(some_requests(3))
    assert (batch.output_file_id, batch.error_file_id) == ("", "")
    batch = finish(batch)
    assert batch.error_file_id == ""
    assert batch.output_file_id


def test_counts_may_lie(faults, submit, finish, some_requests, lines_of):
    faults.batches(LyingCounts(completed=3, failed=0))
    faults.items(ItemError(500), custom_id="r1")
    batch = finish(submit(some_requests(3)))
    assert batch.request_counts.model_dump() == {"total": 3, "completed": 3, "failed": 0}
    assert len(lines_of(batch.error_file_id)) == 1


def test_one_batch_may_have_several_faults(faults, submit, finish, some_requests):
    faults.batches(Expires(0.1), LyingCounts(completed=0, failed=0), EmptyFileIds())
    batch = finish(submit(some_requests(10)))
    assert (batch.status, batch.request_counts.completed) == ("expired", 0)
    assert batch.output_file_id


@pytest.mark.parametrize(
    ("status", "error"), [(429, openai.RateLimitError), (400, openai.BadRequestError)]
)
def test_a_full_queue_refuses_a_batch(faults, client, submit, some_requests, status, error):
    fault = faults.batches(QueueFull(status), times=2)
    for _ in range(2):
        with pytest.raises(error, match="Enqueued token limit reached for gpt") as full:
            submit(some_requests(3))
        assert full.value.code == "token_limit_exceeded"
    assert client.batches.list().data == []
    assert submit(some_requests(3)).status == "validating"
    assert fault.hits == 2


def test_a_full_queue_takes_batches_again_when_others_have_ended(
    faults, client, submit, finish, some_requests
):
    fault = faults.batches(QueueFull(limit=4 * TOKENS_OF_ONE + 5), times=None)
    first = submit(some_requests(4))
    with pytest.raises(openai.RateLimitError, match="Limit: 33 enqueued tokens"):
        submit(some_requests(1))
    finish(first)
    assert submit(some_requests(4)).status == "validating"
    assert fault.hits == 1


def test_a_batch_that_fits_does_not_use_up_a_full_queue(faults, submit, some_requests):
    faults.batches(QueueFull(limit=4 * TOKENS_OF_ONE + 5), times=1)
    submit(some_requests(1))
    submit(some_requests(1))
    with pytest.raises(openai.RateLimitError):
        submit(some_requests(4))


def test_batches_pass_before_and_after_those_that_are_hit(
    faults, submit, finish, some_requests, client
):
    faults.batches(Expires(0), after=1)
    batches = [submit(some_requests(1)) for _ in range(3)]
    finish(batches[0])
    ended = [client.batches.retrieve(batch.id).status for batch in batches]
    assert ended == ["completed", "expired", "completed"]


def test_a_batch_can_be_known_by_what_is_in_its_file(faults, client, submit, finish, a_request):
    fault = faults.batches(Expires(0), containing="Word: elm", times=None)
    oak, elm = submit([a_request(text="Word: oak")]), submit([a_request(text="Word: elm")])
    assert (finish(oak).status, client.batches.retrieve(elm.id).status) == ("completed", "expired")
    assert fault.hits == 1


def test_a_restart_forgets_the_script_but_not_the_faults_of_a_batch(tmp_path, a_request):
    clock, line = ManualClock(), json.dumps(a_request()).encode()

    def run(faults):
        return running_sandbox(tmp_path, clock=clock, faults=faults, latency=100.0)

    def client_of(running):
        return openai.OpenAI(api_key="k", base_url=running.base_url, max_retries=0)

    script = ScriptedFaults()
    script.batches(Expires(0), LateFiles())
    with run(script) as first, client_of(first) as client:
        file = client.files.create(file=("in.jsonl", line), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    clock.advance(100)
    with run(ScriptedFaults()) as second, client_of(second) as client:
        assert client.batches.retrieve(batch.id).status == "expired"
