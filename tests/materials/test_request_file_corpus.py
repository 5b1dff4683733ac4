"""Ready-made request files: read as they are, and refused line by line."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from batch_assets.corpus.partitioning import DiscoveredKeys, StaticKeys
from batch_assets.corpus.request_files import RequestFileCorpus, RequestShape
from batch_assets.domain.errors import CorpusError

WriteFile = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Writes lines into a file of the corpus's folder."""

    def to(name: str, *lines: bytes, end: bytes = b"\n") -> Path:
        path = tmp_path / "requests" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(line + end for line in lines))
        return path

    return to


def a_body(**over: Any) -> dict[str, Any]:
    message = {"role": "user", "content": "Häuser 🏘"}
    return {"model": "gpt-4.1-mini", "messages": [message], **over}


def a_line(custom_id: object = "r-0", **over: Any) -> bytes:
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions"}
    return json.dumps({**line, "body": a_body(), **over}, ensure_ascii=False).encode()


@pytest.fixture
def corpus(tmp_path: Path) -> RequestFileCorpus:
    return RequestFileCorpus(path=str(tmp_path / "requests"))


def rows(corpus: RequestFileCorpus, key: str = "a") -> pa.Table:
    batches = corpus.read(key, ["custom_id", "body"])
    return pa.Table.from_batches([part.batch for part in batches], corpus.schema(key))


def test_each_file_is_a_partition(corpus, write):
    write("b.jsonl", a_line("r-1"))
    write("a.jsonl", a_line("r-0"), a_line("r-1"))

    assert corpus.partition_keys() == ["a", "b"]
    assert corpus.partitioning == StaticKeys(keys=("a", "b"))
    assert rows(corpus, "a").column("custom_id").to_pylist() == ["r-0", "r-1"]


def test_files_that_come_later_can_be_discovered(corpus, write, tmp_path):
    (tmp_path / "requests").mkdir()
    discovering = RequestFileCorpus(path=corpus.path, partitions="discovered")

    assert discovering.partitioning == DiscoveredKeys()
    assert discovering.partition_keys() == []
    write("a.jsonl", a_line())
    assert discovering.partition_keys() == ["a"]


def test_a_body_is_kept_byte_for_byte(corpus, write):
    body = '{"model" : "gpt-4.1-mini",  "messages":[], "seed":1e2, "\\u00e4":"é\\/", "b":1, "a":2}'
    rest = '"custom_id":"r-0","method":"POST","url":"/v1/chat/completions"}'
    write("a.jsonl", f'{{"body": {body} , {rest}'.encode())

    assert rows(corpus).column("body").to_pylist() == [body]


def test_the_url_and_the_model_are_those_of_the_first_line(corpus, write):
    write("b.jsonl", a_line(body=a_body(model="other")))
    write("a.jsonl", a_line())

    assert corpus.shape == RequestShape(url="/v1/chat/completions", model="gpt-4.1-mini")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_of_both_kinds_are_read(corpus, write, end):
    write("a.jsonl", a_line("r-0"), a_line("r-1"), end=end)

    assert rows(corpus).num_rows == 2


def test_a_last_line_without_its_end_is_whole_where_its_json_is(corpus, write):
    write("a.jsonl", a_line("r-0") + b"\n" + a_line("r-1"), end=b"")

    assert rows(corpus).column("custom_id").to_pylist() == ["r-0", "r-1"]


def test_a_packed_file_is_read_too(corpus, write):
    write("a.jsonl.gz", gzip.compress(a_line() + b"\n"), end=b"")

    assert rows(corpus).column("custom_id").to_pylist() == ["r-0"]


