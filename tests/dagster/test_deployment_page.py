"""What the page about deployment shows is what Dagster and this package take."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import s3fs
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster._core.workspace.config_schema import process_workspace_config

import batch_assets as ba
from batch_assets.resources import deployments, environment

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "howto" / "deployment.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def yaml_named(name: str) -> dict[str, Any]:
    """The page's file of that name, which is its first line."""
    [found] = [block for block in blocks("yaml") if block.startswith(f"# {name}\n")]
    loaded: dict[str, Any] = yaml.safe_load(found)
    return loaded


def variables() -> dict[str, str]:
    """What the page exports."""
    return dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", PAGE, re.MULTILINE))


def production() -> dict[str, Any]:
    """The resources of the page's code."""
    [code] = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(code, "deployment.md", "exec"), names)
    made: dict[str, Any] = names["production"]()
    return made


def test_an_instance_of_dagster_is_made_from_the_page_on_postgres(
    tmp_path, new_schema, monkeypatch
):
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(yaml_named("dagster.yaml")))
    key = dg.AssetKey("seen")
    with new_schema() as url:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="a"))
            storage, granularity = instance.event_log_storage, instance.get_settings("concurrency")
            assert type(storage).__name__ == "PostgresEventLogStorage"
            assert instance.get_materialized_partitions(key) == {"a"}
            assert granularity["pools"]["granularity"] == "run"


def test_what_the_page_tells_dagster_is_what_this_checkout_tells_it():
    ours = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    told = yaml_named("dagster.yaml")

    assert {name: told[name] for name in told if name != "storage"} == {
        name: ours[name] for name in told if name != "storage"
    }


def test_the_launcher_of_celery_is_added_to_a_valid_file():
    told = yaml_named("dagster.yaml") | yaml_named("dagster.yaml, added")

    assert validate_config(dagster_instance_config_schema(), told).success
    assert told["run_launcher"]["module"] == "dagster_celery.launcher"


def test_the_workspace_names_two_locations():
    told = process_workspace_config(yaml_named("workspace.yaml"))

    assert told.success
    names = [next(iter(each.values()))["location_name"] for each in told.value["load_from"]]
    assert names == ["support", "research"]


def test_kubernetes_is_told_to_be_untested():
    values = yaml_named("values.yaml")
    section = PAGE.split("## Kubernetes")[1].split("\n## ")[0]

    assert values["runLauncher"]["type"] == "K8sRunLauncher"
    assert section.lstrip().startswith("**Not tested.**")


def test_every_variable_of_a_deployment_is_on_the_page():
    told = set(variables())
    named = {environment.DEPLOYMENT, environment.LEDGER_URL, environment.FILES_ROOT}

    assert named | {"OPENAI_API_KEY"} <= told
    assert environment.HOME in PAGE


def test_the_page_has_a_row_for_each_deployment(monkeypatch):
    monkeypatch.setenv(environment.DEPLOYMENT, "another")
    with pytest.raises(ba.DeclarationError) as refused:
        deployments.chosen_deployment()

    for name in str(refused.value).split("it can be ")[1].split(", "):
        assert f"| `{name}`" in PAGE


def test_the_exported_variables_choose_production(monkeypatch):
    for name, value in variables().items():
        monkeypatch.setenv(name, value)

    chosen = deployments.chosen_deployment()

    assert chosen.name == "production"
    assert set(production()) <= set(chosen.resources)


@pytest.mark.parametrize("of", ["the page's code", "the deployment"])
def test_a_partition_is_made_with_its_ledger_on_postgres_and_its_files_on_s3(
    world, bucket, new_schema, monkeypatch, of
):
    s3fs.S3FileSystem.clear_instance_cache()
    with new_schema() as ledger_url:
        for name, value in {
            **variables(),
            "BATCH_ASSETS_LEDGER_URL": ledger_url,
            "BATCH_ASSETS_FILES_ROOT": f"{bucket.url}/production",
            "AWS_ACCESS_KEY_ID": bucket.options["key"],
            "AWS_SECRET_ACCESS_KEY": bucket.options["secret"],
            "AWS_ENDPOINT_URL_S3": bucket.options["endpoint_url"],
        }.items():
            monkeypatch.setenv(name, value)
        made = (
            production() if of == "the page's code" else deployments.chosen_deployment().resources
        )
        kept = {name: made[name] for name in ("batch_ledger", "batch_files")}
        world.declare(world.inference(world.corpus(a=2)), **kept)
        world.run("requests", "batches", partition="a")

        assert all(result.success for result in world.collect())

    s3fs.S3FileSystem.clear_instance_cache()
    assert world.materialized("bundle") == {"a"}
    assert any("/results/" in name for name in bucket.names())
    assert world.ledger.batches() == []
