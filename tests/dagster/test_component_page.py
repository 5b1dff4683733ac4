"""The examples of docs/howto/declare-in-yaml.md load as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from component_files import WARNING
from dagster.components.testing.utils import component_defs
from dagster_shared.yaml_utils import safe_load_yaml
from pydantic import ValidationError

import batch_assets as ba

pytestmark = pytest.mark.filterwarnings(WARNING)

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "declare-in-yaml.md").read_text()
WHOLE, *PARTS = map(safe_load_yaml, re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
ROWS = [safe_load_yaml(row) for row in re.findall(r"^\| `(\{by: .*?\})` \|", PAGE, re.MULTILINE)]


def component(over: dict[str, Any]) -> ba.BatchInferenceComponent:
    return ba.BatchInferenceComponent.resolve_from_yaml(
        yaml.safe_dump(WHOLE["attributes"] | over, sort_keys=False)
    )


@pytest.fixture
def my_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project of the page's reader, as far as the page loads something of it."""
    (tmp_path / "my_project").mkdir()
    (tmp_path / "my_project" / "tickets.py").write_text(
        "import batch_assets as ba\n\n"
        "def TicketCorpus(url, queues):\n"
        "    return ba.FileCorpus(path=url, item_id=queues[0])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("my_project")
@pytest.mark.parametrize("part", [{}, *PARTS], ids=str)
def test_an_example_of_the_page_is_a_component(part):
    found = component(part)

    assert found.name == "tickets"
    assert set(part) <= found.model_fields_set


def subclass_of_the_page() -> type[ba.BatchInferenceComponent]:
    [source] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    module: dict[str, Any] = {"__name__": "team"}
    exec(source, module)
    return module["TeamInference"]


def test_the_subclass_of_the_page_adds_a_field_and_changes_the_specs(tmp_path):
    (tmp_path / "tickets.csv").write_text("id,text\n1,Where is it?\n")
    attributes = WHOLE["attributes"] | {
        "corpus": {"path": str(tmp_path / "tickets.csv"), "item_id": "id"},
        "translation": {"group_name": "support"},
        "owners": ["ada@example.com"],
        "team": "support",
    }

    made = subclass_of_the_page().resolve_from_yaml(yaml.safe_dump(attributes))

    specs = [spec for each in component_defs(component=made).assets or [] for spec in each.specs]
    assert {tuple(spec.owners) for spec in specs} == {("ada@example.com", "team:support")}
    assert {(spec.group_name, spec.tags["team"]) for spec in specs} == {("support", "support")}


def test_a_subclass_lacks_its_own_field_by_its_name():
    with pytest.raises(ValidationError, match=r"team at <string>:1"):
        subclass_of_the_page().resolve_from_yaml(yaml.safe_dump(WHOLE["attributes"]))


@pytest.mark.parametrize("partition_by", ROWS, ids=str)
def test_a_way_to_cut_partitions_of_the_page_is_one(partition_by):
    corpus = {"path": "data", "item_id": "id", "partition_by": partition_by}

    found = component({"corpus": corpus}).corpus.corpus(Path()).partition_by

    assert type(found).__name__.lower().removeprefix("by") == partition_by["by"]


def test_the_page_has_every_kind_of_corpus_and_of_partitions():
    from batch_assets.component.corpora import CorpusModel
    from batch_assets.component.partitions import PartitionByModel

    kinds = {key for part in PARTS for key in part.get("corpus", ())}

    assert set(CorpusModel.forms()) <= kinds
    assert {row["by"] for row in ROWS} == set(PartitionByModel.forms())
