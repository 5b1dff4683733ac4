"""How rows become requests: cut into shards, shared by equal rows, left out where too large."""

import hashlib

import pytest
from factories import a_table
from stage_store import column, json_body, layout_of, lines

from batch_assets.domain.shard import Limits
from batch_assets.files import Files

# Shards


@pytest.mark.parametrize(("rows", "sizes"), [(8, [4, 4]), (9, [4, 4, 1]), (1, [1])])
def test_a_shard_holds_as_many_requests_as_the_limit(prepared, rows, sizes):
    manifest = prepared(rows, limits=Limits(requests=4, bytes=10**6))

    assert [shard.requests for shard in manifest.shards] == sizes


@pytest.mark.parametrize(("spare", "size"), [(0, 3), (-1, 2), (1, 3)])
def test_a_shard_is_filled_to_the_last_byte_and_no_further(prepared, tmp_path, spare, size):
    line = prepared(9).shards[0].bytes // 9

    cut = prepared(
        9, limits=Limits(requests=100, bytes=3 * line + spare), into=Files(str(tmp_path / "b"))
    )

    assert {shard.requests for shard in cut.shards[:-1]} == {size}
    assert all(shard.bytes <= 3 * line + spare for shard in cut.shards)


@pytest.mark.parametrize(("spare", "size"), [(0, 3), (-1, 2), (1, 3)])
def test_a_shard_is_filled_to_the_last_token_and_no_further(prepared, tmp_path, spare, size):
    request = prepared(9).tokens // 9
    limits = Limits(requests=100, bytes=10**6, tokens=3 * request + spare)

    cut = prepared(9, limits=limits, into=Files(str(tmp_path / "b")))

    assert {shard.requests for shard in cut.shards[:-1]} == {size}
    assert all(shard.tokens <= 3 * request + spare for shard in cut.shards)


def test_shards_follow_each_other_without_a_gap(prepared):
    manifest = prepared(11, limits=Limits(requests=3, bytes=10**6))

    assert [(s.number, s.first_ordinal, s.last_ordinal) for s in manifest.shards] == [
        (0, 0, 2),
        (1, 3, 5),
        (2, 6, 8),
        (3, 9, 10),
    ]


def test_the_manifest_names_each_file_by_its_checksum(prepared, files):
    manifest = prepared(11, limits=Limits(requests=3, bytes=10**6))

    for shard in manifest.shards:
        stored = files.read(shard.path)
        assert (shard.sha256, shard.bytes) == (hashlib.sha256(stored).hexdigest(), len(stored))
    assert manifest.items_sha256 == files.checksum(layout_of(manifest).items).sha256


def test_custom_ids_carry_the_request_set_and_the_ordinal(prepared, files):
    """Row 24: no id is there twice, in no shard and over all of them."""
    manifest = prepared(7, limits=Limits(requests=3, bytes=10**6))

    ids = [line["custom_id"] for line in lines(files, manifest)]

    assert ids == [f"{manifest.digest[:16]}-{ordinal}" for ordinal in range(7)]


def test_a_row_in_any_script_arrives_as_it_is(prepared, files):
    words = ["Ёлка", "木\u2028の\u0085日", "🌲\n\r\t", '"\\{{ word }}', "עֵץ", "\x00\x1f", "e\u0301"]

    manifest = prepared(a_table(7, word=words), system=None, user="{{ word }}")

    assert [line["body"]["messages"][0]["content"] for line in lines(files, manifest)] == words


# Items that share a request


def test_equal_rows_share_one_request_also_across_shards(prepared, files):
    words = ["a", "b", "a", "c", "b", "a"]

    manifest = prepared(a_table(6, word=words), limits=Limits(requests=1, bytes=10**6))

    assert (manifest.items, manifest.requests, manifest.duplicates) == (6, 3, 3)
    assert column(files, manifest, "item_id") == [f"i-{row}" for row in range(6)]
    assert column(files, manifest, "ordinal") == [0, 1, 0, 2, 1, 0]
    assert column(files, manifest, "is_duplicate") == [False, False, True, False, True, True]
    assert column(files, manifest, "source_item_index") == [0, 1, 2, 3, 4, 5]


def test_rows_that_render_alike_share_one_request(prepared, files):
    words = ["Oak", "oak", "OAK ", "elm"]

    manifest = prepared(a_table(4, word=words), user="{{ word | lower | trim }}")

    assert (manifest.requests, manifest.duplicates) == (2, 2)
    assert column(files, manifest, "ordinal") == [0, 0, 0, 1]
    assert len({line["custom_id"] for line in lines(files, manifest)}) == 2


def test_a_fingerprint_is_of_url_and_body_and_of_nothing_else(prepared, files):
    manifest = prepared(a_table(3, word=["a", "b", "a"]))
    bodies = [json_body(line) for line in files.read(manifest.shards[0].path).splitlines()]

    asked = [b"/v1/chat/completions" + bodies[ordinal] for ordinal in (0, 1, 0)]
    expected = [hashlib.sha256(each).digest()[:16] for each in asked]
    assert column(files, manifest, "fingerprint") == expected


# What no batch can hold


def test_an_item_too_large_for_any_batch_is_left_out_alone(prepared, files):
    words = ["a", "b" * 5000, "c", "b" * 5000]

    manifest = prepared(a_table(4, word=words), limits=Limits(requests=10, bytes=2000))

    assert (manifest.requests, manifest.oversize, manifest.duplicates) == (2, 1, 1)
    assert column(files, manifest, "ordinal") == [0, None, 1, None]
    assert len(lines(files, manifest)) == 2


def test_an_item_of_exactly_the_limit_is_sent(prepared, tmp_path):
    size = prepared(1).shards[0].bytes
    exact, short = (Limits(requests=1, bytes=size - less) for less in (0, 1))

    assert prepared(1, limits=exact, into=Files(str(tmp_path / "exact"))).oversize == 0
    assert prepared(1, limits=short, into=Files(str(tmp_path / "short"))).oversize == 1


def test_a_partition_of_oversize_items_has_no_shard(prepared):
    manifest = prepared(3, limits=Limits(requests=10, bytes=10))

    assert (manifest.items, manifest.oversize, manifest.shards) == (3, 3, ())
