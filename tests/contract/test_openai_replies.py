"""Replies as OpenAI and servers like it really send them."""

import gzip
import io
from datetime import UTC, datetime

import pytest

from batch_assets.domain.batch import BatchProblem
from batch_assets.domain.errors import ProviderUnavailable, RequestRefused
from batch_assets.domain.provider import KEY_METADATA, Phase
from batch_assets.domain.usage import Usage

LIST, FILES = "GET /v1/batches", "GET /v1/files"
CONTENT = "GET /v1/files/file-2/content"
CREATED = 1_793_500_000
SINCE = datetime.fromtimestamp(CREATED, UTC)


def a_batch(**over: object) -> dict[str, object]:
    """What OpenAI's specification requires of a batch, and no more."""
    return {
        "id": "batch-1",
        "object": "batch",
        "endpoint": "/v1/responses",
        "input_file_id": "file-1",
        "completion_window": "24h",
        "status": "in_progress",
        "created_at": CREATED,
        **over,
    }


def a_page(*batches: dict[str, object], **over: object) -> dict[str, object]:
    return {"object": "list", "data": list(batches), "has_more": False, **over}


@pytest.fixture
def provider(server, provider_at):
    return provider_at(server.base_url, max_retries=0)


@pytest.fixture
def polled(server, provider):
    """The one batch of a list, as the port describes it; keywords are the reply's fields."""

    def poll(**over: object):
        server.on(LIST, server.answer(a_page(a_batch(**over))))
        [batch] = provider.poll({"batch-1"}, since=SINCE)
        return batch

    return poll


def test_every_optional_field_may_be_absent(polled):
    batch = polled()

    assert (batch.phase, batch.created_at, batch.input_file_id) == (Phase.OPEN, SINCE, "file-1")
    assert (batch.key, batch.output_file_id, batch.error_file_id) == (None, None, None)
    assert (batch.completed, batch.failed, batch.total, batch.usage) == (None, None, None, None)
    assert batch.problems == ()


def test_every_optional_field_may_be_null(polled):
    names = ["errors", "request_counts", "usage", "metadata", "output_file_id", "error_file_id"]

    assert polled(**dict.fromkeys(names)) == polled()


@pytest.mark.parametrize("status", ["paused", "COMPLETED", "cancelled_by_admin"])
def test_a_status_we_do_not_know_is_kept_as_it_is(polled, status):
    batch = polled(status=status)

    assert (batch.phase, batch.status) == (Phase.UNKNOWN, status)


@pytest.mark.parametrize("status", ["completed", "failed", "expired", "cancelled"])
def test_a_batch_may_end_without_any_file(polled, status):
    batch = polled(status=status)

    assert (batch.phase, batch.output_file_id) == (Phase.ENDED, None)


def test_an_empty_file_id_is_no_file(polled):
    """Row 14: it would be fetched as /files//content."""
    batch = polled(status="completed", output_file_id="", error_file_id="", input_file_id="")

    assert (batch.output_file_id, batch.error_file_id, batch.input_file_id) == (None, None, None)


@pytest.mark.parametrize("created_at", [CREATED, float(CREATED), f"{CREATED}", f"{CREATED}.0"])
def test_a_time_may_be_a_number_or_its_digits(polled, created_at):
    assert polled(created_at=created_at).created_at == SINCE


@pytest.mark.parametrize("created_at", [None, "", "yesterday", "NaN", "inf", 10**40])
def test_a_time_that_is_none_is_not_guessed(polled, created_at):
    with pytest.raises(ProviderUnavailable, match="created_at"):
        polled(created_at=created_at)


PROBLEM = {"code": "invalid_json_line", "message": "No JSON.", "line": 3, "param": None}
PROBLEMS = (BatchProblem(code="invalid_json_line", message="No JSON.", line=3),)


