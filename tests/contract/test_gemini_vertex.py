"""Gemini's provider at Vertex AI: the real SDK, Google's own authentication and gcsfs, against the
sandbox's jobs and bucket.
"""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gemini_border import ENDPOINT, KEY, a_provider, a_shard, address, answer
from gemini_credentials import sign_in

from batch_assets.domain.errors import (
    AccountRefused,
    CorpusError,
    DeclarationError,
    ProviderUnavailable,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.provider import Phase, ProviderBatch, Upload
from batch_assets.prompt.answers import LineReader
from batch_assets.prompt.endpoints.gemini_answers import SHAPE
from batch_assets.resources.gemini import GeminiProvider, GeminiResource

PLACE = {"vertexai": True, "project": "p1", "location": "us-central1"}
PERSONS_KEY = "0" * 8 + "1" * 24
FOLDER = "gs://a-bucket/batches"


@pytest.fixture
def provider(sandbox, tmp_path, monkeypatch) -> Iterator[GeminiProvider]:
    """With credentials of a service account, whose tokens the sandbox gives out."""
    sign_in(monkeypatch, tmp_path, sandbox.origin)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"{sandbox.origin}/gcs")
    made = a_provider(f"{sandbox.origin}/gemini", **PLACE, bucket=f"{FOLDER}/")
    yield made
    made.close()


@pytest.fixture
def since(clock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


def lines(requests: int = 3) -> bytes:
    """As our endpoint writes them, without a space."""
    contents = [{"role": "user", "parts": [{"text": "Word: oak"}]}]
    made = ({"key": f"a-{n}", "request": {"contents": contents}} for n in range(requests))
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in made)


@pytest.fixture
def submitted(provider, tmp_path) -> Callable[..., ProviderBatch]:
    def submit(content: bytes | None = None) -> ProviderBatch:
        shard = tmp_path / "shard.jsonl"
        shard.write_bytes(lines() if content is None else content)
        return provider.submit(shard, endpoint=ENDPOINT, key=KEY)

    return submit


def test_a_job_reads_from_the_bucket_and_writes_to_it(submitted, provider, clock, since):
    batch = submitted()
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert (batch.phase, batch.key, batch.total) == (Phase.OPEN, KEY, None)
    assert batch.input_file_id == f"{FOLDER}/{KEY}/requests.jsonl"
    assert (ended.phase, ended.status) == (Phase.ENDED, "succeeded")
    assert (ended.completed, ended.failed, ended.total) == (3, 0, 3)
    assert ended.output_file_id.startswith(f"{FOLDER}/{KEY}/answers/")


def test_each_answer_is_known_by_the_key_of_its_request(submitted, provider, clock, since):
    """An output line repeats the request alone; its label says whose it is."""
    batch = submitted()
    clock.advance(100)
    [ended] = provider.poll({batch.id}, since=since)
    sink = io.BytesIO()

    provider.download(ended.output_file_id, sink)

    read = LineReader(SHAPE).read(sink.getvalue())
    assert sorted(line.custom_id for line in read) == ["a-0", "a-1", "a-2"]
    assert all(line.is_completed for line in read)
    first = json.loads(sink.getvalue().splitlines()[0])
    assert first["request"]["labels"] == {"batch_assets_key": first["key"]}


def test_a_request_that_fails_says_why_in_its_status(submitted, provider, clock, since):
    wrong = b'{"key":"a-0","request":{"contents":[{"role":"system","parts":[{"text":"x"}]}]}}\n'
    batch = submitted(wrong)
    clock.advance(100)
    [ended] = provider.poll({batch.id}, since=since)
    sink = io.BytesIO()

    provider.download(ended.output_file_id, sink)

    [line] = LineReader(SHAPE).read(sink.getvalue())
    assert (line.custom_id, line.response.status_code) == ("a-0", 400)
    assert line.error.code == "INVALID_ARGUMENT"


def test_a_job_is_found_by_its_key(submitted, provider, since):
    batch = submitted()

    assert provider.find(KEY, since=since) == batch
    assert provider.find("f" * 32, since=since) is None


