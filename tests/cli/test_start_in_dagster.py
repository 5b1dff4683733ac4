"""What was started from a command line, in the Dagster UI of the same deployment."""

import dagster as dg
import pytest

from batch_assets.definitions import defs as load
from batch_assets.operations.beside_dagster import GRACE, SENSOR_NAME

ASK = ("--input", "a.csv", "--id-field", "id", "--prompt-field", "text", "--model", "gpt-5-mini")
WAIT = ("--wait", "--every", "0.1")


@pytest.fixture
def started(live):
    """An inference `a`, of two rows."""
    live.write("a.csv", "id,text\n1,hello\n2,world\n")
    return lambda *given: live.call("start", *ASK, *given)


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def names_of(defs: dg.Definitions) -> set[str]:
    return {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}


def tick(defs, instance, *, sensor=SENSOR_NAME, cursor=None):
    with dg.build_sensor_context(
        instance=instance, definitions=defs, resources=dict(defs.resources), cursor=cursor
    ) as context:
        return defs.resolve_sensor_def(sensor).evaluate_tick(context)


def run(defs, instance, request):
    return defs.resolve_job_def(request.job_name).execute_in_process(
        partition_key=request.partition_key,
        tags=dict(request.tags),
        run_config=dict(request.run_config),
        instance=instance,
    )


def test_it_is_in_the_asset_graph_beside_what_is_declared(started):
    started()

    names = names_of(load())

    assert {"a/requests", "a/batches", "a/raw_outputs", "a/results", "a/bundle"} <= names
    assert "glosses/results" in names


def test_its_inputs_need_not_be_there_any_more(live, started):
    started()
    (live.folder / "a.csv").unlink()

    assert "a/results" in names_of(load())


def test_one_that_cannot_be_loaded_is_skipped_and_the_others_are_there(live, started):
    started()
    (live.store / "started-inferences" / "b.json").write_text("{")

    names = names_of(load())

    assert "a/results" in names
    assert "b/results" not in names


def test_one_whose_class_cannot_be_imported_any_more_is_skipped(live, started):
    live.write(
        "gone_of_start.py",
        "from pydantic import BaseModel\n\n\nclass Mood(BaseModel):\n    x: int\n",
    )
    with live.process(
        "start", *ASK, "--structured-output-class", "gone_of_start:Mood", "--run-id", "b"
    ) as process:
        process.communicate()
    live.write("gone_of_start.py", "raise RuntimeError('broken')\n")

    names = names_of(load())

    assert process.returncode == 0
    assert "b/results" not in names
    assert "glosses/results" in names


def test_one_of_the_name_of_a_declared_one_is_skipped(live, started):
    started("--run-id", "glosses")

    defs = load()

    dg.Definitions.validate_loadable(defs)
    shown = [spec for spec in defs.resolve_all_asset_specs() if spec.key.path[0] == "glosses"]
    assert len(shown) == 5
    assert not any("Started from a command line" in (spec.description or "") for spec in shown)


def test_what_was_resolved_beside_dagster_is_shown_without_a_call(live, started, instance):
    started(*WAIT)
    live.let_pass(GRACE)
    defs = load()
    live.faults.called.clear()

    ticked = tick(defs, instance)
    [request] = ticked.run_requests
    ran = run(defs, instance, request)

    assert ran.success
    told = {
        event.asset_key.to_user_string() for event in ran.get_asset_materialization_events()
    } | {each.asset_key.to_user_string() for each in ticked.asset_events}
    assert told == {"a/requests", "a/batches", "a/raw_outputs", "a/results", "a/bundle"}
    assert live.faults.called == []
    assert live.sandbox.state.executions()["requests_executed"] == 2


def test_what_was_shown_once_is_not_shown_again(live, started, instance):
    started(*WAIT)
    live.let_pass(GRACE)
    defs = load()

    again = tick(defs, instance, cursor=tick(defs, instance).cursor)

    assert (again.run_requests, again.asset_events) == ([], [])


def test_what_was_sent_and_not_waited_for_is_shown_as_sent(live, started, instance):
    started()
    live.let_pass(GRACE)

    ticked = tick(load(), instance)

    assert [each.asset_key.path for each in ticked.asset_events] == [
        ["a", "requests"],
        ["a", "batches"],
    ]
    assert ticked.run_requests == []


def test_the_poll_sensor_collects_what_the_process_left(live, started, instance):
    live.sandbox.state.change_settings({"latency": 0.0})
    started()
    defs = load()

    [request] = tick(defs, instance, sensor="batch_poll").run_requests
    ran = run(defs, instance, request)

    assert ran.success
    results = instance.get_latest_materialization_event(dg.AssetKey(["a", "results"]))
    assert results.asset_materialization.partition == "all"
    assert live.sandbox.state.executions()["requests_executed"] == 2


def test_what_was_over_before_the_location_was_loaded_anew_is_shown_all_the_same(
    live, started, instance
):
    before = load()
    started(*WAIT)
    live.let_pass(GRACE)

    cursor = tick(before, instance).cursor
    ticked = tick(load(), instance, cursor=cursor)

    assert [request.job_name for request in ticked.run_requests] == ["a_collect"]
    told = [event.asset_key.to_user_string() for event in ticked.asset_events]
    assert told == ["a/requests", "a/batches"]
