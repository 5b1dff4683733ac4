"""What a person asks of OpenAI's adapter and of servers like it: lists, and batches of her own."""

import json
from pathlib import Path
from typing import Any

import pytest

from batch_assets.domain.errors import DeclarationError, ProviderUnavailable, RequestRefused
from batch_assets.domain.provider import KEY_METADATA, RemoteFile
from batch_assets.resources.compatible import CompatibleResource
from batch_assets.resources.openai import OpenAIProvider, client

ENDPOINT = "/v1/chat/completions"
KEY = "0123456789abcdef" * 2
LIST, FILES, CREATE = "GET /v1/batches", "GET /v1/files", "POST /v1/batches"


def compatible(origin: str, profile: str, **fields: Any) -> OpenAIProvider:
    """The provider of a CompatibleResource; keywords are the resource's fields."""
    chosen = {"api_key": "sk-nobody", "timeout_seconds": 5.0, "max_retries": 0, **fields}
    return CompatibleResource(profile=profile, base_url=origin, **chosen).provider()


@pytest.fixture
def small_pages(monkeypatch):
    """Three batches to a page, and two files."""
    monkeypatch.setattr(client, "PAGE", 3)
    monkeypatch.setattr(client, "FILE_PAGE", 2)


def test_a_persons_words_stand_beside_those_of_every_batch(border, provider_at, a_shard):
    provider = provider_at(border.base_url, metadata={"team": "words", "owner": "all"})

    batch = provider.create(
        a_shard(), endpoint=ENDPOINT, key=KEY, metadata={"owner": "me", "run": "1"}
    )

    [create] = [json.loads(call.body) for call in border.calls if call.route == CREATE]
    assert create["metadata"] == {
        "team": "words",
        "owner": "me",
        "run": "1",
        KEY_METADATA: KEY,
    }
    assert batch.metadata == {"team": "words", "owner": "me", "run": "1"}


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({f"n{n}": "x" for n in range(6)}, "16 pairs; the API takes 15"),
        ({"": "x"}, "names of 1 to 64"),
        ({"n" * 65: "x"}, "names of 1 to 64"),
        ({"note": "x" * 513}, "values of 512"),
    ],
)
def test_the_words_of_every_batch_count_with_a_persons(provider_at, border, metadata, why):
    provider = provider_at(border.base_url, metadata={f"own-{n}": "x" for n in range(10)})

    with pytest.raises(DeclarationError, match=why):
        provider.check_metadata(metadata)

    provider.check_metadata({f"n{n}": "x" * 512 for n in range(5)})
    assert border.calls == []


def test_each_server_has_limits_of_its_own(sandbox, a_shard):
    """Xerotier counts bytes: 16,384 with our key and its name, which are 48."""
    provider = compatible(f"{sandbox.origin}/xerotier/{{slug}}/v1", "xerotier", slug="proj_1")
    many = {f"n{number}": "x" * 600 for number in range(20)}
    fits = {"n": "x" * (16_384 - 48 - 1)}

    assert provider.create(a_shard(), endpoint=ENDPOINT, key=KEY, metadata=many).metadata == many
    assert provider.create(a_shard(), endpoint=ENDPOINT, key=KEY, metadata=fits).metadata == fits
    with pytest.raises(DeclarationError, match="16,385 bytes with our key; xerotier takes 16,384"):
        provider.check_metadata({"n": fits["n"] + "x"})


def test_a_word_that_is_no_text_is_shown_as_json(server, provider_at):
    batch = {"id": "b", "status": "completed", "created_at": 1}
    words = {"n": 3, "list": ["ä"], "text": "t", KEY_METADATA: KEY}
    server.on(LIST, server.answer({"data": [batch | {"metadata": words}], "has_more": False}))

    [found] = provider_at(server.base_url).batches()

    assert found.metadata == {"n": "3", "list": '["ä"]', "text": "t"}
    assert found.key == KEY


def test_a_list_is_read_a_page_at_a_time(border, provider_at, many_batches, small_pages):
    made = many_batches(7)[::-1]
    listed = provider_at(border.base_url).batches(after=made[0])

    taken = [(next(listed).id, border.count(LIST)) for _ in range(4)]

    assert taken == [(made[1], 1), (made[2], 1), (made[3], 1), (made[4], 2)]


def test_a_list_that_breaks_off_is_another_thing_than_one_that_cannot_begin(
    server, provider_at, many_batches, small_pages
):
    batches = [{"id": f"b-{n}", "status": "completed", "created_at": n} for n in range(3)]
    page, gone = server.answer({"data": batches, "has_more": True}), server.refusal(404)
    provider = provider_at(server.base_url)

    server.on(LIST, page, gone)
    with pytest.raises(ProviderUnavailable, match="breaks off"):
        list(provider.batches(after="b-9"))
    server.on(LIST, gone)
    with pytest.raises(RequestRefused, match="no b-9 in it"):
        list(provider.batches(after="b-9"))


def test_a_server_without_a_list_says_so(server, provider_at):
    with pytest.raises(RequestRefused, match=r"no list of batches \(HTTP 404\)"):
        list(provider_at(server.base_url).batches())
    with pytest.raises(RequestRefused, match=r"no list of files \(HTTP 404\)"):
        list(provider_at(server.base_url).files())


def test_a_server_that_is_known_to_have_no_list_of_files_is_not_asked(border):
    provider = compatible(border.base_url, "openai", overrides={"has_file_list": False})

    with pytest.raises(RequestRefused, match="no list of files"):
        list(provider.files())

    assert border.calls == []


def test_files_are_told_with_what_the_server_says_of_them(server, provider_at):
    files = [
        {"id": "f-1", "filename": "a.jsonl", "bytes": 7, "created_at": 5, "purpose": "batch"},
        {"id": "f-2", "filename": "", "bytes": None},
    ]
    server.on(FILES, server.answer({"data": files, "has_more": False}))

    first, second = provider_at(server.base_url).files()

    assert (first.name, first.bytes, first.purpose) == ("a.jsonl", 7, "batch")
    assert first.created_at.isoformat() == "1970-01-01T00:00:05+00:00"
    assert second == RemoteFile(id="f-2")


def test_files_of_every_purpose_are_listed(border, provider_at, a_shard, clock, small_pages):
    """Answers are files, too."""
    provider = provider_at(border.base_url)
    uploaded = provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)
    clock.advance(100)
    list(provider.batches())
    provider.create(a_shard(), endpoint=ENDPOINT, key="2" * 32, metadata={})

    files = list(provider.files())

    assert sorted(file.purpose for file in files) == ["batch", "batch", "batch_output"]
    assert uploaded.input_file_id in {file.id for file in files}
    assert border.count(FILES) == 2


def test_a_file_that_is_uploaded_cannot_be_told_apart_where_no_word_is_kept(border, tmp_path: Path):
    provider = compatible(border.base_url, "together")

    with pytest.raises(RequestRefused, match="name the file on this machine"):
        provider.create("file-1", endpoint=ENDPOINT, key=KEY, metadata={})

    assert border.calls == []
