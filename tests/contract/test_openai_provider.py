"""What is OpenAI's alone, against the sandbox: its words, its files, and how many calls it takes.

What every provider promises is the contract: test_contract_openai.py.
"""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from openai import OpenAI

from batch_assets.domain.errors import (
    AccountRefused,
    CapacityRefused,
    ProviderUnavailable,
    RequestRefused,
)
from batch_assets.domain.provider import Phase, Provider, ProviderBatch
from batch_assets.sandbox import ManualClock

ENDPOINT = "/v1/chat/completions"
FILES, BATCHES = "POST /v1/files", "POST /v1/batches"
LIST = "GET /v1/batches"


@pytest.fixture
def provider(border, provider_at) -> Provider:
    return provider_at(border.base_url)


@pytest.fixture
def since(clock: ManualClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


@pytest.fixture
def submitted(provider: Provider, a_shard) -> Callable[..., ProviderBatch]:
    """Offers a shard under the key "k-1"; keywords change its lines."""

    def submit(**over: object) -> ProviderBatch:
        return provider.submit(a_shard(**over), endpoint=ENDPOINT, key="k-1")

    return submit


def test_a_submitted_batch_is_open_and_carries_its_key(submitted, since):
    batch = submitted()

    assert (batch.phase, batch.status, batch.key) == (Phase.OPEN, "validating", "k-1")
    assert batch.created_at == since
    assert batch.output_file_id is None


def test_the_shard_arrives_byte_for_byte(provider, submitted, tmp_path):
    batch = submitted()
    sink = io.BytesIO()

    provider.download(batch.input_file_id, sink)

    assert sink.getvalue() == (tmp_path / "shard.jsonl").read_bytes()


def test_a_batch_is_found_behind_a_hundred_others(provider, submitted, since, many_batches, border):
    batch = submitted()
    many_batches(100)

    assert provider.find("k-1", since=since) == batch
    assert border.count(LIST) == 2


def test_the_search_ends_where_the_batch_cannot_be(provider, since, many_batches, clock, border):
    many_batches(2)
    clock.advance(1)
    many_batches(99)
    clock.advance(2 * 3_600)

    assert provider.find("k-1", since=since + timedelta(hours=2)) is None
    assert border.count(LIST) == 1


def test_a_clock_an_hour_ahead_of_the_providers_hides_no_batch(
    provider, submitted, since, many_batches, clock
):
    submitted()
    clock.advance(1)
    many_batches(100)

    assert provider.find("k-1", since=since + timedelta(hours=1)) is not None


def test_an_upload_is_tried_again_from_its_first_byte(submitted, border):
    border.on(FILES, border.refusal(503), border.otherwise)

    assert submitted().phase is Phase.OPEN
    assert border.calls[0].body.count(b"custom_id") == border.calls[1].body.count(b"custom_id") == 3


def test_an_upload_whose_reply_is_lost_leaves_no_doubt(border, provider_at, a_shard):
    border.on(FILES, b"")
    provider = provider_at(border.base_url, max_retries=0)

    with pytest.raises(ProviderUnavailable):
        provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1")

    assert border.count(BATCHES) == 0


@pytest.mark.parametrize("deletion", [404, 403, 500, None])
def test_a_file_that_cannot_be_taken_back_hides_no_refusal(border, provider_at, a_shard, deletion):
    border.on(BATCHES, border.refusal(429, message="Full."))
    border.on(FILES, border.answer({"id": "file-1"}))
    border.on("DELETE /v1/files/file-1", border.refusal(deletion) if deletion else b"")

    with pytest.raises(CapacityRefused, match="Full"):
        provider_at(border.base_url).submit(a_shard(), endpoint=ENDPOINT, key="k-1")

    assert border.count("DELETE /v1/files/file-1") == 1


KEY = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "name",
    [
        "shard.jsonl",
        f"{KEY.upper()}.jsonl",
        f"{KEY}.jsonl.jsonl",
        f"{KEY}0.jsonl",
        f"batch_{KEY}.jsonl",
    ],
)
def test_files_of_others_are_no_uploads_of_ours(provider, sandbox, since, name):
    with OpenAI(api_key="another-user", base_url=sandbox.base_url) as client:
        client.files.create(file=(name, b"{}\n"), purpose="batch")

    assert list(provider.uploads(since=since)) == []


