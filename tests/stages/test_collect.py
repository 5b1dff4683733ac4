"""What the provider returned is brought in whole, whatever the batch ended as."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from factories import a_corpus
from stage_world import cut, lost, refusal, whole

from batch_assets.domain.batch import BatchState
from batch_assets.domain.errors import ProviderUnavailable, RequestRefused
from batch_assets.domain.shard import Limits
from batch_assets.sandbox import HttpError
from batch_assets.stages.collect import collect

ONE_ROW = Limits(requests=1, bytes=10**6)
CONTENT = r"GET /v1/files/.*/content$"


@pytest.fixture
def world(a_world):
    """Ten items with the provider."""
    world = a_world(10, reuse=False)
    world.submit()
    return world


def raw_files(world) -> dict[str, bytes]:
    """What is stored of the provider's answers, by the end of the name."""
    folder = Path(world.files.root) / world.layout.raw_outputs
    return {path.name.split(".", 1)[1]: path.read_bytes() for path in folder.glob("*")}


def ids(content: bytes) -> set[str]:
    return {json.loads(line)["custom_id"] for line in content.splitlines()}


# Every end


def test_a_completed_batch_is_collected(world):
    world.poll(after=100)

    assert world.collect() == 1

    assert world.batch.state is BatchState.COLLECTED
    stored = raw_files(world)
    assert set(stored) == {"output.jsonl"}
    assert len(ids(stored["output.jsonl"])) == 10


def test_the_stored_bytes_are_the_providers(world, sandbox):
    world.poll(after=100)
    world.collect()

    provided = sandbox.state.files.content_path(world.batch.output_file_id).read_bytes()
    assert raw_files(world)["output.jsonl"] == provided


def test_an_expired_batch_keeps_the_answers_it_has(a_world, sandbox):
    """Rows 8 and 9: collecting goes by the files and never by the status."""
    sandbox.state.change_settings({"latency": 48 * 3600.0})
    world = a_world(10)
    world.submit()
    world.poll(after=24 * 3600)

    world.collect()

    stored = raw_files(world)
    answered, expired = ids(stored["output.jsonl"]), ids(stored["errors.jsonl"])
    assert (len(answered), len(answered | expired)) == (5, 10)


def test_a_cancelled_batch_keeps_the_answers_it_has(world):
    """Row 18: results that came after the cancellation are there and were paid for."""
    world.poll(after=50)
    world.deployment.provider.cancel(world.batch.provider_id)
    world.poll(after=10)

    world.collect()

    stored = raw_files(world)
    answered, cancelled = ids(stored["output.jsonl"]), ids(stored["errors.jsonl"])
    assert (len(answered), len(answered | cancelled)) == (5, 10)


def test_a_batch_of_errors_alone_is_collected(world, script):
    """Rows 10 and 12: completed, no output file, and every answer in the error file."""
    script.line = lambda batch_id, custom_id: {
        "custom_id": custom_id,
        "response": {"status_code": 500, "body": {"error": {"message": "Oops."}}},
        "error": None,
    }
    world.poll(after=100)

    world.collect()

    stored = raw_files(world)
    assert set(stored) == {"errors.jsonl"}
    assert len(ids(stored["errors.jsonl"])) == 10


def test_a_failed_batch_has_nothing_to_bring_in(a_world, border, provider_at):
    border.edit_call = lambda body: body.replace(b'"POST"', b'"POTS"')
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.poll(after=100)

    assert world.collect() == 1

    assert (world.batch.state, world.batch.provider_status) == (BatchState.COLLECTED, "failed")
    assert raw_files(world) == {}


def test_an_item_that_failed_its_batch_says_why_and_the_others_are_asked_again(
    a_world, border, provider_at
):
    """Row 43: a line of the provider's errors is an item of the user's."""
    border.edit_call = lambda body: body.replace(b'"POST"', b'"POTS"', 1)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    border.edit_call = lambda body: body

    world.finish()

    assert world.column("outcome") == ["errored", "ok", "ok"]
    assert world.column("error_code") == ["invalid_method", None, None]
    assert "line 1" in world.batches[0].reason
    assert world.executions["requests_executed"] == 2