def test_a_job_that_is_cancelled_keeps_what_it_has(submitted, provider, clock, since):
    batch = submitted(lines(4))
    clock.advance(50)

    cancelling = provider.cancel(batch.id)
    clock.advance(60)
    [ended] = provider.poll({batch.id}, since=since)
    sink = io.BytesIO()
    provider.download(ended.output_file_id, sink)

    assert (cancelling.phase, cancelling.status) == (Phase.OPEN, "cancelling")
    assert ended.status == "cancelled"
    assert 0 < len(sink.getvalue().splitlines()) < 4


def test_a_failed_job_has_its_reason(submitted, provider, clock, since):
    batch = submitted(b"no JSON\n")
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert (ended.status, ended.problems[0].code) == ("failed", "INVALID_ARGUMENT")


def test_request_files_are_told_of_and_deleted(submitted, provider, since):
    batch = submitted()

    assert list(provider.uploads(since=since)) == [Upload(id=batch.input_file_id, key=KEY)]
    assert list(provider.uploads(since=since + timedelta(hours=2))) == []
    provider.delete_upload(batch.input_file_id)
    provider.delete_upload(batch.input_file_id)
    assert list(provider.uploads(since=since)) == []


def test_what_is_kept_of_a_collected_job_is_its_answers_too(submitted, provider, clock, since):
    batch = submitted()
    clock.advance(100)
    [ended] = provider.poll({batch.id}, since=since)

    for _ in range(2):
        provider.delete_remote(ended.id, [ended.input_file_id, ended.output_file_id])

    assert list(provider.files()) == []


def test_no_folder_is_deleted_but_one_of_answers(submitted, provider, clock):
    submitted()
    before = list(provider.files())

    provider.delete_upload(FOLDER)
    provider.delete_upload(f"{FOLDER}/{KEY}")

    assert list(provider.files()) == before != []


def test_a_folder_that_is_called_answers_itself_is_not_deleted_either(provider, sandbox, tmp_path):
    own = a_provider(f"{sandbox.origin}/gemini", **PLACE, bucket="gs://a-bucket/answers")
    own.submit(a_shard(tmp_path), endpoint=ENDPOINT, key=KEY)

    own.delete_upload("gs://a-bucket/answers")
    own.delete_upload(f"gs://a-bucket/answers/{KEY}")

    assert [file.id for file in own.files()] == [f"gs://a-bucket/answers/{KEY}/requests.jsonl"]


def test_jobs_of_the_project_are_listed_by_pages_whoever_made_them(
    submitted, provider, monkeypatch
):
    made = [submitted().id for _ in range(3)]
    monkeypatch.setattr("batch_assets.resources.gemini.client.PAGE", 2)

    listed = [batch.id for batch in provider.batches()]

    assert listed == made[::-1]
    assert [batch.id for batch in provider.batches(after=made[1])] == made[:1]


def test_the_files_of_the_folder_are_listed(submitted, provider, clock, since, tmp_path):
    batch = submitted()
    clock.advance(100)
    [ended] = provider.poll({batch.id}, since=since)

    requests, answers = sorted(provider.files(), key=lambda file: file.name, reverse=True)

    assert (requests.id, requests.name) == (batch.input_file_id, f"{KEY}/requests.jsonl")
    assert requests.bytes > (tmp_path / "shard.jsonl").stat().st_size
    assert requests.created_at.tzinfo is not None
    assert answers.id.startswith(ended.output_file_id)
    assert (requests.purpose, answers.purpose) == (None, "answers")


def test_a_file_in_the_bucket_becomes_a_batch(submitted, provider, clock, since):
    uploaded = submitted().input_file_id

    batch = provider.create(uploaded, endpoint=ENDPOINT, key="2" * 32, metadata={})
    clock.advance(100)
    [ended] = provider.poll({batch.id}, since=since)
    sink = io.BytesIO()
    provider.download(ended.output_file_id, sink)

    assert (batch.input_file_id, batch.key) == (uploaded, "2" * 32)
    assert ended.output_file_id.startswith(f"{FOLDER}/{'2' * 32}/answers/")
    read = LineReader(SHAPE).read(sink.getvalue())
    assert sorted(line.custom_id for line in read) == ["a-0", "a-1", "a-2"]


