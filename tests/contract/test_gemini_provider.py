"""What Gemini's provider promises, against the sandbox; calls are counted on the way to it."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gemini_border import (
    API_KEY,
    BATCHES,
    CREATE,
    ENDPOINT,
    FILES,
    KEY,
    MODEL,
    UPLOAD,
    a_provider,
    a_refusal,
    a_shard,
    address,
    an_operation,
    passing_on_to,
)
from google import genai
from google.genai import types

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    BatchUnknown,
    OutOfTime,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.provider import Phase, ProviderBatch, Upload
from batch_assets.resources.gemini import GeminiProvider

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def border(border, sandbox):
    """Passes calls on to the sandbox, except where a test has it do otherwise."""
    border.otherwise = passing_on_to(sandbox.origin)
    return border


@pytest.fixture
def provider(border) -> Iterator[GeminiProvider]:
    made = a_provider(address(border))
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


@pytest.fixture
def client(sandbox) -> Iterator[genai.Client]:
    """Another user of the account."""
    options = types.HttpOptions(base_url=f"{sandbox.origin}/gemini")
    with genai.Client(api_key="another-user", vertexai=False, http_options=options) as made:
        yield made


@pytest.fixture
def others(client) -> Callable[[int], list[str]]:
    """Creates batches that are not ours."""

    def create(count: int) -> list[str]:
        line = b'{"key":"x","request":{"contents":[{"parts":[{"text":"x"}]}]}}\n'
        config = types.UploadFileConfig(display_name="theirs", mime_type="jsonl")
        source = client.files.upload(file=io.BytesIO(line), config=config).name
        return [
            client.batches.create(model=MODEL, src=source, config={"display_name": "theirs"}).name
            for _ in range(count)
        ]

    return create


def test_a_submitted_batch_is_open_and_carries_its_key(submitted, since):
    batch = submitted()

    assert (batch.phase, batch.status, batch.key) == (Phase.OPEN, "pending", KEY)
    assert batch.created_at == since
    assert (batch.total, batch.output_file_id) == (3, None)


def test_a_batch_is_made_of_a_file_and_never_of_inline_requests(submitted, border):
    """Inline answers are matched by their place alone."""
    batch = submitted()

    [create] = [call for call in border.calls if call.route == CREATE]
    assert json.loads(create.body) == {
        "batch": {"inputConfig": {"fileName": batch.input_file_id}, "displayName": KEY}
    }
    assert create.headers["x-goog-api-key"] == API_KEY


def test_no_variable_of_the_environment_says_where_it_goes(monkeypatch, submitted, border):
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v1alpha")
    monkeypatch.setenv("GOOGLE_API_KEY", "another-key")

    submitted()

    assert border.count(CREATE) == 1


def test_a_batch_is_found_by_its_key(provider, submitted, since):
    batch = submitted()

    assert provider.find(KEY, since=since) == batch


def test_a_key_that_no_batch_carries_is_not_found(provider, submitted, since):
    submitted()

    assert provider.find("f" * 32, since=since) is None


def test_a_batch_is_found_behind_a_hundred_others(provider, submitted, since, others, border):
    batch = submitted()
    others(100)

    assert provider.find(KEY, since=since) == batch
    assert border.count(BATCHES) == 2


def test_the_search_ends_where_the_batch_cannot_be(provider, since, others, clock, border):
    others(2)
    clock.advance(1)
    others(99)
    clock.advance(2 * 3_600)

    assert provider.find(KEY, since=since + timedelta(hours=2)) is None
    assert border.count(BATCHES) == 1


def test_a_list_that_does_not_run_from_new_to_old_is_read_to_its_end(border):
    old, new = "2020-01-01T00:00:00Z", "2026-11-01T00:00:00Z"
    pages = [[an_operation(1, createTime=old)], [an_operation(2, createTime=new)]]
    first, second = ({"operations": page, "nextPageToken": "t"} for page in pages)
    last = {"operations": [an_operation(3, displayName=KEY)]}
    # The first page alone would end the search of a list in order.
    first["operations"].insert(0, an_operation(0, createTime="2019-01-01T00:00:00Z"))
    border.on(BATCHES, *map(border.answer, (first, second | {"nextPageToken": "u"}, last)))

    found = a_provider(address(border)).find(KEY, since=SINCE)

    assert found is not None
    assert found.id == "batches/b3"


def test_a_batch_whose_reply_was_lost_is_found_by_its_key(provider, submitted, since, border):
    def create_and_hang_up(call):
        border.otherwise(call)
        return b""

    border.on(CREATE, create_and_hang_up)

    with pytest.raises(ReplyLost, match=KEY):
        submitted()

    assert border.count(CREATE) == 1
    assert provider.find(KEY, since=since) is not None


def test_a_batch_is_offered_once_though_reads_are_tried_again(border, tmp_path):
    """Row 22: every further try of the creation makes another batch."""
    border.on(CREATE, a_refusal(503, "UNAVAILABLE"))
    provider = a_provider(address(border), max_retries=3)

    with pytest.raises(ReplyLost):
        provider.submit(a_shard(tmp_path), endpoint=ENDPOINT, key=KEY)

    assert border.count(CREATE) == 1


def test_a_redirected_creation_is_not_sent_again(border, submitted):
    border.on(CREATE, border.answer({}, status=307, location=f"{address(border)}/elsewhere"))

    with pytest.raises(ReplyLost):
        submitted()

    assert [call.route for call in border.calls if "elsewhere" in call.path] == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_a_refused_creation_takes_its_file_back(submitted, client, border, status):
    """Row 23: a failed creation orphans the uploaded file."""
    border.on(CREATE, a_refusal(status))

    with pytest.raises(BatchAssetsError):
        submitted()

    assert list(client.files.list()) == []


def test_a_creation_in_doubt_keeps_its_file(submitted, client, border):
    border.on(CREATE, b"")

    with pytest.raises(ReplyLost):
        submitted()

    assert [file.display_name for file in client.files.list()] == [KEY]


def test_an_endpoint_of_another_provider_is_refused_before_anything_is_sent(
    provider, border, tmp_path
):
    with pytest.raises(RequestRefused, match="generate_content"):
        provider.submit(a_shard(tmp_path), endpoint="/v1/chat/completions", key=KEY)

    assert border.calls == []
    assert provider.takes(ENDPOINT)
    assert not provider.takes("/v1/chat/completions")


def test_an_upload_is_known_by_the_key_that_is_its_name(provider, submitted, since, others):
    batch = submitted()
    others(1)

    assert list(provider.uploads(since=since)) == [Upload(id=batch.input_file_id, key=KEY)]


def test_older_uploads_are_not_told_of(provider, submitted, since):
    submitted()

    assert list(provider.uploads(since=since + timedelta(hours=2))) == []


def test_uploads_are_read_page_by_page(border):
    file = {"displayName": KEY, "createTime": "2026-11-01T00:00:00Z"}
    pages = [{"files": [{"name": "files/1"} | file], "nextPageToken": "t"}, {}]
    border.on(FILES, *map(border.answer, pages))

    found = list(a_provider(address(border)).uploads(since=SINCE))

    assert [upload.id for upload in found] == ["files/1"]
    assert border.calls[1].query == "pageSize=100&pageToken=t"


def test_a_name_that_others_gave_is_a_word_of_theirs_and_no_key(provider, submitted, others):
    ours, [theirs] = submitted(), others(1)

    listed = {batch.id: batch for batch in provider.batches()}

    assert (listed[ours.id].key, listed[ours.id].metadata) == (KEY, {})
    assert (listed[theirs].key, listed[theirs].metadata) == (None, {"displayName": "theirs"})


def test_files_are_listed_with_what_they_are_for(submitted, provider, clock, since, others, border):
    batch = submitted()
    others(1)
    clock.advance(100)
    [ended] = provider.poll({batch.id}, since=since)

    files = {file.id: file for file in provider.files()}

    ours = files[batch.input_file_id]
    assert (ours.name, ours.purpose, ours.created_at) == (KEY, None, since)
    assert files[ended.output_file_id].purpose == "GENERATED"
    assert sorted(file.name for file in files.values() if file.purpose is None) == [KEY, "theirs"]


def test_files_are_read_a_page_at_a_time(border):
    files = [{"name": f"files/{n}", "createTime": "2026-11-01T00:00:00Z"} for n in range(3)]
    border.on(
        FILES,
        border.answer({"files": files[:2], "nextPageToken": "t"}),
        border.answer({"files": files[2:]}),
    )
    provider = a_provider(address(border))

    listed = provider.files()
    first, calls = next(listed), border.count(FILES)

    assert (first.id, first.name, first.bytes, calls) == ("files/0", None, None, 1)
    assert [file.id for file in listed] == ["files/1", "files/2"]


@pytest.mark.parametrize(
    ("source", "endpoint", "why"),
    [
        ("gs://bucket/x", ENDPOINT, "begins with files/"),
        ("a.jsonl", ENDPOINT, "begins with files/"),
        ("files/1", "/v1beta/models:generateContent", "whose path names the model"),
    ],
)
def test_what_no_batch_can_be_made_of_is_refused_before_any_call(
    provider, border, source, endpoint, why
):
    with pytest.raises(RequestRefused, match=why):
        provider.create(source, endpoint=endpoint, key=KEY, metadata={})

    assert border.calls == []


def test_an_upload_can_be_deleted_twice(provider, submitted, client):
    batch = submitted()

    provider.delete_upload(batch.input_file_id)
    provider.delete_upload(batch.input_file_id)

    assert list(client.files.list()) == []


def test_a_hundred_and_twenty_batches_are_polled_by_two_calls(provider, others, since, border):
    ids = set(others(120))

    assert {batch.id for batch in provider.poll(ids, since=since)} == ids
    assert len(border.calls) == 2


def test_nothing_is_asked_when_nothing_is_wanted(provider, since, border):
    assert list(provider.poll(frozenset(), since=since)) == []
    assert border.calls == []


def test_what_else_of_the_known_batches_comes_by_is_handed_out(provider, others, since):
    first, second, third = others(3)
    wanted = [first, second]

    found = {batch.id for batch in provider.poll(wanted, since=since, among=[third, *wanted])}

    assert found == {first, second, third}


def test_the_longest_waiting_is_asked_for_first_however_far_back(provider, others, since):
    ids = others(210)

    with provider.within(60.0, calls=1):
        polled = provider.poll(ids, since=since, among=ids[::-1])

        assert next(polled).id == ids[0]
        with pytest.raises(OutOfTime):
            next(polled)


def test_few_old_batches_are_asked_for_one_by_one(provider, others, since, border):
    ids = others(210)

    found = list(provider.poll(ids[:2], since=since, among=ids[::-1]))

    assert [batch.id for batch in found] == ids[:2]
    assert border.count(BATCHES) == 0


def test_an_id_the_provider_does_not_know_does_not_hide_the_others(provider, submitted, since):
    batch = submitted()
    polled = provider.poll(["batches/none", batch.id, "batch_of_openai"], since=since)

    assert next(polled).id == batch.id
    with pytest.raises(BatchUnknown) as refused:
        next(polled)
    assert refused.value.ids == {"batches/none", "batch_of_openai"}


def test_a_file_the_provider_does_not_have_is_refused(provider):
    with pytest.raises(RequestRefused, match="files/unknown"):
        provider.download("files/unknown", io.BytesIO())


def test_a_wrong_key_is_refused_with_the_way_out(sandbox, tmp_path):
    provider = a_provider(f"{sandbox.origin}/gemini", api_key="sk-wrong-1234567890tuvwxyz")

    with pytest.raises(AccountRefused, match="GEMINI_API_KEY") as refused:
        provider.submit(a_shard(tmp_path), endpoint=ENDPOINT, key=KEY)

    assert "wxyz" not in refused.value.message


def test_the_content_of_an_upload_goes_where_the_provider_says(submitted, border):
    submitted()

    start, content = [call for call in border.calls if call.route == UPLOAD]
    assert json.loads(start.body)["file"]["display_name"] == KEY
    assert content.headers["x-goog-upload-command"] == "upload, finalize"
    assert content.body.count(b'"key"') == 3
