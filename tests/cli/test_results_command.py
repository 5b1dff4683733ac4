"""`batch-assets results`: as a file or as lines, all that is done or what is final of it so far."""

import csv
import gzip
import io
import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from stage_world import LATENCY

from batch_assets.domain.budget import Budget
from batch_assets.domain.shard import Limits

TWO_ROWS = Limits(requests=2, bytes=10**6)


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def half_done(a_world, sandbox, provider_at):
    """Of three items, the first two are collected, and the third is at the provider."""
    world = a_world(3, limits=TWO_ROWS, via=provider_at(sandbox.base_url, budget=Budget(batches=1)))
    world.submit()
    world.poll(LATENCY)
    world.advance()
    assert world.states == ["collected", "submitted"]
    return world


def test_results_are_lines_of_json_on_stdout(a_world, call):
    world = a_world(3)
    world.carry()

    found = rows(call("results", "words").stdout)

    assert [row["item_id"] for row in found] == ["i-0", "i-1", "i-2"]
    assert [row["output"] for row in found] == world.column("output")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (
            "r.parquet",
            lambda raw: [r["item_id"] for r in pq.read_table(io.BytesIO(raw)).to_pylist()],
        ),
        ("r.csv", lambda raw: [r["item_id"] for r in csv.DictReader(io.StringIO(raw.decode()))]),
        (
            "r.tsv",
            lambda raw: [
                r["item_id"] for r in csv.DictReader(io.StringIO(raw.decode()), delimiter="\t")
            ],
        ),
        ("r.jsonl.gz", lambda raw: [r["item_id"] for r in rows(gzip.decompress(raw).decode())]),
    ],
)
def test_the_ending_of_the_file_says_its_format(a_world, call, tmp_path, name, read):
    a_world(3).carry()

    written = call("results", "words", "--output", tmp_path / name)

    assert (written.exit_code, written.stdout) == (0, "")
    assert "3 results written" in written.stderr
    assert read((tmp_path / name).read_bytes()) == ["i-0", "i-1", "i-2"]


def test_a_file_that_is_there_stays_unless_it_may_be_overwritten(a_world, call, tmp_path):
    a_world(3).carry()
    path = tmp_path / "r.csv"
    path.write_text("mine")

    refused = call("results", "words", "--output", path)
    kept = path.read_text()
    allowed = call("results", "words", "--output", path, "--overwrite")

    assert (refused.exit_code, kept) == (1, "mine")
    assert "--overwrite" in refused.stderr
    assert allowed.exit_code == 0
    assert path.read_text() != "mine"


def test_a_limit_is_kept_over_partitions(a_world, call):
    a_world(3, partition_key="a").carry()
    a_world(3, partition_key="b", user="Other {{ word }}").carry()

    found = rows(call("results", "words", "--limit", 4).stdout)

    assert [(row["partition_key"], row["item_id"]) for row in found] == [
        ("a", "i-0"),
        ("a", "i-1"),
        ("a", "i-2"),
        ("b", "i-0"),
    ]


def test_partitions_without_results_are_named_and_end_it_with_4(a_world, call):
    a_world(3, partition_key="a").carry()
    a_world(2, partition_key="b", user="Other {{ word }}").submit()

    found = call("results", "words")

    assert len(rows(found.stdout)) == 3
    assert found.exit_code == 4
    assert "1 partitions have no results yet: b" in found.stderr


def test_where_nothing_is_done_it_ends_with_3_and_says_how_to_go_on(a_world, call, tmp_path):
    a_world(3).submit()

    refused = call("results", "words", "--output", tmp_path / "r.csv")

    assert refused.exit_code == 3
    assert "batch-assets wait words" in refused.stderr
    assert not (tmp_path / "r.csv").exists()


def test_what_is_final_is_read_before_the_end(half_done, call, code_location):
    found = rows(call("results", "words", "--after-sequence", 0, "-m", code_location).stdout)

    assert [(row["sequence"], row["item_id"]) for row in found] == [(1, "i-0"), (2, "i-1")]


