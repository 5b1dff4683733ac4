"""A component file and `batch_inference` are two faces of one thing: neither has more."""

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from component_files import WARNING, a_project
from dagster.components.testing.utils import create_defs_folder_sandbox
from pydantic import BaseModel

import batch_assets as ba
from batch_assets.component.checks import ChecksModel
from batch_assets.component.corpora import (
    AssetModel,
    CompositeModel,
    CsvModel,
    FilesModel,
    RequestFilesModel,
    SqlModel,
)
from batch_assets.component.prices import PricesModel
from batch_assets.component.prompts import (
    AudioModel,
    ExampleModel,
    FileModel,
    ImageModel,
    PromptModel,
)
from batch_assets.component.retries import RetriesModel
from batch_assets.component.stragglers import StragglersModel
from batch_assets.domain.checks import Checks
from batch_assets.prices.declared import Prices

pytestmark = pytest.mark.filterwarnings(
    WARNING,
    "ignore:Class `.*CodeReference.*` is currently in beta:dagster.BetaWarning",
    "ignore:Parameter `owners` of initializer `SensorDefinition:dagster.BetaWarning",
)

# Field by field


#: Pydantic keeps names that begin with model_ for itself, but for this one.
OTHER_NAMES = {"model": "model_name"}

FACES: list[tuple[type, type[BaseModel], Mapping[str, str]]] = [
    (ba.Inference, ba.BatchInferenceComponent, OTHER_NAMES),
    (ba.Prompt, PromptModel, {}),
    (ba.Example, ExampleModel, {}),
    (ba.Image, ImageModel, {}),
    (ba.File, FileModel, {}),
    (ba.Audio, AudioModel, {}),
    (ba.FileCorpus, FilesModel, {}),
    (ba.CsvDialect, CsvModel, {}),
    (ba.SqlCorpus, SqlModel, {"query": "sql"}),
    (ba.AssetCorpus, AssetModel, {"key": "asset", "partitions_def": "partitions"}),
    (ba.CompositeCorpus, CompositeModel, {"sources": "composite"}),
    (ba.RequestFileCorpus, RequestFilesModel, {"path": "request_files"}),
    (
        ba.RetryPolicy,
        RetriesModel,
        {"first_wait": "first_wait_seconds", "longest_wait": "longest_wait_seconds"},
    ),
    (Checks, ChecksModel, {}),
    (Prices, PricesModel, {}),
    (ba.Stragglers, StragglersModel, {}),
]

#: What YAML has beside the declaration: in Python it is an argument of `batch_inference`.
BESIDE = {ba.BatchInferenceComponent: {"translation"}}


@pytest.mark.parametrize(
    ("declared", "model", "other_names"), FACES, ids=[face[0].__name__ for face in FACES]
)
def test_yaml_has_every_field_that_python_has_and_no_other(declared, model, other_names):
    in_python = {
        other_names.get(field.name, field.name)
        for field in dataclasses.fields(declared)
        if field.init and not field.name.startswith("_")
    }
    in_yaml = set(model.model_fields) - BESIDE.get(model, set())

    assert sorted(in_python - in_yaml) == [], f"{model.__name__} lacks them"
    assert sorted(in_yaml - in_python) == [], f"{declared.__name__} lacks them"


# The graph


EVERY_FIELD = """
name: words
description: What the words are.
owners: [team:words]
corpus: {path: words, item_id: id, partition_by: {by: discovered}}
discovers: true
prompt: {system: Be short., user: "Word: {{ word }}"}
model_name: gpt-4.1-mini
endpoint: responses
output: factories:Kind
settings: {max_output_tokens: 200}
rows_per_request: 4
retries: {max_waves: 2, ask_again: [expired], first_wait_seconds: 5, longest_wait_seconds: 50}
reuse: false
keeps_remote: false
provider: second
stragglers: {provider: second_live, after_hours: 20}
approval: required
canary: 7
automation: "0 6 * * *"
fresh_within_hours: 48
partitions_per_run: {submit: 40, collect: 20}
prices: {input: 0.2, output: 0.8, cached_input: 0.1}
checks: {coverage: 0.9, refused_share: {at_most: 0.01, blocking: true}, label_drift: "off"}
translation:
  key_prefix: llm
  group_name: support
  tags: {tier: gold}
  automation_condition: "{{ dg.AutomationCondition.eager() }}"
"""


