"""A partition's whole way with its corpus and its store in a bucket."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
from corpus_files import content_of
from factories import a_table

from batch_assets.corpus import FileCorpus
from batch_assets.domain.errors import ArtifactError
from batch_assets.stages.export import export
from batch_assets.stages.read import read_results

ROWS = 300

#: Partitions by what is left of their files' names; each file is of another format.
PARTITIONS = {
    "ünï/a b 👩‍👩‍👧": "parquet",
    "100%+&=#?[x]*'\"": "csv.gz",
    "x..y.z%2F": "jsonl",
}


@pytest.fixture
def corpus(bucket, monkeypatch) -> FileCorpus:
    """Three partitions of the same ids with other words."""
    monkeypatch.setitem(fsspec.config.conf, "s3", bucket.options)
    for key, ending in PARTITIONS.items():
        words = [f"{key} {row}" for row in range(ROWS)]
        bucket.put(f"corpus/{key}.{ending}", content_of(a_table(ROWS, word=words), ending))
    return FileCorpus(path=f"{bucket.url}/corpus/**", item_id="id")


def executed(world) -> int:
    return world.executions["requests_executed"]


def test_partitions_of_any_name_go_from_bucket_to_bucket(bucket, corpus, world_of):
    assert corpus.partition_keys() == sorted(PARTITIONS)

    for key in PARTITIONS:
        world = world_of(corpus, f"{bucket.url}/store", key)
        resolution = world.carry()
        folder, bundle = export(world.deployment, world.request_set)

        assert resolution.summary.outcomes == {"ok": ROWS}
        assert world.column("partition_key") == [key] * ROWS
        assert world.column("item_id") == [f"i-{row}" for row in range(ROWS)]
        with world.files.open(f"{folder}/results.parquet") as source:
            assert pq.read_table(source).equals(world.table())
        assert world.files.checksum(f"{folder}/results.parquet").sha256 == bundle.files[0].sha256

    page = read_results(world.deployment, world.recipe, limit=3 * ROWS)
    assert sorted(set(page.column("partition_key").to_pylist())) == sorted(PARTITIONS)
    assert page.num_rows == 3 * ROWS
    assert executed(world) == 3 * ROWS


def test_all_results_in_a_bucket_are_one_data_set(bucket, corpus, world_of):
    for key in PARTITIONS:
        world = world_of(corpus, f"{bucket.url}/store", key)
        world.carry()

    whole = pq.read_table(
        f"{bucket.url.removeprefix('s3://')}/store/words/results", filesystem=bucket.elsewhere()
    )

    assert whole.num_rows == 3 * ROWS


def test_of_a_changed_row_in_a_bucket_one_request_is_sent(bucket, corpus, world_of):
    key, ending = next(iter(PARTITIONS.items()))
    world = world_of(corpus, f"{bucket.url}/store", key)
    world.carry()
    words = [f"{key} {row}" for row in range(ROWS)]
    words[7] = "changed"
    bucket.put(f"corpus/{key}.{ending}", content_of(a_table(ROWS, word=words), ending))

    world.carry()

    assert executed(world) == ROWS + 1
    assert [row for row, ran in enumerate(world.column("executions")) if ran] == [7]


def test_an_object_that_was_touched_moved_and_copied_sends_nothing(bucket, corpus, world_of):
    key, ending = next(iter(PARTITIONS.items()))
    world_of(corpus, f"{bucket.url}/store", key).carry()
    elsewhere = bucket.elsewhere()
    content = elsewhere.cat_file(f"{bucket.url}/corpus/{key}.{ending}")
    bucket.put(f"moved/touched.{ending}", content)
    moved = FileCorpus(path=f"{bucket.url}/moved", item_id="id")

    world = world_of(moved, f"{bucket.url}/store", "touched")
    world.carry()

    assert executed(world) == ROWS
    assert world.column("outcome") == ["ok"] * ROWS


def test_a_stored_object_that_was_deleted_is_missed_by_its_name(bucket, corpus, world_of):
    key = next(iter(PARTITIONS))
    world = world_of(corpus, f"{bucket.url}/store", key)
    world.carry()
    bucket.elsewhere().rm_file(world.files.url(world.layout.items))

    with pytest.raises(ArtifactError, match=r"s3://.*/items\.parquet is missing from the store"):
        world.advance()


#: Where a process dies, and what it was about to do.
KILLED = {
    "manifest.json begun": ["submit"],
    "wave-0-shard-00000-attempt-1.output.jsonl begun": ["poll", "advance"],
    "p.parquet written": ["poll", "advance"],
}


@pytest.mark.parametrize("place", KILLED)
def test_another_process_goes_on_where_one_was_killed(
    place, bucket, world_of, tmp_path, monkeypatch
):
    monkeypatch.setitem(fsspec.config.conf, "s3", bucket.options)
    bucket.put("corpus/p.parquet", content_of(a_table(ROWS), "parquet"))
    corpus = FileCorpus(path=f"{bucket.url}/corpus", item_id="id")
    world = world_of(corpus, f"{bucket.url}/store", "p")
    if "advance" in KILLED[place]:
        world.submit()
        world.clock.advance(100)

    killed = run_killed(world, corpus, bucket.options, tmp_path, place)
    world.lease_over()
    world.carry()

    assert killed == -signal.SIGKILL
    assert world.column("outcome") == ["ok"] * ROWS
    assert executed(world) == ROWS
    assert not [name for name in bucket.names() if ".new-" in name]


def run_killed(world, corpus, options, folder: Path, place: str) -> int:
    """How a process ended that was to die at a place."""
    facts = {
        "root": world.files.root,
        "corpus": corpus.path,
        "partition_key": world.partition_key,
        "ledger": f"sqlite:///{folder / 'ledger.sqlite3'}",
        "base_url": world.sandbox.base_url,
        "now": world.clock.now(),
        "verbs": KILLED[place],
        "kill_at": place,
    }
    here = Path(__file__)
    paths = [here.parents[1], here.parents[1] / "stages", os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, here.with_name("killed_process.py"), json.dumps(facts)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "FSSPEC_S3": json.dumps(options),
        },
    ).returncode