@pytest.mark.parametrize(
    ("errors", "problems"),
    [
        ({"object": "list", "data": [PROBLEM]}, PROBLEMS),
        ([PROBLEM], PROBLEMS),
        ({"object": "list", "data": []}, ()),
        ({"object": "list"}, ()),
        ([{}], (BatchProblem(code=None, message=None),)),
        ("broken", (BatchProblem(code=None, message="broken"),)),
        ("", ()),
    ],
)
def test_errors_may_be_an_object_a_plain_list_or_one_text(polled, errors, problems):
    assert polled(status="failed", errors=errors).problems == problems


def test_counts_may_be_empty(polled):
    batch = polled(status="failed", request_counts={})

    assert (batch.completed, batch.failed, batch.total) == (None, None, None)


def test_usage_keeps_cached_and_reasoning_tokens(polled):
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 120,
    }

    assert polled(usage=usage).usage == Usage(
        input_tokens=100, cached_tokens=40, output_tokens=20, reasoning_tokens=5
    )


def test_usage_may_come_without_details(polled):
    assert polled(usage={"input_tokens": 7}).usage == Usage(input_tokens=7)


@pytest.mark.parametrize(
    "metadata", [{}, {"key": "k-1"}, {KEY_METADATA: ""}, {KEY_METADATA: 1}, []]
)
def test_metadata_of_others_is_no_key(polled, metadata):
    assert polled(metadata=metadata).key is None


def test_an_unreadable_batch_of_somebody_else_is_no_obstacle(server, provider):
    alien = {"id": "batch-0", "metadata": "?"}
    server.on(LIST, server.answer(a_page(alien, a_batch(metadata={KEY_METADATA: "k-1"}))))

    assert provider.find("k-1", since=SINCE).id == "batch-1"
    assert [batch.id for batch in provider.poll({"batch-1"}, since=SINCE)] == ["batch-1"]


#: Times, in hours before the batch that is wanted, of the batches on the page before it.
UNSORTED = {
    "from old to new": [30.0, 29.9, 29.8],
    "from old to new, after a newer one": [0.0, 30.0, 20.0, 10.0],
    "of one moment": [30.0, 30.0, 30.0],
    "without times": [None, None],
}


@pytest.mark.parametrize("hours", UNSORTED.values(), ids=UNSORTED)
def test_a_list_that_is_not_seen_to_run_from_new_to_old_is_read_to_its_end(server, provider, hours):
    """Else a batch that exists would be taken for missing, and bought again."""
    others = [
        a_batch(id=f"batch-{n}", created_at=None if hour is None else CREATED - int(hour * 3_600))
        for n, hour in enumerate(hours, start=2)
    ]
    wanted = a_batch(metadata={KEY_METADATA: "k-1"})
    server.on(LIST, server.answer(a_page(*others, has_more=True)), server.answer(a_page(wanted)))

    assert provider.find("k-1", since=SINCE).id == "batch-1"


def test_a_list_is_left_where_it_has_run_behind_the_offer(server, provider):
    """An hour for the clocks, ten minutes for servers that write side by side."""
    times = [CREATED, CREATED - 60 * 69, CREATED - 60 * 71, CREATED - 60 * 70]
    pages = [a_page(a_batch(id=f"batch-{time}", created_at=time), has_more=True) for time in times]
    server.on(LIST, *map(server.answer, pages))
    server.on(FILES, server.answer(a_page()))

    assert provider.find("k-1", since=SINCE) is None
    assert server.count(LIST) == 3


def test_a_batch_that_lost_its_metadata_is_known_by_its_file(server, provider):
    """Some servers drop what they do not know; buying again would be paying twice."""
    other, ours = a_batch(id="batch-2", input_file_id="file-2"), a_batch(metadata=None)
    server.on(LIST, server.answer(a_page(other, ours)))
    files = [{"id": "file-2", "filename": "k-2.jsonl"}, {"id": "file-1", "filename": "k-1.jsonl"}]
    server.on(FILES, server.answer(a_page(*files)))

    assert provider.find("k-1", since=SINCE).id == "batch-1"
    assert provider.find("k-3", since=SINCE) is None


def test_files_are_not_asked_for_where_every_batch_has_a_key(server, provider):
    server.on(LIST, server.answer(a_page(a_batch(metadata={KEY_METADATA: "k-2"}))))

    assert provider.find("k-1", since=SINCE) is None
    assert server.count(FILES) == 0


