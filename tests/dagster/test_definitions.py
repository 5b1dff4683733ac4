"""The code location as Dagster loads it: its graph, its names, its two faces."""

import subprocess
import sys
import tomllib
import traceback
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing.utils import create_defs_folder_sandbox

import batch_assets as ba
from batch_assets.definitions import defs as load

PROJECT = Path(__file__).parents[2]
NAMES = ("requests", "batches", "raw_outputs", "results", "bundle")


@pytest.fixture
def located(monkeypatch, tmp_path) -> dg.Definitions:
    """The code location on the sandbox's deployment."""
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_HOME", str(tmp_path))
    return load()


def graph_of(defs: dg.Definitions) -> dict[str, list[str]]:
    """Each asset's key with the keys of what it is made from."""
    return {
        spec.key.to_user_string(): sorted(dep.asset_key.to_user_string() for dep in spec.deps)
        for spec in defs.resolve_all_asset_specs()
    }


def parsed(name: str) -> dict:
    content = (PROJECT / name).read_text()
    return tomllib.loads(content) if name.endswith(".toml") else yaml.safe_load(content)


def run_python(code: str, **env: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "DAGSTER_DISABLE_TELEMETRY": "1", **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


# The code location


@pytest.mark.parametrize("deployment", ["local", "sandbox", "production", None])
def test_the_location_loads_in_every_deployment_without_a_key(monkeypatch, tmp_path, deployment):
    for name in ("OPENAI_API_KEY", "BATCH_ASSETS_LEDGER_URL", "BATCH_ASSETS_FILES_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BATCH_ASSETS_DEPLOYMENT", raising=False)
    if deployment is not None:
        monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", deployment)

    dg.Definitions.validate_loadable(load())

    assert list(tmp_path.iterdir()) == []


def test_the_asset_graph_is_this_one(located):
    assert graph_of(located) == {
        "glosses/requests": [],
        "glosses/batches": ["glosses/requests"],
        "glosses/raw_outputs": ["glosses/batches"],
        "glosses/results": ["glosses/raw_outputs"],
        "glosses/bundle": ["glosses/results"],
    }


def test_workspace_and_dg_load_the_same_module_under_the_same_name():
    """Sensor state and run history hang on the location's name."""
    [entry] = parsed("workspace.yaml")["load_from"]
    project = parsed("pyproject.toml")["tool"]["dg"]["project"]
    module = entry["python_module"]

    assert module["module_name"] == project["code_location_target_module"]
    assert module["location_name"] == project["code_location_name"] == project["root_module"]
    assert module["module_name"] == "batch_assets.definitions"


def test_dagsters_state_survives_a_restart():
    """It would lie in a temporary folder; the one of dagster.yaml is found without a variable."""
    config = parsed("dagster.yaml")

    assert config["storage"]["sqlite"]["base_dir"].startswith(".dagster/")
    assert config["compute_logs"]["config"]["base_dir"].startswith(".dagster/")
    assert config["local_artifact_storage"]["config"]["base_dir"] == ".dagster"


def test_whole_runs_wait_for_a_pool_and_not_steps_of_started_ones():
    concurrency = parsed("dagster.yaml")["concurrency"]

    assert concurrency["pools"]["granularity"] == "run"
    assert 2 * concurrency["pools"]["default_limit"] <= concurrency["runs"]["max_concurrent_runs"]


# The definitions


def test_submit_and_collect_never_share_a_run_of_a_backfill(located):
    """Dagster puts assets of equal policies and partitions into one run."""
    submit, collect = (
        located.resolve_assets_def(dg.AssetKey(["glosses", name]))
        for name in ("batches", "results")
    )

    assert submit.backfill_policy != collect.backfill_policy
    assert submit.partitions_def == collect.partitions_def
    assert submit.can_subset
    assert collect.can_subset


def test_a_partition_is_a_file_of_the_corpus(located):
    assets = located.resolve_assets_def(dg.AssetKey(["glosses", "requests"]))

    assert assets.partitions_def.get_partition_keys() == ["a-b", "c-d", "e-h", "i-m", "n-r", "s-z"]


@pytest.mark.parametrize("name", NAMES)
def test_every_asset_says_what_it_is(located, name):
    assets = located.resolve_assets_def(dg.AssetKey(["glosses", name]))
    spec = assets.get_asset_spec(dg.AssetKey(["glosses", name]))

    assert len(spec.description) > 60
    assert spec.group_name == "glosses"
    assert spec.kinds
    assert spec.metadata["dagster/io_manager_key"] == "batch_files"
    assert spec.skippable


def test_requests_say_what_the_inference_is_for_and_who_owns_it(world):
    inference = world.inference(
        world.corpus(a=1), description="Which kind of thing.", owners=("team:words",)
    )

    specs = {spec.key.path[-1]: spec for spec in world.declare(inference).resolve_all_asset_specs()}

    assert specs["requests"].description.startswith("Which kind of thing.\n\n")
    assert all(specs[name].owners == ["team:words"] for name in NAMES)


def test_the_code_version_of_requests_is_of_everything_that_is_asked(world):
    corpus = world.corpus(a=1)

    def version(**over: object) -> str:
        defs = world.declare(world.inference(corpus, **over))
        return defs.resolve_assets_def(world.key("requests")).code_versions_by_key[
            world.key("requests")
        ]

    unchanged = version()
    assert version() == unchanged
    assert version(prompt=ba.Prompt(user="{{ word }}!")) != unchanged
    assert version(model="gpt-5-nano") != unchanged
    assert version(settings={"seed": 1}) != unchanged
    assert version(output=world.output_type(label=(str, ...))) != unchanged


def test_jobs_pools_and_checks_have_the_names_that_people_see(located):
    checks = located.resolve_asset_graph().asset_check_keys
    submit, collect = (
        located.resolve_assets_def(dg.AssetKey(["glosses", name]))
        for name in ("batches", "results")
    )

    assert {job.name for job in located.jobs} == {
        "glosses_submit",
        "glosses_collect",
        "glosses_submit_changed",
        "glosses_ask_again",
        "pause_batches",
        "resume_batches",
        "cancel_batches",
        "approve_batches",
        "decide_batch",
    }
    assert {check.to_user_string() for check in checks} == {
        "glosses/batches:polled",
        "glosses/results:nothing_lost",
        "glosses/results:coverage",
        "glosses/results:invalid_share",
        "glosses/results:refused_share",
        "glosses/results:truncated_share",
        "glosses/results:token_estimate",
        "glosses/results:duplicate_answers",
        "glosses/results:label_drift",
    }
    assert (submit.op.pool, collect.op.pool) == ("llm_submit", "llm_collect")


def test_two_inferences_have_one_sensor_over_both_collecting_jobs(world):
    words = world.inference(world.corpus(a=1))
    others = world.inference(world.corpus("others", x=1), name="others", provider="second")

    defs = world.declare(words, others, second=world.resources()["openai"])

    sensor, _ = defs.sensors
    assert {target.job_name for target in sensor.targets} == {"words_collect", "others_collect"}
    assert sensor.required_resource_keys == {"batch_ledger", "batch_files", "openai", "second"}
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_definitions_without_an_inference_get_no_sensor_and_no_jobs():
    defs = dg.Definitions(resources={"a": 1})

    assert ba.with_operations(defs) is defs


def test_runs_are_executed_in_one_process(located):
    assert located.executor is dg.in_process_executor


def test_loading_the_location_imports_no_sdk():
    code = (
        "import sys, dagster as dg\n"
        "from batch_assets.definitions import defs\n"
        "dg.Definitions.validate_loadable(defs())\n"
        "print({'openai', 'pandas', 'polars', 'starlette'} & set(sys.modules))"
    )

    assert run_python(code, BATCH_ASSETS_DEPLOYMENT="sandbox") == "set()"


def test_importing_the_package_imports_next_to_nothing():
    code = "import sys, batch_assets; print({'openai', 'dagster', 'pyarrow'} & set(sys.modules))"

    assert run_python(code) == "set()"


# The YAML face

#: Dagster 1.13 warns of these when it reads a component file: they are its own calls.
WARNINGS_OF_DAGSTERS_YAML = (
    "ignore:`parse_obj_as` is deprecated:DeprecationWarning",
    "ignore:Class `.*CodeReference.*` is currently in beta:dagster.BetaWarning",
)


def component_yaml(corpus: ba.FileCorpus, **over: object) -> dict:
    return {
        "type": "batch_assets.BatchInferenceComponent",
        "attributes": {
            "name": "words",
            "corpus": {"path": corpus.path, "item_id": "id"},
            "prompt": {"user": "Word: {{ word }}"},
            "model_name": "gpt-4.1-mini",
            "output": "factories:Kind",
            **over,
        },
    }


def built(declared: dict) -> dg.Definitions:
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.defs_folder_path / "words"
        folder.mkdir()
        (folder / "defs.yaml").write_text(yaml.safe_dump(declared))
        with sandbox.build_all_defs() as defs:
            return defs


def described(defs: dg.Definitions) -> list[tuple]:
    specs = [spec for assets in defs.assets for spec in assets.specs]
    return [
        (
            spec.key,
            spec.deps,
            spec.code_version,
            spec.description,
            spec.owners,
            spec.kinds,
            # Dagster adds where the YAML lies.
            {k: v for k, v in spec.metadata.items() if k.startswith("batch_assets/")},
            spec.partitions_def,
        )
        for spec in sorted(specs, key=lambda spec: spec.key)
    ]


@pytest.mark.filterwarnings(*WARNINGS_OF_DAGSTERS_YAML)
def test_yaml_and_python_declare_the_same_assets(world):
    corpus = world.corpus(a=1, b=2)
    over = {"settings": {"seed": 7}, "owners": ["team:words"], "description": "What it is."}

    from_yaml = built(component_yaml(corpus, **over))

    from_python = ba.batch_inference(world.inference(corpus, **over))
    assert described(from_yaml) == described(from_python)
    assert {job.name for job in from_yaml.jobs} == {job.name for job in from_python.jobs}


def test_yaml_sets_every_field_of_the_declaration(world):
    component = ba.BatchInferenceComponent(
        name="words",
        corpus={"path": "corpus/words", "item_id": "id"},
        prompt={"user": "Word: {{ word }}", "system": "Be short."},
        model_name="gpt-5-nano",
        output="factories:Kind",
        settings={"seed": 7},
        retries={"max_waves": 2},
        provider="second",
        checks={"coverage": 0.5},
        owners=["team:words"],
        description="What it is.",
    )
    world.corpus(a=1)

    assert component.inference(world.folder) == ba.Inference(
        name="words",
        corpus=ba.FileCorpus(path=str(world.folder / "corpus/words"), item_id="id"),
        prompt=ba.Prompt(user="Word: {{ word }}", system="Be short."),
        model="gpt-5-nano",
        output="factories:Kind",
        settings={"seed": 7},
        retries=ba.RetryPolicy(max_waves=2),
        provider="second",
        checks=ba.Checks(coverage=0.5),
        owners=("team:words",),
        description="What it is.",
    )


@pytest.mark.filterwarnings(*WARNINGS_OF_DAGSTERS_YAML)
def test_an_attribute_that_yaml_does_not_know_is_refused_by_its_name(world):
    declared = component_yaml(world.corpus(a=1), heat=0)

    with pytest.raises(ComponentTreeException) as caught:
        built(declared)

    said = "".join(traceback.format_exception(caught.value))
    assert "heat" in said
    assert "Extra inputs are not permitted" in said


@pytest.mark.filterwarnings(*WARNINGS_OF_DAGSTERS_YAML)
def test_an_attribute_that_yaml_lacks_is_asked_for_by_its_name(world):
    declared = component_yaml(world.corpus(a=1))
    del declared["attributes"]["corpus"]

    with pytest.raises(ComponentTreeException) as caught:
        built(declared)

    said = "".join(traceback.format_exception(caught.value))
    assert "attributes.corpus" in said
    assert "Field required" in said


@pytest.mark.filterwarnings(*WARNINGS_OF_DAGSTERS_YAML)
def test_a_scaffolded_component_loads_as_it_is(world):
    given = {
        "corpus_path": world.corpus(a=1).path,
        "item_id": "id",
        "prompt": "Word: {{ word }}",
        "model_name": "gpt-4.1-mini",
        "output": "factories:Kind",
    }

    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.scaffold_component(
            component_cls=ba.BatchInferenceComponent, defs_path="tickets", scaffold_params=given
        )
        with sandbox.load_component_and_build_defs(folder) as (component, defs):
            assert component.name == "tickets"
            assert dg.AssetKey(["tickets", "results"]) in {
                key for assets in defs.assets for key in assets.keys
            }


# Dagster's own commands


def dg_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("dg")), *arguments],
        cwd=PROJECT,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "BATCH_ASSETS_DEPLOYMENT": "sandbox",
            "HOME": "/tmp",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_dg_finds_the_component():
    listed = dg_command("list", "components", "--package", "batch_assets")

    assert listed.returncode == 0, listed.stderr
    assert "batch_assets.BatchInferenceComponent" in listed.stdout


@pytest.mark.slow
def test_dg_finds_nothing_wrong_with_the_project():
    checked = dg_command("check", "defs")

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "All definitions loaded successfully" in checked.stdout + checked.stderr