def test_uploads_are_read_page_by_page_from_new_to_old(server, provider_at, since):
    def a_file(number: int, hours: float) -> dict[str, object]:
        time = int((since - timedelta(hours=hours)).timestamp())
        return {"id": f"file-{number}", "filename": f"{number:032x}.jsonl", "created_at": time}

    pages = [a_file(number, hours) for number, hours in enumerate((0.0, 1.0, 1.5, 2.0))]
    server.on(
        "GET /v1/files",
        *(server.answer({"object": "list", "data": [p], "has_more": True}) for p in pages),
    )

    found = [upload.id for upload in provider_at(server.base_url).uploads(since=since)]

    assert found == ["file-0", "file-1", "file-2"]
    assert server.calls[1].query == "after=file-0&limit=1000&order=desc&purpose=batch"


def test_a_hundred_and_twenty_batches_are_polled_by_two_calls(
    provider, many_batches, since, border
):
    ids = set(many_batches(120))

    assert {batch.id for batch in provider.poll(ids, since=since)} == ids
    assert len(border.calls) == 2


def test_polling_ends_with_the_last_batch_wanted(provider, many_batches, since, border):
    *_, newest = many_batches(101)

    assert [batch.id for batch in provider.poll({newest}, since=since)] == [newest]
    assert len(border.calls) == 1


def test_a_batch_older_than_the_pages_read_is_asked_for_alone(
    provider, submitted, many_batches, clock, since
):
    old = submitted()
    clock.advance(3_600)
    many_batches(1)

    [found] = provider.poll({old.id}, since=since + timedelta(hours=1))

    assert (found.id, found.phase) == (old.id, Phase.ENDED)


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, "validating"), (50, "in_progress"), (95, "finalizing")]
)
def test_a_batch_is_open_while_the_provider_works(
    provider, submitted, clock, since, seconds, status
):
    batch = submitted()
    clock.advance(seconds)

    [polled] = provider.poll({batch.id}, since=since)

    assert (polled.phase, polled.status) == (Phase.OPEN, status)


def test_a_completed_batch_has_counts_and_tokens(provider, submitted, clock, since):
    batch = submitted(requests=3)
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert (ended.phase, ended.status) == (Phase.ENDED, "completed")
    assert (ended.completed, ended.failed, ended.total) == (3, 0, 3)
    assert ended.usage.input_tokens > 0
    assert ended.error_file_id is None


def test_a_failed_batch_has_ended_with_its_reasons(provider, submitted, clock, since):
    batch = submitted(url="/v1/embeddings", requests=1)
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert (ended.phase, ended.status) == (Phase.ENDED, "failed")
    assert [(problem.code, problem.line) for problem in ended.problems] == [("invalid_url", 1)]


def test_a_cancelled_batch_is_open_until_the_provider_has_stopped(
    provider, submitted, clock, since
):
    batch = submitted()

    cancelling = provider.cancel(batch.id)
    clock.advance(60)
    [ended] = provider.poll({batch.id}, since=since)

    assert (cancelling.phase, cancelling.status) == (Phase.OPEN, "cancelling")
    assert (ended.phase, ended.status) == (Phase.ENDED, "cancelled")


def test_a_batch_that_has_ended_cannot_be_cancelled(sandbox, provider_at, a_shard, clock):
    provider = provider_at(sandbox.base_url, max_retries=0)
    batch = provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1")
    clock.advance(100)

    with pytest.raises(RequestRefused, match="completed"):
        provider.cancel(batch.id)


def test_a_wrong_key_is_refused_with_the_way_out(sandbox, provider_at, a_shard):
    provider = provider_at(sandbox.base_url, api_key="sk-wrong-1234567890abcdef")

    with pytest.raises(AccountRefused, match="OPENAI_API_KEY") as refused:
        provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1")

    assert "cdef" not in refused.value.message