def test_a_batch_of_a_replaced_request_set_is_collected(world, tmp_path):
    first = world.layout
    a_corpus(tmp_path / "corpus", 2)
    world.submit()
    world.poll(after=100)

    assert world.collect() == 2

    assert world.files.exists(first.raw_output(world.batches[0]))


# Again


def test_what_is_collected_is_not_fetched_again(a_world, border, provider_at):
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.poll(after=100)
    world.collect()
    border.calls.clear()

    assert world.collect() == 0
    assert border.calls == []


def test_two_who_collect_at_once_store_the_same_bytes(world):
    world.poll(after=100)
    others = [replace(world.deployment, owner=owner) for owner in ("run-2", "run-3", "run-4")]

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda other: collect(other, "words", "p"), others))

    assert world.batch.state is BatchState.COLLECTED
    assert len(ids(raw_files(world)["output.jsonl"])) == 10


@pytest.mark.parametrize("broken", [cut, lost])
def test_a_download_that_breaks_off_leaves_no_file(a_world, border, provider_at, broken):
    """Row 17: collecting is a step of its own that can be tried again."""
    border.change(CONTENT, broken, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.poll(after=100)

    with pytest.raises(ProviderUnavailable):
        world.collect()
    assert (world.batch.state, raw_files(world)) == (BatchState.ENDED, {})

    assert world.collect() == 1
    assert len(ids(raw_files(world)["output.jsonl"])) == 3


@pytest.mark.parametrize(("status", "error"), [(502, ProviderUnavailable), (404, RequestRefused)])
def test_a_file_that_is_not_given_keeps_no_other_batch_waiting(a_world, script, status, error):
    """Row 17: the content endpoint answers 502 again and again, for one of the files."""
    world = a_world(3, limits=ONE_ROW)
    world.submit()
    world.poll(after=100)
    script.replies["files.content"] = [None, refusal(status), None]

    with pytest.raises(error):
        world.collect()
    assert world.states == ["collected", "ended", "collected"]

    assert world.collect() == 1
    assert world.states == ["collected"] * 3


def test_what_ended_is_brought_in_though_the_rest_cannot_be_sent(a_world, script):
    script.replies["batches.create"] = [None, refusal(400)]
    world = a_world(3, limits=ONE_ROW)
    with pytest.raises(RequestRefused):
        world.submit()
    world.poll(after=100)
    script.replies["batches.create"] = [refusal(400)]

    with pytest.raises(RequestRefused):
        world.advance()

    assert world.states == ["collected", "abandoned", "abandoned"]


def test_stored_answers_are_for_their_owner_only(world):
    world.poll(after=100)
    world.collect()

    folder = Path(world.files.root) / world.layout.raw_outputs
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert (modes, folder.stat().st_mode & 0o777) == ({0o600}, 0o700)


# What the provider keeps


def files_at(sandbox) -> set[str]:
    """Of the provider's files, the purposes of those that are still there."""
    found, _ = sandbox.state.files.page(purpose=None, after=None, limit=100, descending=True)
    return {file.purpose for file in found}


def test_a_collected_batch_stays_at_the_provider_unless_told_otherwise(world, sandbox):
    world.poll(after=100)
    world.advance()

    assert files_at(sandbox) == {"batch", "batch_output"}


def test_what_is_collected_is_deleted_at_the_provider_where_that_is_wanted(a_world, sandbox):
    world = a_world(10, keeps_remote=False)
    world.submit()
    world.finish()

    assert files_at(sandbox) == set()
    assert set(world.column("outcome")) == {"ok"}


def test_a_provider_that_does_not_delete_keeps_no_results_back(a_world, sandbox, faults):
    faults.calls("files.delete", HttpError(status=403), times=None)
    world = a_world(10, keeps_remote=False)
    world.submit()

    world.finish()

    assert set(world.column("outcome")) == {"ok"}
    assert "still at the provider" in str(world.batch.reason)
