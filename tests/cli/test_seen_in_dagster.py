"""What a command line does for a code location's own inferences, in that location's UI."""

import sys
import textwrap
from datetime import timedelta
from importlib import import_module

import dagster as dg
import pytest
from stage_world import refusal

from batch_assets.operations import beside_dagster
from batch_assets.operations.beside_dagster import SENSOR_NAME

WAIT = ("wait", "words", "--every", "0.1")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No run of Dagster's is waited for that might tell of the same."""
    monkeypatch.setattr(beside_dagster, "GRACE", timedelta())


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def module(live):
    """A code location of one inference over the partitions a, b, c and d, on the deployment."""
    for key in "abcd":
        live.write(f"{key}.csv", "id,word\n1,oak\n2,elm\n")
    source = f"""
        import dagster as dg

        import batch_assets as ba
        from batch_assets.resources.deployments import chosen_deployment

        words = ba.Inference(
            name="words",
            corpus=ba.FileCorpus(path={str(live.folder / "*.csv")!r}, item_id="id"),
            prompt=ba.Prompt(field="word"),
            model="gpt-5-mini",
            reuse=False,
        )
        defs = ba.with_operations(
            dg.Definitions.merge(
                ba.batch_inference(words), dg.Definitions(resources=chosen_deployment().resources)
            )
        )
        """
    name = f"seen_{abs(hash(live.folder))}"
    live.write(f"{name}.py", textwrap.dedent(source))
    sys.path.insert(0, str(live.folder))
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def defs(module):
    return import_module(module).defs


def submit(defs, instance, *partitions):
    return [
        defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey(["words", name]) for name in ("requests", "batches")],
            partition_key=key,
            instance=instance,
            raise_on_error=False,
        )
        for key in partitions
    ]


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


def shown(instance, asset: str) -> set[str]:
    return set(instance.get_materialized_partitions(dg.AssetKey(["words", asset])))


def test_what_wait_collected_is_shown_without_a_call(live, module, defs, instance):
    submit(defs, instance, "a")
    waited = live.call(*WAIT, "-m", module)
    before = shown(instance, "results")
    live.faults.called.clear()

    ticked = tick(defs, instance)
    [request] = ticked.run_requests
    ran = run(defs, instance, request)

    assert waited.exit_code == 0, waited.output
    assert ran.success
    assert (before, ticked.asset_events) == (set(), [])
    for asset in ("requests", "batches", "raw_outputs", "results", "bundle"):
        assert shown(instance, asset) == {"a"}
    assert live.faults.called == []
    assert len(ran.get_asset_check_evaluations()) > 0


def test_what_a_run_of_dagsters_collected_is_not_collected_again(live, defs, instance):
    live.sandbox.state.change_settings({"latency": 0.0})
    submit(defs, instance, "a")
    [request] = tick(defs, instance, sensor="batch_poll").run_requests
    run(defs, instance, request)

    ticked = tick(defs, instance)

    assert shown(instance, "results") == {"a"}
    assert (ticked.run_requests, ticked.asset_events) == ([], [])


def test_what_a_run_could_not_send_does_not_look_as_if_it_were_sent(live, defs, instance):
    live.faults.on_route = lambda route: refusal(401) if route == "batches.create" else None
    [ran] = submit(defs, instance, "a")
    del live.faults.on_route

    ticked = tick(defs, instance)

    assert not ran.success
    assert (ticked.run_requests, ticked.asset_events) == ([], [])
    assert shown(instance, "batches") == set()


def test_results_that_were_made_anew_from_a_terminal_are_shown_anew(live, module, defs, instance):
    submit(defs, instance, "a")
    live.call(*WAIT, "-m", module)
    ticked = tick(defs, instance)
    run(defs, instance, ticked.run_requests[0])
    live.call("resolve", "words", "-m", module)

    again = tick(defs, instance, cursor=ticked.cursor)

    assert [request.partition_key for request in again.run_requests] == ["a"]


def test_partitions_that_stand_side_by_side_are_shown_by_one_run(live, module, defs, instance):
    submit(defs, instance, "a", "b", "d")
    live.call(*WAIT, "-m", module)

    for request in tick(defs, instance).run_requests:
        run(defs, instance, request)

    assert shown(instance, "results") == {"a", "b", "d"}
    assert len(instance.get_runs()) == 3 + 2


def test_of_many_runs_a_tick_asks_for_some_and_the_next_ones_for_the_rest(
    live, module, defs, instance, monkeypatch
):
    monkeypatch.setattr(beside_dagster, "RUNS_PER_TICK", 1)
    submit(defs, instance, "a", "c")
    live.call(*WAIT, "-m", module)
    cursor, seen = None, []

    for _ in range(3):
        ticked = tick(defs, instance, cursor=cursor)
        cursor = ticked.cursor
        seen.append([request.partition_key for request in ticked.run_requests])

    assert sorted(seen[0] + seen[1]) == ["a", "c"]
    assert [len(each) for each in seen] == [1, 1, 0]