def test_the_code_location_says_where_the_results_are(a_world, call, code_location):
    a_world(3).carry()

    assert len(rows(call("results", "words", "-m", code_location).stdout)) == 3


def test_it_goes_on_behind_the_last_sequence_that_was_read(a_world, call, code_location):
    a_world(3).carry()

    def after(number: int, *given: object) -> list[object]:
        command = ("results", "words", "--after-sequence", number, "-m", code_location, *given)
        return [row["sequence"] for row in rows(call(*command).stdout)]

    assert after(0, "--limit", 2) == [1, 2]
    assert after(2) == [3]
    assert after(3) == []


def test_a_file_is_appended_to_from_where_it_ends(half_done, call, code_location, tmp_path):
    path = tmp_path / "follow.jsonl"
    command = ("results", "words", "--append", "--output", path, "-m", code_location)

    first = call(*command, "--limit", 1)
    second = call(*command)
    half_done.finish()
    third = call(*command)

    assert [each.exit_code for each in (first, second, third)] == [0, 0, 0]
    assert [row["item_id"] for row in rows(path.read_text())] == ["i-0", "i-1", "i-2"]
    assert [row["sequence"] for row in rows(path.read_text())] == [1, 2, 3]


def test_a_file_of_something_else_is_not_appended_to(a_world, call, code_location, tmp_path):
    a_world(3).carry()
    path = tmp_path / "mine.jsonl"
    path.write_text('{"a":1}\n')

    refused = call("results", "words", "--append", "--output", path, "-m", code_location)

    assert refused.exit_code == 1
    assert "is no export of results" in refused.stderr
    assert path.read_text() == '{"a":1}\n'


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--append"], "name it with --output"),
        (["--overwrite"], "name it with --output"),
        (["--append", "--overwrite", "--output", "r.jsonl"], "give one of them"),
        (["--append", "--after-sequence", "3", "--output", "r.jsonl"], "--after-sequence"),
        (["--append", "--output", "r.csv"], ".jsonl"),
        (["--limit", "0"], "--limit"),
        (["--after-sequence", "-1"], "--after-sequence"),
    ],
)
def test_wrong_use_ends_with_2(a_world, call, given, said):
    a_world(3).carry()

    refused = call("results", "words", *given)

    assert refused.exit_code == 2
    assert said in refused.stderr


def test_an_ending_that_says_no_format_is_named_with_those_that_do(a_world, call, tmp_path):
    a_world(3).carry()

    refused = call("results", "words", "--output", tmp_path / "r.xlsx")

    assert refused.exit_code == 1
    assert ".parquet" in refused.stderr
    assert not (tmp_path / "r.xlsx").exists()


def process(db_path, files, *given: str, **how) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "batch_assets.cli", "results", "words", *given]
    command += ["--db-path", str(db_path), "--root", files.root]
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, **how)


def test_a_full_disk_is_one_line(a_world, db_path, files):
    a_world(3).carry()

    with open("/dev/full", "wb") as full:
        ended = process(db_path, files, stdout=full)

    assert ended.returncode == 1
    assert ended.stderr == b"Error: No space left on device\n"


def test_a_reader_that_goes_away_ends_it_quietly(a_world, db_path, files):
    a_world(3).carry()
    command = [sys.executable, "-m", "batch_assets.cli", "results", "words"]
    command += ["--db-path", str(db_path), "--root", files.root]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.close()
        _, said = running.communicate()

    assert (running.returncode, said) == (141, b"")


def test_a_disk_that_is_full_on_the_way_leaves_no_half_file(a_world, db_path, files, tmp_path):
    a_world(300).carry()
    path = tmp_path / "r.jsonl"
    # No process may write a longer file: what a full disk does, without one.
    limits = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); "
    program = limits + "from batch_assets.cli import main; main()"
    command = [sys.executable, "-c", program, "results", "words", "--output", str(path)]

    ended = subprocess.run(
        [*command, "--db-path", str(db_path), "--root", files.root],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: ")
    assert ended.stderr.count("\n") == 1
    assert [each.name for each in tmp_path.iterdir() if "r.jsonl" in each.name] == []