def test_what_is_in_no_bucket_makes_no_batch(provider):
    with pytest.raises(RequestRefused, match=r"begins with gs://"):
        provider.create("files/1", endpoint=ENDPOINT, key=KEY, metadata={})


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
def test_a_shard_of_many_blocks_arrives_whole(submitted, provider, clock, since):
    """gcsfs sends it in parts of 8 MiB."""
    text = "x" * 1_000_000
    parts = [{"role": "user", "parts": [{"text": text}]}]
    big = {"key": "a-0", "request": {"contents": parts}}
    content = json.dumps(big, separators=(",", ":")).encode() + b"\n"
    batch = submitted(b"".join(content.replace(b"a-0", b"a-%d" % n) for n in range(20)))
    clock.advance(100)

    [ended] = provider.poll({batch.id}, since=since)

    assert ended.completed == 20


def test_without_credentials_the_account_is_refused(sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"{sandbox.origin}/gcs")
    provider = a_provider(f"{sandbox.origin}/gemini", **PLACE, bucket=FOLDER)

    with pytest.raises(AccountRefused, match="GOOGLE_APPLICATION_CREDENTIALS"):
        provider.submit(a_shard(tmp_path), endpoint=ENDPOINT, key=KEY)


def test_a_file_of_a_bucket_is_nothing_for_the_developer_api(sandbox):
    provider = a_provider(f"{sandbox.origin}/gemini")

    with pytest.raises(RequestRefused, match="vertexai"):
        provider.download(f"{FOLDER}/x", io.BytesIO())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"vertexai": True}, "lacks project, location, bucket"),
        ({"vertexai": True, "project": "p", "location": "l"}, "lacks bucket"),
        (PLACE | {"bucket": "s3://a/b"}, "gs://my-bucket/batches"),
        (PLACE | {"bucket": "gs://"}, "gs://my-bucket/batches"),
        (PLACE | {"bucket": FOLDER, "project": "a/b"}, "project is 'a/b'"),
        ({"project": "p"}, "project is said of Vertex AI"),
        ({"base_url": "ftp://a"}, "base_url must be"),
    ],
)
def test_a_place_that_cannot_be_is_refused_where_it_is_declared(fields, why):
    with pytest.raises(DeclarationError, match=why):
        a_provider(fields.pop("base_url", None), **fields)


def test_limits_are_the_documented_ones():
    developer, vertex = GeminiResource(), GeminiResource(**PLACE, bucket=FOLDER)

    assert (developer.limits().requests, developer.limits().bytes) == (200_000, 2_000_000_000)
    assert developer.budget().batches == 100
    assert vertex.limits().bytes == 900_000_000


@pytest.mark.parametrize(
    ("fields", "account"),
    [
        ({}, "gemini"),
        ({"base_url": "http://proxy.test/v"}, "gemini/proxy.test"),
        (PLACE | {"bucket": FOLDER}, "vertex/p1/us-central1"),
        ({"account": "mine"}, "mine"),
    ],
)
def test_the_account_is_the_one_that_pays(fields, account):
    assert a_provider(fields.pop("base_url", None), **fields).account == account


def test_prices_are_googles_at_its_own_address_only():
    assert a_provider(None).price_list.provider == "google"
    assert a_provider("http://proxy.test").price_list is None
    assert a_provider("http://proxy.test", price_list="google").price_list.provider == "google"


def test_nothing_is_imported_to_make_a_provider(monkeypatch):
    """The key is asked for at the first call."""
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    provider = GeminiResource().create_resource(None)

    with pytest.raises(ProviderUnreachable, match="GEMINI_API_KEY"):
        provider.cancel("batches/1")


def test_a_shard_may_be_a_path_with_any_name(provider, tmp_path: Path, since: Any):
    shard = tmp_path / "ein Stück.jsonl"
    shard.write_bytes(lines(1))

    assert provider.submit(shard, endpoint=ENDPOINT, key=KEY).key == KEY


