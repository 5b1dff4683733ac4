"""A terminal's `wait` and runs of Dagster's that collect the same partitions at the same time."""

import json
import sys
import textwrap
from importlib import import_module

import dagster as dg
import pytest

PARTITIONS = "abcd"
ROWS = 40


@pytest.fixture(params=["openai", "openai_live"])
def defs(live, request):
    """A code location of one inference over four partitions, at a provider or a live lane."""
    for key in PARTITIONS:
        rows = "".join(f"{n},{key}{n}\n" for n in range(ROWS))
        live.write(f"{key}.csv", f"id,word\n{rows}")
    source = f"""
        import dagster as dg

        import batch_assets as ba
        from batch_assets.resources.deployments import chosen_deployment

        words = ba.Inference(
            name="words",
            corpus=ba.FileCorpus(path={str(live.folder / "*.csv")!r}, item_id="id"),
            prompt=ba.Prompt(field="word"),
            model="gpt-5-mini",
            provider={request.param!r},
        )
        defs = dg.Definitions.merge(
            ba.batch_inference(words), dg.Definitions(resources=chosen_deployment().resources)
        )
        """
    live.write("beside_runs.py", textwrap.dedent(source))
    sys.path.insert(0, str(live.folder))
    sys.modules.pop("beside_runs", None)
    yield import_module("beside_runs").defs
    sys.modules.pop("beside_runs", None)


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def run(defs, instance, partition, *assets, **config):
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[dg.AssetKey(["words", name]) for name in assets],
        partition_key=partition,
        run_config={"ops": {"words__collect": {"config": config}}} if config else None,
        instance=instance,
        raise_on_error=False,
    )


def test_both_end_well_and_no_request_is_asked_twice(live, defs, instance):
    # Both are there before the batches are done.
    live.sandbox.state.change_settings({"latency": 4.0})
    for key in PARTITIONS:
        assert run(defs, instance, key, "requests", "batches").success

    with live.process(
        "wait", "words", "-m", "beside_runs", "--every", "0.1", "--timeout", "60", "-o", "json"
    ) as waiting:
        runs = [
            run(defs, instance, key, "raw_outputs", "results", "bundle", wait=True)
            for key in PARTITIONS
        ]
        shown, said = waiting.communicate()

    assert [ran.success for ran in runs] == [True] * len(PARTITIONS)
    assert waiting.returncode == 0, said
    assert [row["state"] for row in json.loads(shown)["rows"]] == ["resolved"] * len(PARTITIONS)
    asked = live.sandbox.state.executions()
    assert asked["requests_executed"] == asked["distinct_bodies"] == len(PARTITIONS) * ROWS