@pytest.mark.parametrize("status", [404, 405, 501])
def test_without_a_list_of_batches_a_doubt_is_for_a_person(server, provider, status):
    server.on(LIST, server.refusal(status))

    with pytest.raises(RequestRefused, match=r"k-1: .* no list of batches .* decide by hand"):
        provider.find("k-1", since=SINCE)


def test_without_a_list_of_files_a_batch_without_metadata_is_for_a_person(server, provider):
    server.on(LIST, server.answer(a_page(a_batch())))

    with pytest.raises(RequestRefused, match="no list of files"):
        provider.find("k-1", since=SINCE)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_without_a_list_batches_are_polled_one_by_one(server, provider, status):
    server.on(LIST, server.refusal(status))
    server.on("GET /v1/batches/batch-1", server.answer(a_batch()))

    assert [batch.id for batch in provider.poll({"batch-1"}, since=SINCE)] == ["batch-1"]


@pytest.mark.parametrize("status", [404, 405, 501])
def test_without_a_list_of_files_nothing_is_known_of_uploads(server, provider, status):
    server.on(FILES, server.refusal(status))

    assert list(provider.uploads(since=SINCE)) == []


def test_a_list_whose_cursor_is_gone_has_broken_off(server, provider):
    page = server.answer(a_page(a_batch(), has_more=True))
    server.on(LIST, page, server.refusal(404))

    with pytest.raises(ProviderUnavailable, match="breaks off"):
        provider.find("k-1", since=SINCE)


def test_a_list_without_has_more_ends_with_an_empty_page(server, provider):
    page = a_page(a_batch(metadata={KEY_METADATA: "k-2"}))
    del page["has_more"]
    server.on(LIST, server.answer(page), server.answer({**page, "data": []}))

    assert provider.find("k-1", since=SINCE) is None
    assert [call.query for call in server.calls] == ["limit=100", "after=batch-1&limit=100"]


@pytest.mark.parametrize(
    "page",
    [a_page(has_more=True), a_page(a_batch(), has_more=True), a_page({}, has_more=True)],
    ids=["an empty page", "the same page for ever", "a page without ids"],
)
def test_a_list_that_breaks_off_is_no_proof_that_a_batch_is_missing(server, provider, page):
    server.on(LIST, server.answer(page))

    with pytest.raises(ProviderUnavailable):
        provider.find("k-1", since=SINCE)


#: Answers to a download that bring less than the file.
TRUNCATED = {
    "hung up": lambda server: server.answer(b"x" * 99)[:-9],
    "in chunks": lambda server: server.answer(
        b"5\r\nxxxxx\r\n0\r\n\r\n", content_length="99", transfer_encoding="chunked"
    ),
    "a chunk cut off": lambda server: server.answer(
        b"5\r\nxxx", content_length="5", transfer_encoding="chunked"
    ),
    "bad gzip": lambda server: server.answer(b"x" * 99, content_encoding="gzip"),
    "502": lambda server: server.answer(b"Bad Gateway", status=502),
    "502 cut short": lambda server: server.answer(b"Bad Gateway", status=502)[:-4],
}


@pytest.mark.parametrize("truncated", TRUNCATED.values(), ids=TRUNCATED)
def test_a_truncated_download_never_passes(server, provider, truncated):
    """Row 17: the content gives 502 again and again; it can be asked for later."""
    server.on(CONTENT, truncated(server))

    with pytest.raises(ProviderUnavailable, match="file-2"):
        provider.download("file-2", io.BytesIO())


def test_a_compressed_download_arrives_unpacked(server, provider):
    server.on(CONTENT, server.answer(gzip.compress(b"x" * 99), content_encoding="gzip"))
    sink = io.BytesIO()

    provider.download("file-2", sink)

    assert sink.getvalue() == b"x" * 99


def test_an_error_of_the_sink_is_its_own(server, provider):
    server.on(CONTENT, server.answer(b"x" * 99))
    sink = io.BytesIO()
    sink.close()

    with pytest.raises(ValueError, match="closed file"):
        provider.download("file-2", sink)
