"""The declarations, orders and code of the how-to pages are what the package takes."""

import re
from pathlib import Path

import dagster as dg
import pytest
import yaml
from component_files import DEFAULTS, WARNING, a_project

import batch_assets as ba

PAGES = Path(__file__).parents[2] / "docs" / "howto"
YAML = re.compile(r"^ *```yaml\n(.*?)^ *```", re.DOTALL | re.MULTILINE)

#: The job that each page's orders are filled in for.
JOBS = {
    "approval.md": "approve_batches",
    "prompt-change.md": "words_submit_changed",
}


def blocks(page: str) -> list[dict]:
    found = YAML.findall((PAGES / page).read_text())
    assert found, f"{page} has no YAML"
    return [yaml.safe_load(each) for each in found]


def declarations() -> list[tuple[str, dict]]:
    pages = ["approval.md", "automation.md", "backfills.md", "canary.md"]
    return [
        (page, block["attributes"])
        for page in pages
        for block in blocks(page)
        if "attributes" in block
    ]


def orders() -> list[tuple[str, dict]]:
    return [(page, block) for page in JOBS for block in blocks(page) if "attributes" not in block]


@pytest.mark.filterwarnings(WARNING)
@pytest.mark.parametrize(
    ("page", "attributes"), declarations(), ids=lambda value: value if type(value) is str else ""
)
def test_what_a_page_declares_is_a_component(tmp_path, page, attributes):
    project = a_project(tmp_path)
    declared = yaml.safe_load(DEFAULTS) | attributes

    component = ba.BatchInferenceComponent.resolve_from_yaml(yaml.safe_dump(declared))

    inference = component.inference(project)
    defs = ba.batch_inference(inference, translate=component.get_asset_spec)
    assert sum(len(assets.specs) for assets in defs.assets or []) == 5


@pytest.mark.parametrize(
    ("page", "order"), orders(), ids=lambda value: value if type(value) is str else ""
)
def test_what_a_page_orders_is_run_configuration_of_its_job(world, page, order):
    world.declare(world.inference(world.corpus(a=1)))
    job = world.defs.resolve_job_def(JOBS[page])

    assert dg.validate_run_config(job, order)


def test_the_python_of_the_page_on_approval_runs(world, monkeypatch, capsys):
    _, code = (PAGES / "approval.md").read_text().split("```python\n")
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", world.sandbox.base_url)
    monkeypatch.setenv("BATCH_ASSETS_HOME", str(world.folder))

    exec(code.split("```")[0], {})

    assert capsys.readouterr().out == ""


def test_the_backfills_page_shows_the_chunks_that_are_there_by_themselves():
    [block] = [each for each in blocks("backfills.md") if "attributes" in each]

    assert ba.PartitionsPerRun(**block["attributes"]["partitions_per_run"]) == ba.PartitionsPerRun()
