"""The examples of docs/howto/use-results.md work as they stand there."""

import gzip
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from factories import Kind, a_corpus, a_recipe, a_table

import batch_assets as ba
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.files import Files
from batch_assets.stages.results import results_schema

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "use-results.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

WHOLE = ("stored_files", "export", "frames", "beside_the_asset", "labels", "answers")


@pytest.fixture
def page() -> dict[str, Any]:
    """All that the page defines."""
    names: dict[str, Any] = {}
    exec("\n".join(EXAMPLES[:-1]), names)
    assert set(WHOLE) < set(names)
    return names


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """The files of the local deployment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BATCH_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BATCH_ASSETS_DEPLOYMENT", raising=False)
    return Files(str(tmp_path / "home" / "local" / "files"))


@pytest.fixture
def glosses(a_world, home, tmp_path) -> ba.Inference:
    """An inference of two partitions that have their results."""
    world = a_world(1)
    world.deployment = replace(world.deployment, files=home)
    for key in ("a-b", "c-d"):
        table = a_table(2, word=["=bush", key], gloss=["a plant", "letters"])
        corpus = a_corpus(tmp_path / "glosses", table, key=key)
        world.recipe = a_recipe(corpus, inference="glosses")
        replace(world, partition_key=key).carry()
    prompt = ba.Prompt(user="Word: {{ word }}")
    return ba.Inference(name="glosses", corpus=corpus, prompt=prompt, model="m", output=Kind)


def test_the_export_of_the_page_is_a_file_of_both_partitions(page, glosses, tmp_path):
    assert page["export"](glosses) == 4

    header, *rows = gzip.decompress((tmp_path / "glosses.csv.gz").read_bytes()).splitlines()
    assert header == (
        b'"input.word","input.gloss","item_id","outcome",'
        b'"output.label","output.words","output.score"'
    )
    assert [row.split(b",")[0] for row in rows] == [b'"\'=bush"', b'"a-b"', b'"\'=bush"', b'"c-d"']


def test_the_frames_of_the_page_have_all_results(page, glosses):
    table, by_pandas, by_polars = page["frames"](glosses)

    ids = ["i-0", "i-1", "i-0", "i-1"]
    assert table.column("item_id").to_pylist() == ids
    assert by_pandas["item_id"].tolist() == ids
    assert by_polars["item_id"].to_list() == ids


def test_the_assets_of_the_page_can_be_defined(page):
    names = ("labels", "label_counts", "answers")

    keys = {page[name].key.to_user_string() for name in names}

    assert keys == set(names)


def test_an_upstream_asset_is_joined_as_the_page_says(page, a_world, home, tmp_path, monkeypatch):
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))

    @dg.asset
    def notes() -> pa.Table:
        return a_table(2, text=["one", "two"])

    corpus = AssetCorpus(key="notes", item_id="id")
    bound = corpus.bound(lambda key: a_table(2, text=["one", "two"]))
    world = a_world(1)
    world.deployment = replace(world.deployment, files=home)
    world.recipe = a_recipe(bound, inference="notes_read", user="{{ text }}")
    replace(world, partition_key="all").carry()
    prompt = ba.Prompt(user="{{ text }}")
    inference = ba.Inference(name="notes_read", corpus=corpus, prompt=prompt, model="m")
    with dg.DagsterInstance.get() as instance:
        dg.materialize([notes], instance=instance)

    reader = page["beside_the_asset"](inference, dg.Definitions(assets=[notes]))

    found = reader.read_all().column("input").to_pylist()
    assert found == [{"text": "one"}, {"text": "two"}]


def test_the_page_names_every_column_of_the_results():
    told = PAGE.partition("## Columns of results")[2]

    assert [name for name in results_schema(pa.string()).names if f"`{name}`" not in told] == []
