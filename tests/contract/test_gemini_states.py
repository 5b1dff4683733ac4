"""How Gemini's batches stand and end, and how their answers are collected."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from gemini_border import (
    BATCHES,
    ENDPOINT,
    KEY,
    a_provider,
    a_refusal,
    a_shard,
    address,
    an_operation,
    answer,
)
from google.genai import types

from batch_assets.domain.errors import ProviderUnavailable, RequestRefused
from batch_assets.domain.provider import Phase, ProviderBatch
from batch_assets.resources.gemini import GeminiProvider
from batch_assets.resources.gemini.replies import PHASES
from batch_assets.sandbox import Expires, ScriptedFaults, StatusWord, running_sandbox
from batch_assets.sandbox.batch_faults import BatchFault

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def provider(sandbox) -> Iterator[GeminiProvider]:
    made = a_provider(f"{sandbox.origin}/gemini")
    yield made
    made.close()


@pytest.fixture
def since(clock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


@pytest.fixture
def submitted(provider, tmp_path) -> Callable[..., ProviderBatch]:
    """Offers a shard under KEY; keywords change its lines."""

    def submit(**over: Any) -> ProviderBatch:
        return provider.submit(a_shard(tmp_path, **over), endpoint=ENDPOINT, key=KEY)

    return submit


def lines_of(provider: GeminiProvider, file_id: str) -> dict[str, Any]:
    sink = io.BytesIO()
    provider.download(file_id, sink)
    return {line["key"]: line for line in map(json.loads, sink.getvalue().splitlines())}


@pytest.mark.parametrize(
    ("state", "phase", "status"),
    [
        ("BATCH_STATE_PENDING", Phase.OPEN, "pending"),
        ("BATCH_STATE_RUNNING", Phase.OPEN, "running"),
        ("BATCH_STATE_SUCCEEDED", Phase.ENDED, "succeeded"),
        ("BATCH_STATE_FAILED", Phase.ENDED, "failed"),
        ("BATCH_STATE_CANCELLED", Phase.ENDED, "cancelled"),
        ("BATCH_STATE_EXPIRED", Phase.ENDED, "expired"),
        ("JOB_STATE_QUEUED", Phase.OPEN, "queued"),
        ("JOB_STATE_CANCELLING", Phase.OPEN, "cancelling"),
        ("JOB_STATE_PAUSED", Phase.OPEN, "paused"),
        ("JOB_STATE_UPDATING", Phase.OPEN, "updating"),
        ("JOB_STATE_PARTIALLY_SUCCEEDED", Phase.ENDED, "partially_succeeded"),
        ("BATCH_STATE_PARTIALLY_SUCCEEDED", Phase.ENDED, "partially_succeeded"),
        ("BATCH_STATE_UNSPECIFIED", Phase.UNKNOWN, "unspecified"),
        ("BATCH_STATE_OF_TOMORROW", Phase.UNKNOWN, "of_tomorrow"),
    ],
)
def test_every_state_is_understood_or_kept_as_it_is(server, state, phase, status):
    """The SDK's own `done` does not know the partial success, and some states not at all."""
    server.on(BATCHES, answer({"operations": [an_operation(1, state)]}))

    [batch] = a_provider(address(server)).poll({"batches/b1"}, since=SINCE)

    assert (batch.phase, batch.status) == (phase, status)


def test_every_state_of_the_sdk_has_a_phase():
    states = {state.name.removeprefix("JOB_STATE_") for state in types.JobState}

    assert states - {"UNSPECIFIED"} == PHASES.keys()


def test_a_batch_that_succeeded_has_its_answers_and_counts(provider, submitted, clock, since):
    batch = submitted(requests=3)
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert (ended.phase, ended.status) == (Phase.ENDED, "succeeded")
    assert (ended.completed, ended.failed, ended.total) == (3, 0, 3)
    answers = lines_of(provider, ended.output_file_id)
    assert answers.keys() == {"r-0", "r-1", "r-2"}
    assert all(answer["response"]["usageMetadata"] for answer in answers.values())


