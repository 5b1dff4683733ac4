"""A code location without its SDK or its key loads, and says in one line what it lacks."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import dagster as dg
import pytest

import batch_assets as ba

ROOT = Path(ba.__file__).parents[1]

#: Loads a code location, submits a partition, and ticks.
PROGRAM = """
import sys
import dagster as dg
import pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path
import batch_assets as ba

folder = Path(sys.argv[1])
(folder / "corpus").mkdir()
pq.write_table(pa.table({"id": ["1"], "word": ["oak"]}), folder / "corpus" / "a.parquet")
inference = ba.Inference(
    name="words",
    corpus=ba.FileCorpus(path=str(folder / "corpus"), item_id="id"),
    prompt=ba.Prompt(user="Word: {{ word }}"),
    model="gpt-5-mini",
)
resources = {
    "batch_ledger": ba.LedgerResource(url=f"sqlite:///{folder}/ledger.db"),
    "batch_files": ba.BatchFilesIOManager(root=str(folder / "files")),
    "openai": ba.OpenAIResource(api_key="sk-test", base_url="http://127.0.0.1:9/v1"),
}
mine = dg.Definitions(resources=resources)
defs = ba.with_operations(dg.Definitions.merge(ba.batch_inference(inference), mine))
dg.Definitions.validate_loadable(defs)
with dg.DagsterInstance.ephemeral() as instance:
    keys = [dg.AssetKey(["words", name]) for name in ("requests", "batches")]
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=keys, partition_key="a", instance=instance, raise_on_error=False)
    [failed] = [event for event in result.all_events if event.is_step_failure]
    print("RUN", failed.step_failure_data.user_failure_data.metadata["a"].value)
    sensor = defs.resolve_sensor_def("batch_poll")
    with dg.build_sensor_context(
        instance=instance, definitions=defs, resources=resources
    ) as context:
        print("TICK", sensor.evaluate_tick(context).skip_message)
"""


@pytest.fixture
def without_the_sdk(tmp_path: Path) -> Path:
    """Everything that is installed here but the SDK."""
    installed, folder = Path(sysconfig.get_path("purelib")), tmp_path / "installed"
    folder.mkdir()
    for entry in installed.iterdir():
        if entry.name != "openai" and not entry.name.startswith("openai-"):
            (folder / entry.name).symlink_to(entry)
    return folder


def test_without_its_sdk_a_location_loads_and_run_and_tick_say_how_to_get_it(
    without_the_sdk, tmp_path
):
    path = os.pathsep.join([str(ROOT), str(without_the_sdk)])

    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path, "DAGSTER_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    said = "the OpenAI SDK is not installed: pip install 'batch-assets[openai]'"
    assert done.returncode == 0, done.stderr[-2000:]
    run, tick = (line for line in done.stdout.splitlines() if line.startswith(("RUN", "TICK")))
    assert run.startswith(f"RUN {said}")
    assert tick.startswith(f"TICK openai: {said}")


SAID = "no key: set the environment variable A_KEY where the code location runs"


@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_its_key_a_location_loads_and_run_and_tick_say_which_variable_to_set(
    world, monkeypatch, key
):
    monkeypatch.delenv("A_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("A_KEY", key)
    mine = ba.OpenAIResource(api_key=dg.EnvVar("A_KEY"), base_url=world.sandbox.base_url)
    world.declare(world.inference(world.corpus(a=1)), openai=mine)

    dg.Definitions.validate_loadable(world.defs)
    dry_run = world.run("requests", partition="a")
    result = world.run("requests", "batches", partition="a")

    [failed] = [event for event in result.all_events if event.is_step_failure]
    said = failed.step_failure_data.user_failure_data.metadata["a"].value
    assert dry_run.success
    assert said.startswith(SAID)
    assert world.tick().skip_message.startswith(f"openai: {SAID}")


def test_what_a_missing_key_kept_from_being_sent_is_sent_once_there_is_one(world, monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    mine = ba.OpenAIResource(api_key=dg.EnvVar("A_KEY"), base_url=world.sandbox.base_url)
    world.declare(world.inference(world.corpus(a=1)), openai=mine)
    world.run("requests", "batches", partition="a")
    monkeypatch.setenv("A_KEY", "sk-test")
    world.clock.advance(60)

    [request] = world.tick().run_requests
    sent = world.launch(request)

    assert sent.success
    assert world.sent() == 1
