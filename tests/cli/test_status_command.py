"""`batch-assets status`: how partitions stand, read of the ledger alone."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import NOON, a_provider_batch, a_shard

from batch_assets.cli import main
from batch_assets.domain.batch import Account, Batch
from batch_assets.domain.budget import Budget
from batch_assets.domain.provider import Phase
from batch_assets.ledger import Ledger

Call = Callable[..., Result]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def ledger(url: str):
    ledger = Ledger.open(url, lambda: NOON)
    yield ledger
    ledger.close()


@pytest.fixture
def status(url: str) -> Call:
    return lambda *given: CliRunner().invoke(main, ["status", "--db-path", url, *given])


def rows_of(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["schema"] == "batch-assets/status/1"
    return found["rows"]


def planned(ledger: Ledger, inference: str = "words", partition: str = "p") -> Batch:
    """The one batch of a partition, ten requests of it."""
    request_set = ledger.request_sets.open(inference, partition, "d1", origin="o")
    ledger.plan(
        request_set,
        [a_shard(0)],
        wave=0,
        account=Account("openai"),
        endpoint="/v1/chat/completions",
        owner="planner",
    )
    [batch] = ledger.batches(partition=(inference, partition))
    return batch


def submitted(ledger: Ledger, **of: str) -> Batch:
    batch = planned(ledger, **of)
    held = ledger.reserve(batch, owner="run", lease=timedelta(minutes=1), budget=Budget())
    assert isinstance(held, Batch)
    ledger.record(held, a_provider_batch(f"batch-{batch.id}"), owner="run")
    return ledger.batch(batch.id)


def test_a_partition_says_where_it_stands(ledger, status):
    planned(ledger, partition="a")
    submitted(ledger, partition="b")

    found = {row["partition"]: row for row in rows_of(status("-o", "json"))}

    assert found["a"]["state"] == "waiting"
    assert found["a"]["planned_batches"] == 1
    assert (found["b"]["state"], found["b"]["open_batches"]) == ("open", 1)
    assert found["b"]["since"] == NOON.isoformat(timespec="seconds")


def test_a_partition_with_results_is_resolved_and_not_open(ledger, status):
    batch = submitted(ledger)
    ledger.request_sets.resolve(batch.request_set)

    assert [row["state"] for row in rows_of(status("words", "-o", "json"))] == ["resolved"]
    assert rows_of(status("words", "--open", "-o", "json")) == []


def test_of_a_cancelled_batch_what_the_provider_counted_is_completed(ledger, status):
    batch = submitted(ledger)
    cancelled = a_provider_batch(
        batch.provider_id, phase=Phase.ENDED, status="cancelled", completed=6, failed=1
    )
    ledger.end(batch, cancelled, owner="sensor")

    [row] = rows_of(status("-o", "json"))

    assert (row["requests"], row["completed"], row["failed"]) == (10, 6, 1)


def test_only_what_is_named_is_shown(ledger, status):
    planned(ledger, inference="words", partition="a")
    planned(ledger, inference="words", partition="b")
    planned(ledger, inference="verbs", partition="a")

    named = rows_of(status("words", "--partition", "b", "-o", "json"))

    assert [(row["inference"], row["partition"]) for row in named] == [("words", "b")]
    assert len(rows_of(status("-o", "json"))) == 3


def test_a_line_of_jsonl_is_a_row_with_its_schema(ledger, status):
    planned(ledger, partition="a")
    planned(ledger, partition="b")

    lines = [json.loads(line) for line in status("-o", "jsonl").stdout.splitlines()]

    assert [line["partition"] for line in lines] == ["a", "b"]
    assert {line["schema"] for line in lines} == {"batch-assets/status/1"}


def test_a_table_has_every_partition_whole(ledger, status):
    planned(ledger, partition="2026-11/a rather long name of a partition")

    shown = status().stdout

    assert "2026-11/a rather long name of a partition" in shown
    assert "waiting" in shown


def test_text_of_a_corpus_steers_no_terminal(ledger, status):
    planned(ledger, partition="[red]\x1b[31mx")

    shown = status().stdout

    assert "\x1b" not in shown
    assert "[red]" in shown


@pytest.mark.usefixtures("ledger")
def test_an_empty_ledger_has_nothing_to_show(status):
    assert rows_of(status("-o", "json")) == []
    shown = status()
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert "no partitions" in shown.stderr


def test_an_inference_that_is_not_there_is_named_with_those_that_are(ledger, status):
    planned(ledger)

    refused = status("wrods")

    assert refused.exit_code == 3
    assert refused.stderr == "Error: the ledger has no wrods; inferences it has: words\n"


def test_a_pipe_that_closes_ends_it_quietly(ledger, url):
    for number in range(300):
        planned(ledger, partition=f"{number:>04}")
    command = [sys.executable, "-m", "batch_assets.cli", "status", "--db-path", url, "-o", "jsonl"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate()

    assert (process.returncode, said) == (141, b"")