def test_a_batch_may_succeed_with_a_request_that_failed(provider, submitted, clock, since):
    """python-genai#2693: all lines of a batch that succeeded may be errors."""
    bad = {"contents": [{"role": "system", "parts": [{"text": "x"}]}]}
    batch = submitted(requests=1, request=bad)
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert (ended.status, ended.completed, ended.failed) == ("succeeded", 0, 1)
    [line] = lines_of(provider, ended.output_file_id).values()
    assert (line["error"]["code"], line["error"]["status"]) == (3, "INVALID_ARGUMENT")


def test_a_failed_batch_has_its_reason(provider, tmp_path, clock, since):
    shard = tmp_path / "broken.jsonl"
    shard.write_text("no JSON\n")
    batch = provider.submit(shard, endpoint=ENDPOINT, key=KEY)
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert (ended.phase, ended.status, ended.output_file_id) == (Phase.ENDED, "failed", None)
    [problem] = ended.problems
    assert problem.code == "INVALID_ARGUMENT"
    assert "line 1" in problem.message


def test_a_cancelled_batch_is_open_until_the_provider_has_stopped(
    provider, submitted, clock, since
):
    batch = submitted(requests=4)
    clock.advance(50)

    cancelling = provider.cancel(batch.id)
    clock.advance(60)
    [ended] = provider.poll({batch.id}, since=since)

    assert cancelling.phase is Phase.OPEN
    assert (ended.phase, ended.status) == (Phase.ENDED, "cancelled")
    assert 0 < len(lines_of(provider, ended.output_file_id)) < 4


def test_a_batch_that_has_ended_cannot_be_cancelled(provider, submitted, clock):
    batch = submitted()
    clock.advance(100)

    with pytest.raises(RequestRefused, match="FAILED_PRECONDITION"):
        provider.cancel(batch.id)


@pytest.fixture
def ended_by(clock, tmp_path, since) -> Callable[[BatchFault], Any]:
    """How a batch of three requests ends that a fault befalls, and its lines where it has some."""

    def end(fault: BatchFault) -> tuple[ProviderBatch, dict[str, Any] | None]:
        faults = ScriptedFaults()
        faults.batches(fault)
        with running_sandbox(clock=clock, faults=faults, latency=100.0) as running:
            provider = a_provider(f"{running.origin}/gemini")
            batch = provider.submit(a_shard(tmp_path), endpoint=ENDPOINT, key=KEY)
            clock.advance(100)
            [ended] = provider.poll({batch.id}, since=since)
            file_id = ended.output_file_id
            return ended, None if file_id is None else lines_of(provider, file_id)

    return end


def test_a_batch_that_expired_has_no_answers(ended_by):
    """Guide "Batch API": such a job has no results to retrieve."""
    ended, lines = ended_by(Expires(at=0.5))

    assert (ended.phase, ended.status, lines) == (Phase.ENDED, "expired", None)


def test_a_batch_that_succeeded_in_part_has_the_answers_it_has(ended_by):
    word = "BATCH_STATE_PARTIALLY_SUCCEEDED"
    ended, lines = ended_by(StatusWord(word=word, instead_of="completed"))

    assert (ended.phase, ended.status) == (Phase.ENDED, "partially_succeeded")
    assert lines.keys() == {"r-0", "r-1", "r-2"}


OUTPUT = "/gemini/v1beta/files/out"


@pytest.mark.parametrize(
    ("reply", "size"),
    [
        ({"content": b"half", "content_length": "8"}, "8"),
        ({"content": b"half"}, "8"),
        ({"content": b"<html>502</html>"}, "8"),
    ],
)
def test_a_download_that_is_not_whole_is_no_answer(server, reply, size):
    headers = {name: value for name, value in reply.items() if name != "content"}
    server.on(f"GET {OUTPUT}:download", answer(reply["content"], **headers))
    server.on(f"GET {OUTPUT}", answer({"name": "files/out", "sizeBytes": size}))

    with pytest.raises(ProviderUnavailable):
        a_provider(address(server)).download("files/out", io.BytesIO())


def test_a_file_whose_length_is_not_told_is_taken_as_it_came(server):
    """Names of output files may be longer than those that `files.get` takes."""
    server.on(f"GET {OUTPUT}:download", answer(b"whole"))
    server.on(f"GET {OUTPUT}", a_refusal(400, message="File name is too long."))
    sink = io.BytesIO()

    a_provider(address(server)).download("files/out", sink)

    assert sink.getvalue() == b"whole"
