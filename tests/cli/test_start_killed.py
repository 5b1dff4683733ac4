"""`batch-assets start` is killed, and the same command goes on: nothing is lost or bought twice."""

import json
import signal
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from command_answers import rows_of

#: More than a lease, and than the time after which a provider's list has a new batch.
LONG = timedelta(minutes=5)

GO_ON = (
    *("start", "--input", "words.csv", "--id-field", "id", "--prompt-field", "word"),
    *("--model", "gpt-5-mini", "--run-id", "words", "--wait", "--every", "0.1", "-o", "json"),
)


@pytest.fixture
def words(live):
    live.write("words.csv", "id,word\n" + "".join(f"{n},word {n}\n" for n in range(20)))
    return live


@pytest.mark.parametrize(
    ("route", "when"),
    [
        ("files.create", "after"),
        ("batches.create", "before"),
        ("batches.create", "after"),
        ("files.content", "before"),
        ("files.content", "after"),
    ],
)
def test_the_same_command_goes_on_after_sigkill(words, route, when):
    words.killed_at(route, when, *GO_ON)
    words.let_pass(LONG)

    [row] = rows_of(words.call(*GO_ON), "start/1")

    assert (row["fate"], row["outcomes"]) == ("resolved", {"ok": 20})
    counted = words.sandbox.state.executions()
    assert counted["requests_executed"] == counted["distinct_bodies"] == 20
    results = pq.read_table(row["results"]).column("item_id").to_pylist()
    assert results == [str(n) for n in range(20)]


def test_a_run_that_was_killed_is_waited_for_by_its_name_alone(words):
    words.killed_at("files.content", "after", *GO_ON)
    words.let_pass(LONG)

    waited = words.call("wait", "words", "--every", "0.1", "-o", "json")

    assert waited.exit_code == 0, waited.output
    assert json.loads(waited.stdout)["rows"][0]["ok"] == 20
    assert words.sandbox.state.executions()["requests_executed"] == 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_how_to_go_on(words, number):
    words.sandbox.state.change_settings({"latency": 3600.0})
    with words.process(*GO_ON) as process:
        for line in process.stderr:
            if "0 of 20 requests" in line:
                process.send_signal(number)
                break
        said = process.stderr.read()
        process.wait()

    assert process.returncode == 128 + number
    assert "give the same command with --run-id words" in said
    assert "Traceback" not in said


def test_two_that_are_started_at_once_send_everything_once(words):
    with words.process(*GO_ON) as one, words.process(*GO_ON) as other:
        said = [process.communicate()[0] for process in (one, other)]

    assert [one.returncode, other.returncode] == [0, 0]
    assert [json.loads(each)["rows"][0]["outcomes"] for each in said] == [{"ok": 20}] * 2
    counted = words.sandbox.state.executions()
    assert counted["requests_executed"] == counted["distinct_bodies"] == 20


def test_a_full_disk_ends_it_in_one_line_and_later_it_goes_on(words):
    words.write("words.csv", "id,word\n" + "".join(f"{n},word {n}\n" for n in range(8_000)))

    with words.process(*GO_ON, most_bytes=1_000_000) as process:
        _, said = process.communicate()
    [row] = rows_of(words.call(*GO_ON), "start/1")

    assert (process.returncode, said) == (1, "Error: File too large\n")
    assert row["outcomes"] == {"ok": 8_000}
    assert words.sandbox.state.executions()["requests_executed"] == 8_000