def the_same_in_python(project: Path) -> ba.Inference:
    return ba.Inference(
        name="words",
        description="What the words are.",
        owners=("team:words",),
        corpus=ba.FileCorpus(
            path=str(project / "words"), item_id="id", partition_by=ba.Discovered()
        ),
        discovers=True,
        prompt=ba.Prompt(system="Be short.", user="Word: {{ word }}"),
        model="gpt-4.1-mini",
        endpoint="responses",
        output="factories:Kind",
        settings={"max_output_tokens": 200},
        rows_per_request=4,
        retries=ba.RetryPolicy(
            max_waves=2,
            ask_again=frozenset({"expired"}),
            first_wait=timedelta(seconds=5),
            longest_wait=timedelta(seconds=50),
        ),
        reuse=False,
        keeps_remote=False,
        provider="second",
        stragglers=ba.Stragglers(provider="second_live", after_hours=20),
        approval="required",
        canary=7,
        automation="0 6 * * *",
        fresh_within_hours=48,
        partitions_per_run=ba.PartitionsPerRun(submit=40, collect=20),
        prices=Prices(input=0.2, output=0.8, cached_input=0.1),
        checks=Checks(
            coverage=0.9, refused_share=ba.Check(at_most=0.01, blocking=True), label_drift="off"
        ),
    )


def translated(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec.replace_attributes(
        key=spec.key.with_prefix("llm"),
        group_name="support",
        automation_condition=dg.AutomationCondition.eager(),
    ).merge_attributes(tags={"tier": "gold"})


def graph_of(defs: dg.Definitions) -> dict[str, Any]:
    """All that Dagster and its users see of the definitions, by kind and name."""
    return {
        "specs": {
            spec.key: spec.replace_attributes(metadata=_ours(spec.metadata))
            for assets in defs.assets or []
            for spec in assets.specs
        },
        "checks": {
            spec.key: spec._replace(metadata=_ours(spec.metadata))
            for assets in defs.assets or []
            for spec in assets.check_specs
        },
        "ops": {
            assets.op.name: (
                assets.op.pool,
                assets.required_resource_keys,
                assets.backfill_policy,
                assets.can_subset,
                assets.op.config_schema.config_type.key,
            )
            for assets in defs.assets or []
        },
        "jobs": {
            job.name: (job.description, str(getattr(job, "selection", None)))
            for job in defs.jobs or []
        },
        "sensors": {
            sensor.name: (
                sensor.description,
                sensor.default_status,
                sensor.required_resource_keys,
                sensor.minimum_interval_seconds,
                [target.job_name for target in sensor.targets],
            )
            for sensor in defs.sensors or []
        },
        "schedules": [schedule.name for schedule in defs.schedules or []],
        "asset checks": [check.check_keys for check in defs.asset_checks or []],
        "resources": dict(defs.resources or {}),
    }


#: Where something was declared: Dagster adds it to what comes from a file.
ORIGIN = {"dagster/code_references", "dagster/component_origin"}


def _ours(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if name not in ORIGIN}


@pytest.fixture
def by_yaml_and_python() -> tuple[dg.Definitions, dg.Definitions]:
    with create_defs_folder_sandbox() as sandbox:
        a_project(sandbox.project_root)
        folder = sandbox.defs_folder_path / "words"
        folder.mkdir()
        declared = {
            "type": "batch_assets.BatchInferenceComponent",
            "attributes": yaml.safe_load(EVERY_FIELD),
        }
        (folder / "defs.yaml").write_text(yaml.safe_dump(declared))
        with sandbox.build_all_defs() as defs:
            in_python = the_same_in_python(sandbox.project_root)
            return defs, ba.batch_inference(in_python, translate=translated)


def test_the_declaration_below_uses_every_field():
    assert set(yaml.safe_load(EVERY_FIELD)) == set(ba.BatchInferenceComponent.model_fields)


def test_a_file_with_every_field_declares_what_python_does(tmp_path):
    project = a_project(tmp_path)

    found = ba.BatchInferenceComponent.resolve_from_yaml(EVERY_FIELD).inference(project)

    expected = the_same_in_python(project)
    for each in dataclasses.fields(ba.Inference):
        assert getattr(found, each.name) == getattr(expected, each.name), each.name


@pytest.mark.parametrize("kind", list(graph_of(dg.Definitions())))
def test_both_give_the_same_graph(by_yaml_and_python, kind):
    by_yaml, by_python = map(graph_of, by_yaml_and_python)

    assert by_yaml[kind] == by_python[kind]


def test_the_graph_that_is_compared_has_everything(by_yaml_and_python):
    _, by_python = by_yaml_and_python

    graph = graph_of(by_python)

    assert [kind for kind, found in graph.items() if not found] == [
        "schedules",
        "asset checks",
        "resources",
    ]
    assert len(graph["specs"]) == 5
