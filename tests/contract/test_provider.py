"""What every provider promises, against the sandbox; calls are counted on the way to it."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from openai import OpenAI

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.provider import Phase, Provider, ProviderBatch, Upload
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


@pytest.fixture
def request_files(sandbox) -> Callable[[], list[str]]:
    """Names of the request files that the provider has."""

    def names() -> list[str]:
        with OpenAI(api_key="anybody", base_url=sandbox.base_url) as client:
            return [file.filename for file in client.files.list(purpose="batch")]

    return names


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


def test_a_batch_is_found_by_its_key(provider, submitted, since):
    batch = submitted()

    assert provider.find("k-1", since=since) == batch


def test_a_key_that_no_batch_carries_is_not_found(provider, submitted, since):
    submitted()

    assert provider.find("k-2", since=since) is None


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


def test_a_batch_whose_reply_was_lost_is_found_by_its_key(provider, submitted, since, border):
    def create_and_hang_up(call):
        forward(call)
        return b""

    forward = border.otherwise
    border.on(BATCHES, create_and_hang_up)

    with pytest.raises(ReplyLost, match="k-1"):
        submitted()

    assert border.count(BATCHES) == 1
    assert provider.find("k-1", since=since) is not None


def test_a_batch_is_offered_once_though_the_provider_fails(submitted, border):
    """Row 22: every further try of the creation makes another batch."""
    border.on(BATCHES, border.refusal(503))

    with pytest.raises(ReplyLost):
        submitted()

    assert border.count(BATCHES) == 1


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


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_a_refused_creation_takes_its_file_back(submitted, sandbox, border, request_files, status):
    """Row 23: a failed creation orphans the uploaded, billed file."""
    border.on(BATCHES, border.refusal(status))

    with pytest.raises(BatchAssetsError):
        submitted()

    assert request_files() == []


def test_a_creation_in_doubt_keeps_its_file(submitted, border, request_files):
    border.on(BATCHES, b"")

    with pytest.raises(ReplyLost):
        submitted()

    assert request_files() == ["k-1.jsonl"]


@pytest.mark.parametrize("deletion", [404, 403, 500, None])
def test_a_file_that_cannot_be_taken_back_hides_no_refusal(border, provider_at, a_shard, deletion):
    border.on(BATCHES, border.refusal(429, message="Full."))
    border.on(FILES, border.answer({"id": "file-1"}))
    border.on("DELETE /v1/files/file-1", border.refusal(deletion) if deletion else b"")

    with pytest.raises(CapacityRefused, match="Full"):
        provider_at(border.base_url).submit(a_shard(), endpoint=ENDPOINT, key="k-1")

    assert border.count("DELETE /v1/files/file-1") == 1


KEY = "0123456789abcdef" * 2


def test_an_upload_is_known_by_the_key_in_its_name(provider, a_shard, since):
    batch = provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)

    assert list(provider.uploads(since=since)) == [Upload(id=batch.input_file_id, key=KEY)]


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


def test_an_upload_can_be_deleted_twice(provider, submitted, request_files):
    batch = submitted()

    provider.delete_upload(batch.input_file_id)
    provider.delete_upload(batch.input_file_id)

    assert request_files() == []


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


def test_nothing_is_asked_when_nothing_is_wanted(provider, since, border):
    assert list(provider.poll(frozenset(), since=since)) == []
    assert border.calls == []


def test_a_batch_older_than_the_pages_read_is_asked_for_alone(
    provider, submitted, many_batches, clock, since
):
    old = submitted()
    clock.advance(3_600)
    many_batches(1)

    [found] = provider.poll({old.id}, since=since + timedelta(hours=1))

    assert (found.id, found.phase) == (old.id, Phase.ENDED)


def test_an_id_the_provider_does_not_know_does_not_hide_the_others(provider, submitted, since):
    batch = submitted()
    polled = provider.poll({"batch_0", batch.id, "batch_z"}, since=since)

    assert next(polled).id == batch.id
    with pytest.raises(RequestRefused, match="batch_0, batch_z"):
        next(polled)


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


def test_a_completed_batch_has_ended_with_its_answers(provider, submitted, clock, since):
    batch = submitted(requests=3)
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert (ended.phase, ended.status) == (Phase.ENDED, "completed")
    assert (ended.completed, ended.failed, ended.total) == (3, 0, 3)
    assert ended.usage.input_tokens > 0
    assert answered(provider, ended.output_file_id) == {"r-0", "r-1", "r-2"}
    assert ended.error_file_id is None


def test_a_failed_batch_has_ended_with_its_reasons(provider, submitted, clock, since):
    batch = submitted(url="/v1/embeddings", requests=1)
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert (ended.phase, ended.status) == (Phase.ENDED, "failed")
    assert [(problem.code, problem.line) for problem in ended.problems] == [("invalid_url", 1)]


def test_an_expired_batch_has_ended_with_the_answers_it_has(
    provider, submitted, sandbox, clock, since
):
    sandbox.state.change_settings({"latency": 48 * 3_600.0})
    batch = submitted(requests=4)
    clock.advance(24 * 3_600)

    [ended] = provider.poll({batch.id}, since=since)

    assert (ended.phase, ended.status) == (Phase.ENDED, "expired")
    finished = answered(provider, ended.output_file_id)
    assert 0 < len(finished) < 4
    assert finished | answered(provider, ended.error_file_id) == {"r-0", "r-1", "r-2", "r-3"}


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


def test_a_file_the_provider_does_not_have_is_refused(provider):
    with pytest.raises(RequestRefused, match="file-unknown"):
        provider.download("file-unknown", io.BytesIO())


def test_a_wrong_key_is_refused_with_the_way_out(sandbox, provider_at, a_shard):
    provider = provider_at(sandbox.base_url, api_key="sk-wrong-1234567890abcdef")

    with pytest.raises(AccountRefused, match="OPENAI_API_KEY") as refused:
        provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1")

    assert "cdef" not in refused.value.message


def test_an_unreachable_provider_is_named(provider_at, a_shard, closed_port):
    base_url = f"http://127.0.0.1:{closed_port}/v1"
    provider = provider_at(base_url, max_retries=0)

    with pytest.raises(ProviderUnreachable, match=base_url):
        provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1")


def answered(provider: Provider, file_id: str) -> set[str]:
    sink = io.BytesIO()
    provider.download(file_id, sink)
    return {json.loads(line)["custom_id"] for line in sink.getvalue().splitlines()}