#: A second line that no provider takes, and what is said of it.
BAD_LINES = {
    "blank": (b"", "the line is blank; take it out"),
    "spaces": (b"  ", "the line is blank; take it out"),
    "half a line": (a_line()[:60], "truncated; write"),
    "no JSON": (b"request", "malformed"),
    "two objects": (a_line("r-1") + a_line("r-2"), "trailing"),
    "no object": (b"[1]", "Expected `object`"),
    "no UTF-8": (a_line().replace(b"H\xc3\xa4user", b"H\xe4user"), "'utf-8' codec"),
    "half a character": (a_line().replace(b"H\xc3\xa4user", rb"\ud800"), "hex escape"),
    "no custom_id": (a_line().replace(b"custom_id", b"id"), "`custom_id`|unknown field `id`"),
    "empty custom_id": (a_line(""), "custom_id is empty; give"),
    "a number as custom_id": (a_line(7), "Expected `str`, got `int`"),
    "another method": (a_line(method="GET"), "method is 'GET'; write POST"),
    "an unknown url": (a_line(url="/v1/chat"), "url '/v1/chat' is unknown; use one of /v1/chat/c"),
    "a field of our own": (a_line(note="x"), "unknown field `note`"),
    "a body that is text": (a_line(body="hello"), "Expected `object`, got `str`"),
    "no model": (a_line(body={"messages": []}), "missing required field `model`"),
    "streaming": (a_line(body=a_body(stream=True)), "stream is true, and a batch does not stream"),
    "another model": (a_line(body=a_body(model="other")), "'other', and in the corpus's first"),
    "another url": (a_line(url="/v1/responses"), "/v1/responses and .* put them into a corpus"),
    "nested too deeply": (b"[" * 100_000, "Expected `object`|recursion|truncated"),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_line_that_a_provider_would_refuse_is_refused_with_its_place(corpus, write, kind):
    line, said = BAD_LINES[kind]
    write("a.jsonl", a_line("r-0"), line, a_line("r-9"))

    with pytest.raises(CorpusError, match=rf"requests/a\.jsonl, line 2: .*({said})"):
        rows(corpus)


def test_another_model_in_another_file_is_refused_there(corpus, write):
    write("a.jsonl", a_line())
    write("b.jsonl", a_line(body=a_body(model="other")))

    with pytest.raises(CorpusError, match=r"b\.jsonl, line 1: url and model are .*'other'"):
        rows(corpus, "b")


def test_a_file_without_requests_has_no_shape(corpus, write):
    write("a.jsonl")

    with pytest.raises(CorpusError, match=r"a\.jsonl: no request is in it; fill it"):
        _ = corpus.shape


def test_a_bad_line_far_behind_is_named_by_its_number(corpus, write):
    lines = [a_line(f"r-{n}") for n in range(20_000)]
    write("a.jsonl", *lines[:19_998], b"", *lines[19_998:])

    with pytest.raises(CorpusError, match="line 19999: the line is blank"):
        rows(corpus)


def test_fifty_thousand_requests_come_in_small_batches(corpus, write):
    write("a.jsonl", *(a_line(f"r-{n}", body=a_body(user=f"u-{n}")) for n in range(50_000)))

    parts = list(corpus.read("a", ["custom_id", "body"]))

    assert max(part.batch.num_rows for part in parts) <= 1024
    ids = [id for part in parts for id in part.batch.column("custom_id").to_pylist()]
    assert ids == [f"r-{n}" for n in range(50_000)]
    assert parts[-1].positions[-1] == 49_999
    assert json.loads(parts[-1].batch.column("body")[-1].as_py()) == a_body(user="u-49999")


def test_there_are_two_columns_and_no_others(corpus, write):
    write("a.jsonl", a_line())

    with pytest.raises(CorpusError, match="has no column 'word'; it has custom_id, body"):
        next(corpus.read("a", ["word"]))


HOSTILE = ["'\"", "a\nb", "\0", "{{ x }}", "=cmd()", "\u202eabc", "👩‍👩‍👧", "}", "x" * 5_000_000]


def test_hostile_text_breaks_no_line_and_no_neighbour(corpus, write):
    write("a.jsonl", *(a_line(text, body=a_body(user=text)) for text in HOSTILE))

    found = rows(corpus)

    assert found.column("custom_id").to_pylist() == HOSTILE
    assert [json.loads(body)["user"] for body in found.column("body").to_pylist()] == HOSTILE


def test_a_line_that_no_provider_takes_for_its_length_ends_the_reading(corpus, write):
    write("a.jsonl", a_line(), b"x" * (129 * 1024 * 1024))

    with pytest.raises(CorpusError, match=r"a\.jsonl: a line is longer than 134,217,728 bytes"):
        rows(corpus)
