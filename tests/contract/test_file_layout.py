"""Where files lie: a place for each, whatever a partition is called."""

from pathlib import Path

import pyarrow.dataset as ds
import pytest
from factories import a_batch, a_table
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.request import RequestSetDigest
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.layout import file_name, results_path
from batch_assets.files.parquet import create_parquet

#: Partition keys that would lead elsewhere, or to each other, if they were paths.
WEIRD_KEYS = [
    "a",
    "A",
    "a.",
    "a ",
    " a",
    "a/b",
    "a\\b",
    "a%2Fb",
    "/etc/passwd",
    "..",
    "../..",
    "../../outside",
    ".",
    ".new-1",
    "_hidden",
    "%5Fhidden",
    "",
    "%empty",
    "CON",
    "nul.txt",
    "a\x00b",
    "a\nb",
    "key=value",
    "~",
    "~root",
    "*",
    "?",
    "[a]",
    "dé",
    "de\u0301",
    "😀",
    "x" * 300,
    "x" * 301,
    "é" * 300,
]


def a_layout(partition_key: str = "p") -> RequestSetLayout:
    digest = RequestSetDigest("0123456789abcdef" * 4)
    return RequestSetLayout(inference="words", partition_key=partition_key, digest=digest)


@pytest.fixture
def local(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "store"))


@pytest.mark.parametrize("root", ["{}/store", "memory://{}"])
def test_partitions_of_any_name_have_files_of_their_own(root, tmp_path):
    files = Files(root.format(tmp_path))

    for number, key in enumerate(WEIRD_KEYS):
        files.write(a_layout(key).manifest, str(number).encode())

    found = [int(files.read(a_layout(key).manifest)) for key in WEIRD_KEYS]

    assert found == list(range(len(WEIRD_KEYS)))


@pytest.mark.parametrize("key", WEIRD_KEYS, ids=ascii)
def test_no_partition_key_leads_out_of_the_root(local, tmp_path, key):
    layout = a_layout(key)

    for path in (layout.manifest, layout.results, layout.bundle("f" * 64)):
        local.write(path, b"")

    written = {found for found in tmp_path.rglob("*") if found.is_file()}
    assert len(written) == 3
    assert all(path.is_relative_to(tmp_path / "store" / "words") for path in written)


@given(st.text())
def test_the_file_name_of_any_key_is_one_plain_segment(key):
    name = file_name(key)

    assert name.isascii()
    assert name.isprintable()
    assert 0 < len(name) <= 200
    assert not set(name) & set('/\\ :*?"<>|')
    assert not name.startswith((".", "_"))


@given(st.lists(st.text(max_size=4) | st.text("a/%._~é", max_size=400), unique=True))
def test_different_keys_have_different_names(keys):
    assert len({file_name(key) for key in keys}) == len(keys)


@pytest.mark.parametrize("key", ["2026-11-21", "glosses-00", "de_DE", "a.b~c"])
def test_a_plain_key_is_its_own_name(key):
    assert file_name(key) == key


def test_the_results_of_all_partitions_are_one_data_set(local):
    """Readers of data sets leave out names that begin with a dot or an underscore."""
    keys = ["_a", ".b", "c"]
    table = a_table(1)
    for key in keys:
        with create_parquet(local, results_path("words", key), table.schema) as sink:
            sink.write(table.to_batches()[0])

    assert ds.dataset(local.url("words/results")).count_rows() == len(keys)


def test_every_file_of_a_request_set_has_a_place_of_its_own():
    layout = a_layout()
    batches = [a_batch(shard=s, wave=w, attempt=a) for s in (0, 1) for w in (0, 1) for a in (1, 2)]
    paths = [
        layout.manifest,
        layout.items,
        layout.results,
        *(layout.wave_manifest(wave) for wave in (0, 1)),
        *(layout.shard(wave, number) for wave in (0, 1) for number in (0, 1, 100_000)),
        *(layout.raw_output(batch) for batch in batches),
        *(layout.raw_errors(batch) for batch in batches),
    ]

    assert len(set(paths)) == len(paths)
    assert all(path.startswith("words/") for path in paths)
    assert all(layout.raw_output(b).startswith(layout.raw_outputs) for b in batches)


def test_other_requests_of_a_partition_lie_elsewhere_and_its_results_in_one_place():
    one = a_layout()
    other = RequestSetLayout(
        inference="words", partition_key="p", digest=RequestSetDigest("f" * 64)
    )

    assert one.manifest != other.manifest
    assert one.results == other.results
    assert one.bundle("a" * 64) != one.bundle("b" * 64)
