"""Every line of batchor's command line documentation, in our terms.

Theirs: docs/getting-started/cli.md and "CLI quickstart" of the README, AnsonDev42/batchor 45e420e.
"""

import csv

import pytest
from typed_lines import OFTEN, Terminal

from batch_assets.sandbox import ItemError, Refusal, Stuck

START = (
    "batch-assets start --input input/items.jsonl --id-field id --prompt-field text --model gpt-4.1"
)
TWO_FILES = (
    "batch-assets start --input input/items-a.csv --input input/items-b.jsonl --id-field id "
    "--prompt-field text --model gpt-4.1"
)


@pytest.fixture
def desk(terminal: Terminal) -> Terminal:
    """The files of batchor's pages; items-a and items-b both have an id 2."""
    terminal.write("input/items.jsonl", '{"id": 1, "text": "one"}\n{"id": 2, "text": "two"}\n')
    terminal.write("input/items.csv", "id,text\n1,one\n2,two\n")
    terminal.write("input/items-a.csv", "id,text\n1,one\n2,two\n")
    terminal.write("input/items-b.jsonl", '{"id": 2, "text": "zwei"}\n{"id": 3, "text": "drei"}\n')
    return terminal


# Local setup


def test_a_key_in_dot_env_is_enough(desk: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a provider whose address is in the environment, too, so that nobody else is called."""
    for name in ("BATCH_ASSETS_DEPLOYMENT", "XEROTIER_API_KEY", "XEROTIER_BASE_URL"):
        monkeypatch.setenv(name, "is restored afterwards")
        monkeypatch.delenv(name)
    address = f"{desk.sandbox.origin}/xerotier/proj_1/v1"
    refused = desk.run(START, "--provider xerotier")
    desk.write(".env", f"XEROTIER_API_KEY=sk-test\nXEROTIER_BASE_URL={address}\n")

    [row] = desk.rows(START, "--provider xerotier")

    assert refused.exit_code == 2
    assert row["open_batches"] == 1


# Start


def test_start_from_jsonl_sends_and_ends(desk: Terminal) -> None:
    [row] = desk.rows(START)

    assert (row["inference"], row["fate"], row["requests"]) == ("items", "pending", 2)
    assert [each["body"]["messages"][-1]["content"] for each in desk.asked("items")] == [
        "one",
        "two",
    ]


def test_start_from_csv_with_a_template(desk: Terminal) -> None:
    desk.rows(
        "batch-assets start --input input/items.csv --id-field id "
        "--prompt-template 'Summarize: {{ text }}' --model gpt-4.1"
    )

    assert [each["body"]["messages"][-1]["content"] for each in desk.asked("items")] == [
        "Summarize: one",
        "Summarize: two",
    ]


def test_a_template_of_theirs_is_refused_before_anything_is_sent(desk: Terminal) -> None:
    refused = desk.run(
        "batch-assets start --input input/items.csv --id-field id "
        "--prompt-template 'Summarize: {text}' --model gpt-4.1"
    )

    assert refused.exit_code == 2
    assert "reads no field" in refused.stderr
    assert desk.executed["requests_executed"] == 0


def test_start_at_anthropic(desk: Terminal) -> None:
    [row] = desk.rows(
        "batch-assets start --input input/items.jsonl --id-field id --prompt-field text "
        "--provider anthropic --model claude-sonnet-4-5 --set max_tokens=1024 "
        "--set 'stop_sequences=[\"END\"]'",
        f"--wait {OFTEN}",
    )

    assert row["outcomes"] == {"ok": 2}
    asked = [each["params"] for each in desk.asked("items")]
    assert [(each["max_tokens"], each["stop_sequences"]) for each in asked] == [(1024, ["END"])] * 2


def test_start_at_gemini(desk: Terminal) -> None:
    [row] = desk.rows(
        "batch-assets start --input input/items.jsonl --id-field id --prompt-field text "
        "--provider gemini --model gemini-2.5-flash --set temperature=0.2",
        f"--wait {OFTEN}",
    )

    assert row["outcomes"] == {"ok": 2}


def test_start_at_the_endpoint_that_is_their_default(desk: Terminal) -> None:
    [row] = desk.rows(
        "batch-assets start --input input/items.jsonl --id-field id --prompt-field text "
        '--endpoint responses --model gpt-5-mini --set \'reasoning={"effort": "low"}\' --wait',
        OFTEN,
    )

    assert row["outcomes"] == {"ok": 2}
    assert [each["body"]["reasoning"] for each in desk.asked("items")] == [{"effort": "low"}] * 2


def test_several_inputs_with_an_equal_id_are_refused_with_both_rows(desk: Terminal) -> None:
    refused = desk.run(TWO_FILES)

    assert refused.exit_code == 1
    assert "items-a.csv, row 1" in refused.stderr
    assert "items-b.jsonl, row 0" in refused.stderr
    assert desk.executed["requests_executed"] == 0


def test_several_inputs_with_an_equal_id_are_told_apart_by_namespaces(desk: Terminal) -> None:
    [row] = desk.rows(
        "batch-assets start --input input/items-a.csv --input input/items-b.jsonl --namespace a "
        "--namespace b --id-field id --prompt-field text --model gpt-4.1 --wait",
        OFTEN,
    )
    desk.run(f"batch-assets results {row['inference']} --output both.jsonl")

    assert [
        (each["item_id"], each["source_namespace"], each["source_primary_key"])
        for each in desk.read("both.jsonl")
    ] == [("a:1", "a", "1"), ("a:2", "a", "2"), ("b:2", "b", "2"), ("b:3", "b", "3")]


def test_inputs_in_another_order_are_another_inference(desk: Terminal) -> None:
    desk.write("input/items-b.jsonl", '{"id": 3, "text": "drei"}\n')
    desk.run(TWO_FILES, "--run-id both")

    refused = desk.run(
        "batch-assets start --input input/items-b.jsonl --input input/items-a.csv --id-field id "
        "--prompt-field text --model gpt-4.1 --run-id both"
    )

    assert refused.exit_code == 2
    assert "both was started otherwise: --input is" in refused.stderr


def test_start_with_structured_output(desk: Terminal) -> None:
    desk.write("your_package/__init__.py", "")
    desk.write(
        "your_package/models.py",
        "from typing import Literal\n\nfrom pydantic import BaseModel\n\n\n"
        "class ClassificationResult(BaseModel):\n    label: Literal['spam', 'ham']\n",
    )

    [row] = desk.rows(
        "batch-assets start --input input/items.jsonl --id-field id --prompt-field text "
        "--structured-output-class your_package.models:ClassificationResult "
        "--schema-name classification_result --model gpt-4.1",
        f"--wait {OFTEN}",
    )
    desk.run("batch-assets results items --output results.jsonl")

    assert row["outcomes"] == {"ok": 2}
    assert {each["output"]["label"] for each in desk.read("results.jsonl")} <= {"spam", "ham"}
    asked = desk.asked("items")[0]["body"]["response_format"]["json_schema"]
    assert asked["name"] == "classification_result"


def test_a_schema_name_is_for_a_class_and_not_for_what_has_one(desk: Terminal) -> None:
    desk.write("answers.py", "import batch_assets as ba\n\nMood = ba.Labels('good', 'bad')\n")

    refused = desk.run(START, "--structured-output-class answers:Mood --schema-name mood")

    assert refused.exit_code == 2
    assert "answers:Mood has a name of its own: leave out --schema-name" in refused.stderr


# Go on with it

PINNED = (
    "batch-assets start --input input/items.jsonl --id-field id --prompt-field text "
    "--model gpt-4.1 --run-id customer_export_20260403 --wait"
)


def test_a_run_that_was_killed_goes_on_under_its_name(desk: Terminal) -> None:
    desk.sandbox.state.change_settings({"latency": 1.5})
    desk.kill_when("of 2 requests", PINNED, OFTEN)

    [row] = desk.rows("batch-assets start --run-id customer_export_20260403 --wait", OFTEN)
    [again] = desk.rows(PINNED, OFTEN)

    assert row["outcomes"] == again["outcomes"] == {"ok": 2}
    assert desk.executed["requests_executed"] == desk.executed["distinct_bodies"] == 2


def test_the_ledger_may_be_any_database(desk: Terminal) -> None:
    desk.rows(
        "batch-assets start --input input/items.jsonl --id-field id --prompt-field text "
        "--model gpt-4.1 --db-path state.sqlite3"
    )

    [row] = desk.rows("batch-assets status items --db-path state.sqlite3")

    assert (desk.folder / "state.sqlite3").exists()
    assert row["inference"] == "items"
    assert desk.rows("batch-assets status") == []


# Inspect and operate


@pytest.fixture
def started(desk: Terminal) -> Terminal:
    desk.rows(START)
    return desk


@pytest.fixture
def done(desk: Terminal) -> Terminal:
    desk.rows(START, f"--wait {OFTEN}")
    return desk


def test_status_reads_the_ledger_and_asks_nobody(started: Terminal) -> None:
    called = started.faults.called("*")

    [row] = started.rows("batch-assets status items")

    assert (row["partition"], row["requests"]) == ("all", 2)
    assert started.faults.called("*") == called


def test_wait_ends_with_all_results(started: Terminal) -> None:
    [row] = started.rows("batch-assets wait items", OFTEN)

    assert (row["fate"], row["items"], row["ok"]) == ("resolved", 2, 2)


def test_wait_no_longer_than_asked_ends_with_a_code_of_its_own(desk: Terminal) -> None:
    desk.faults.batches(Stuck())
    desk.rows(START)

    ended = desk.run("batch-assets wait items --timeout 0 --every 30")

    assert ended.exit_code == 7
    assert "batch-assets wait items" in ended.stderr


def test_results_are_written_to_a_file_and_never_over_another(done: Terminal) -> None:
    line = "batch-assets results items --output results.jsonl"
    first = done.run(line)
    content = done.read("results.jsonl")
    second = done.run(line)

    assert (first.exit_code, second.exit_code) == (0, 1)
    assert [each["item_id"] for each in content] == ["1", "2"]
    assert "--overwrite" in second.stderr


def test_results_are_a_table_where_the_file_is_one(done: Terminal) -> None:
    done.run("batch-assets results items --output results.csv.gz")
    done.run("batch-assets results items --output results.csv")

    with (done.folder / "results.csv").open() as file:
        assert [each["item_id"] for each in csv.DictReader(file)] == ["1", "2"]
    assert (done.folder / "results.csv.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_what_is_final_is_there_before_the_end(desk: Terminal) -> None:
    """One item fails and is asked again, in a batch that never ends."""
    desk.faults.items(ItemError(), containing="two", times=1)
    desk.faults.batches(Stuck(at=0.0), after=1)
    desk.rows(START)
    desk.run("batch-assets wait items --timeout 1", OFTEN)

    found = desk.run("batch-assets results items --after-sequence 0")
    appended = desk.run("batch-assets results items --append --output follow.jsonl")

    assert [each["item_id"] for each in desk.read("follow.jsonl")] == ["1"]
    assert found.stdout.count("\n") == 1
    assert appended.exit_code == 0
    assert desk.run("batch-assets results items --output results.jsonl").exit_code == 3


def test_export_artifacts_makes_a_bundle_with_checksums(done: Terminal) -> None:
    [row] = done.rows("batch-assets export-artifacts items --to exports")

    [bundle] = (done.folder / "exports" / "items").rglob("manifest.json")
    assert bundle.parent == done.folder / row["folder"]
    assert {path.name for path in bundle.parent.iterdir()} >= {"results.parquet", "manifest.json"}


def test_prune_artifacts_removes_requests_and_raw_outputs_where_asked(done: Terminal) -> None:
    kept = done.rows("batch-assets prune-artifacts items --include-raw-output-artifacts")
    done.run("batch-assets export-artifacts items --to exports")
    [requests] = done.rows("batch-assets prune-artifacts items")
    [raw] = done.rows("batch-assets prune-artifacts items --include-raw-output-artifacts")

    assert [each["removed"] for each in kept] == [False]
    assert (requests["removed"], raw["removed"]) == (True, True)
    assert done.run("batch-assets results items --output results.jsonl").exit_code == 0


# What their command line does not do


def test_it_is_quoted_before_anything_is_sent(desk: Terminal) -> None:
    [row] = desk.rows(
        "batch-assets plan --input input/items.jsonl --id-field id --prompt-field text "
        "--model gpt-4.1"
    )

    assert row["requests_to_pay"] == 2
    assert desk.executed["requests_executed"] == 0


def test_it_is_paused_and_resumed(started: Terminal) -> None:
    paused = started.run("batch-assets pause items --reason lunch")
    resumed = started.run("batch-assets resume items")
    waited = started.run("batch-assets wait items", OFTEN)

    assert (paused.exit_code, resumed.exit_code, waited.exit_code) == (0, 0, 0)


def test_it_is_cancelled_and_keeps_what_was_answered(desk: Terminal) -> None:
    desk.faults.batches(Stuck(at=0.5))
    desk.rows(START)

    cancelled = desk.run("batch-assets cancel items --now --reason 'wrong corpus'")
    desk.run("batch-assets wait items", OFTEN)
    desk.run("batch-assets results items --output results.jsonl")

    assert cancelled.exit_code == 0, cancelled.output
    outcomes = {each["outcome"] for each in desk.read("results.jsonl")}
    assert outcomes == {"ok", "cancelled"}


def test_a_failed_item_is_explained_and_asked_again(desk: Terminal) -> None:
    desk.faults.items(Refusal(), containing="two", times=1)
    desk.run(START, f"--wait {OFTEN}")

    explained = desk.run("batch-assets explain items 2")
    desk.run("batch-assets retry items --outcome refused")
    waited = desk.run("batch-assets wait items", OFTEN)

    assert "refused" in explained.stdout
    assert waited.exit_code == 0, waited.output