def created(provider: GeminiProvider, source: Path | str) -> ProviderBatch:
    return provider.create(source, endpoint=ENDPOINT, key=PERSONS_KEY, metadata={})


def own_line(key: str, **request: Any) -> str:
    """A person's line: blanks, and the key at its end."""
    contents = [{"role": "user", "parts": [{"text": 'Say ,"request":{ now'}]}]
    return json.dumps({"request": {"contents": contents, **request}, "key": key}) + "\n"


def test_a_persons_answers_come_back_under_the_keys_they_wrote(provider, tmp_path, clock, since):
    """And with the labels that their requests had before."""
    path = tmp_path / "own.jsonl"
    path.write_text(own_line("r" * 63, labels={"team": "words"}) + own_line("request-1"))
    batch = created(provider, path)
    clock.advance(100)
    [ended] = provider.poll({batch.id}, since=since)
    sink = io.BytesIO()

    provider.download(ended.output_file_id, sink)

    answers = [json.loads(line) for line in sink.getvalue().splitlines()]
    labels = {answer["key"]: answer["request"]["labels"] for answer in answers}
    assert labels == {
        "r" * 63: {"team": "words", "batch_assets_key": "r" * 63},
        "request-1": {"batch_assets_key": "request-1"},
    }


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (own_line("Request 1"), "line 2: the key 'Request 1' cannot be a label"),
        (own_line("r" * 64), "line 2: the key 'rrr"),
        ('{"request":{"contents":[]}}\n', "line 2: Object missing required field `key`"),
    ],
)
def test_a_key_that_would_not_come_back_is_named_before_anything_is_sent(
    provider, tmp_path, line, complaint
):
    path = tmp_path / "own.jsonl"
    path.write_text(own_line("request-1") + line)

    with pytest.raises(CorpusError, match=complaint):
        created(provider, path)
    with pytest.raises(CorpusError, match=complaint):
        provider.upload(path, name="own.jsonl")

    assert list(provider.files()) == []


def test_a_persons_upload_lies_in_the_folder_and_makes_a_batch(provider, tmp_path, clock, since):
    path = tmp_path / "own.jsonl"
    path.write_text(own_line("request-1"))

    file = provider.upload(path, name="spring words.jsonl")

    assert file.id == f"{FOLDER}/spring words.jsonl"
    assert [(each.id, each.name, each.bytes) for each in provider.files()] == [
        (file.id, "spring words.jsonl", file.bytes)
    ]
    assert list(provider.uploads(since=since)) == []
    batch = created(provider, file.id)
    clock.advance(100)
    [ended] = provider.poll({batch.id}, since=since)
    sink = io.BytesIO()
    provider.download(ended.output_file_id, sink)
    assert json.loads(sink.getvalue())["key"] == "request-1"


def test_a_persons_upload_takes_no_others_place(provider, tmp_path, clock, since):
    path = tmp_path / "own.jsonl"
    path.write_text(own_line("request-1"))
    provider.upload(path, name="own.jsonl")
    path.write_text(own_line("request-2"))

    with pytest.raises(RequestRefused, match="not replaced"):
        provider.upload(path, name="own.jsonl")

    [uri] = [file.id for file in provider.files()]
    batch = created(provider, uri)
    clock.advance(100)
    [ended] = provider.poll({batch.id}, since=since)
    sink = io.BytesIO()
    provider.download(ended.output_file_id, sink)
    assert json.loads(sink.getvalue())["key"] == "request-1"


@pytest.mark.parametrize("name", ["a*.jsonl", "a#1.jsonl", "[a].jsonl"])
def test_a_name_that_the_bucket_reads_otherwise_is_refused(provider, tmp_path, name):
    with pytest.raises(DeclarationError, match="choose another"):
        provider.upload(tmp_path / "own.jsonl", name=name)


def test_a_reply_of_the_bucket_that_is_none_of_googles_is_no_empty_list(
    provider, border, sandbox, monkeypatch, since
):
    """As a proxy gives one that stands in between."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"{address(border).removesuffix('/gemini')}/gcs")
    border.otherwise = lambda call: answer([])

    with pytest.raises(ProviderUnavailable):
        list(provider.uploads(since=since))
