"""From the wheel to answers in a project of somebody else's, step by step as the how-to has it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from stranger_project import (
    CHECKOUT,
    PATIENCE,
    Stranger,
    Webserver,
    a_free_port,
    a_project,
    an_environment,
    commands_of_the_page,
    files_of_the_page,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5 * PATIENCE)]

ASSETS = [f"tickets/{name}" for name in ("requests", "batches", "raw_outputs", "results", "bundle")]
LOCATION = {"repositoryLocationName": "support", "repositoryName": "__repository__"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """The project with its inference scaffolded; the wheel is installed, the checkout is not."""
    folder = tmp_path_factory.mktemp("stranger")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    stranger = a_project(folder, an_environment(folder / "venv", wheel))
    for command in commands_of_the_page("dg scaffold"):
        stranger.run(command)
    return stranger


@dataclass(frozen=True)
class Up:
    """Everything runs: the sandbox, and `dg dev` with the project."""

    project: Stranger
    webserver: Webserver
    log: Path


@pytest.fixture(scope="module")
def up(project: Stranger) -> Iterator[Up]:
    sandbox, web = a_free_port(), a_free_port()
    [serve] = commands_of_the_page("batch-assets sandbox serve")
    [export] = commands_of_the_page("export ")
    [dev] = commands_of_the_page("dg dev")
    variables = dict(pair.split("=", 1) for pair in export.split()[1:])
    variables["OPENAI_BASE_URL"] = variables["OPENAI_BASE_URL"].replace("8750", str(sandbox))
    running = Stranger(folder=project.folder, environment=project.environment, variables=variables)
    with (
        running.running(f"{serve} --port {sandbox}"),
        running.running(f"{dev} --port {web}") as log,
    ):
        webserver = Webserver(web)
        webserver.ask_until(
            "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }",
            lambda said: (
                said["workspaceOrError"]["locationEntries"]
                == [{"name": "support", "loadStatus": "LOADED"}]
            ),
            log,
        )
        yield Up(running, webserver, log)


# The files


def test_the_page_has_every_file_that_the_project_needs() -> None:
    assert set(files_of_the_page()) == {
        "src/support/defs/resources.py",
        "src/support/definitions.py",
        "dagster.yaml",
        "data/tickets.csv",
        "src/support/defs/teams.py",
    }


def test_the_project_has_our_wheel_and_its_own_resources(project: Stranger) -> None:
    said = project.python(
        "import batch_assets, batch_assets.resources.openai as ours, resources\n"
        "print(batch_assets.__file__, ours.__file__, resources.TEAMS)"
    )

    ours, provider, teams = said.split(maxsplit=2)
    assert Path(ours).is_relative_to(project.environment)
    assert Path(provider).is_relative_to(project.environment)
    assert teams == "['billing', 'shipping', 'other']"


# dg's commands


def test_dg_lists_the_component(project: Stranger) -> None:
    listed = project.run("dg list components --package batch_assets --json").stdout

    [component] = json.loads(listed)["items"]
    assert component["key"] == "batch_assets.BatchInferenceComponent"
    assert component["summary"].startswith("A corpus, a prompt, a model")


def test_dg_knows_every_field_of_the_component_with_what_it_is(project: Stranger) -> None:
    shown = project.run(
        "dg utils inspect-component batch_assets.BatchInferenceComponent --defs-yaml-json-schema"
    ).stdout

    fields = json.loads(shown)["properties"]["attributes"]["properties"]
    assert [name for name, told in fields.items() if not told.get("description")] == []
    assert {"name", "corpus", "prompt", "output", "retries", "translation"} <= set(fields)


def test_dg_says_what_each_flag_of_the_scaffolder_is(project: Stranger) -> None:
    shown = project.run(
        "dg utils inspect-component batch_assets.BatchInferenceComponent --scaffold-params-schema"
    ).stdout

    flags = json.loads(shown)["properties"]
    assert [name for name, told in flags.items() if not told.get("description")] == []
    assert json.loads(shown)["required"] == ["corpus_path", "item_id", "prompt", "model_name"]


def test_dg_finds_the_scaffolded_project_in_order(project: Stranger) -> None:
    for command in commands_of_the_page("dg check"):
        checked = project.run(command)

        assert "All definitions loaded successfully" in checked.stdout + checked.stderr


def test_dg_lists_the_assets_the_sensor_and_the_jobs(project: Stranger) -> None:
    [command] = commands_of_the_page("dg list defs")

    listed = json.loads(project.run(f"{command} --json").stdout)

    assert {*ASSETS, "teams"} <= {asset["asset_key"] for asset in listed["assets"]}
    names = {kind: {each["name"] for each in listed[kind]} for kind in listed if kind != "assets"}
    assert "batch_poll" in names["sensors"]
    assert {"tickets_submit", "tickets_collect", "pause_batches"} <= names["jobs"]
    assert {"batch_ledger", "batch_files", "openai"} <= names["resources"]


def test_an_inference_scaffolded_in_python_loads_beside_it(project: Stranger) -> None:
    [command] = commands_of_the_page("dg scaffold")
    project.run(f"{command} --format python".replace(" tickets ", " mails ", 1))

    loaded = project.python(
        "from support.definitions import defs\n"
        "print('mails/results' in {key.to_user_string() for key in"
        " defs().resolve_asset_graph().get_all_asset_keys()})"
    )

    assert (project.folder / "src/support/defs/mails/component.py").is_file()
    assert loaded == "True"


def test_dg_refuses_a_flag_that_cannot_be_in_words(project: Stranger) -> None:
    [command] = commands_of_the_page("dg scaffold")

    refused = project.run(
        command.replace(" tickets ", " wrong ", 1).replace("--item-id id", "--item-id key"),
        check=False,
    )

    assert refused.returncode == 1
    assert "no column 'key' for the item id; it has id, text" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (project.folder / "src/support/defs/wrong").exists()


# Dagster itself


LAUNCH = """
mutation($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""

RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"

ASSET = """
query($key: AssetKeyInput!) {
  assetOrError(assetKey: $key) {
    ... on Asset { assetMaterializations(limit: 1) {
      partition metadataEntries { label ... on IntMetadataEntry { intValue } }
    } }
  }
}"""


def materialize(up: Up, *assets: str, partition: str | None = None) -> None:
    """As the UI's button does, until the run is over."""
    tags = [] if partition is None else [{"key": "dagster/partition", "value": partition}]
    launched = up.webserver.ask(
        LAUNCH,
        params={
            "selector": {
                **LOCATION,
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": asset.split("/")} for asset in assets],
                "assetCheckSelection": [],
            },
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": tags},
        },
    )["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    ended = up.webserver.ask_until(
        RUN,
        lambda said: said["runOrError"]["status"] in ("SUCCESS", "FAILURE", "CANCELED"),
        up.log,
        id=launched["run"]["runId"],
    )
    assert ended["runOrError"]["status"] == "SUCCESS", up.log.read_text()[-5000:]


def materialized(up: Up, asset: str) -> dict[str, int]:
    """The numbers of its newest materialization, once it has one."""
    found = up.webserver.ask_until(
        ASSET,
        lambda said: said["assetOrError"].get("assetMaterializations"),
        up.log,
        key={"path": asset.split("/")},
    )
    [newest] = found["assetOrError"]["assetMaterializations"]
    return {each["label"]: each.get("intValue") for each in newest["metadataEntries"]}


def test_a_partition_goes_from_the_button_to_answers_in_an_asset_of_the_projects(up: Up) -> None:
    materialize(up, "tickets/requests", partition="tickets")
    dry = materialized(up, "tickets/requests")

    materialize(up, "tickets/batches", partition="tickets")
    # The sensor, which nobody started, brings them.
    results = materialized(up, "tickets/results")

    materialize(up, "teams")
    teams = materialized(up, "teams")
    assert dry["requests"] == 3
    assert results["dagster/row_count"] == 3
    assert sum(teams.values()) == 3
    assert list((up.project.folder / ".batch_assets/files/tickets/results").glob("*.parquet"))
