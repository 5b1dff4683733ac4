"""`batch-assets status --refresh`: one look at the provider, then how partitions stand."""

from datetime import timedelta

import pytest
from command_answers import rows_of
from stage_world import LATENCY, refusal

from batch_assets.cli.exit_codes import ExitCode

ASK = ("--input", "a.csv", "--id-field", "id", "--prompt-field", "text", "--model", "gpt-5-mini")


@pytest.fixture
def started(live):
    """The inference `a` of two rows, sent and answered; nobody has collected it."""
    live.sandbox.state.change_settings({"latency": 0.0})
    live.write("a.csv", "id,text\n1,hello\n2,world\n")
    assert live.call("start", *ASK).exit_code == 0
    live.let_pass(timedelta(minutes=5))
    return live


def states_of(result, code=ExitCode.OK):
    rows = rows_of(result, "status/1", code=code)
    return {(row["inference"], row["partition"]): row["state"] for row in rows}


def test_what_start_left_is_collected_and_resolved(started):
    before = states_of(started.call("status", "-o", "json"))

    after = states_of(started.call("status", "--refresh", "-o", "json"))

    assert before == {("a", "all"): "open"}
    assert after == {("a", "all"): "resolved"}


def test_what_is_resolved_is_not_looked_at_again(started):
    started.call("status", "--refresh")
    started.faults.called.clear()

    assert started.call("status", "a", "--refresh").exit_code == 0
    assert started.faults.called == []


def test_of_a_code_location_its_own_ledger_is_taken_forward_and_shown(
    a_world, call, code_location, clock
):
    a_world(3).submit()
    clock.advance(LATENCY)

    found = call("status", "words", "--refresh", "-m", code_location, "-o", "json")

    assert states_of(found) == {("words", "p"): "resolved"}


def test_what_nothing_here_declares_is_left_to_its_sensor_and_said(a_world, call):
    a_world(3).submit()

    found = call("status", "--refresh", "-o", "json")

    assert states_of(found, ExitCode.PARTIAL) == {("words", "p"): "open"}
    assert "words is left to its sensor" in found.stderr
    assert "-m" in found.stderr


def test_one_that_is_named_and_declared_nowhere_is_an_error(a_world, call):
    a_world(3).submit()

    found = call("status", "words", "--refresh")

    assert (found.exit_code, found.stdout) == (ExitCode.FAILED, "")
    assert "nothing here says how words is declared" in found.stderr


def test_a_provider_that_is_away_ends_it_with_6_and_the_status_is_shown(started):
    started.faults.on_route = lambda route: refusal(503) if route == "batches.list" else None

    found = started.call("status", "--refresh", "-o", "json")
    del started.faults.on_route

    assert states_of(found, ExitCode.PROVIDER) == {("a", "all"): "open"}
    assert "a: " in found.stderr


def test_a_module_without_refresh_is_wrong_use(a_world, call, code_location):
    a_world(3).submit()

    found = call("status", "-m", code_location)

    assert found.exit_code == ExitCode.USAGE
    assert "--refresh" in found.stderr


def test_a_module_that_the_environment_names_is_not_loaded_for_a_status(a_world, call, monkeypatch):
    a_world(3).submit()
    monkeypatch.setenv("DAGSTER_MODULE_NAME", "no_such_module")

    assert states_of(call("status", "-o", "json")) == {("words", "p"): "open"}
