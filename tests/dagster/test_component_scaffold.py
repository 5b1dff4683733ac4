"""What `dg scaffold defs` writes loads as it is, in YAML as in Python; nonsense is not written."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
import yaml
from component_files import WARNING, a_project
from dagster.components.testing.utils import DefsFolderSandbox, create_defs_folder_sandbox

import batch_assets as ba

pytestmark = pytest.mark.filterwarnings(
    WARNING,
    "ignore:Class `.*CodeReference.*` is currently in beta:dagster.BetaWarning",
    "ignore:Function `load_definitions_from_modules?` .* in preview:dagster.PreviewWarning",
)

FORMATS = ("yaml", "python")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[DefsFolderSandbox]:
    """A project with a corpus in `words`."""
    with create_defs_folder_sandbox() as sandbox:
        a_project(sandbox.project_root)
        yield sandbox


def scaffold(project: DefsFolderSandbox, folder: str = "tickets", **over: Any) -> Path:
    """The folder, with the four flags that have no default, and these."""
    written = over.pop("format", "yaml")
    given = {
        "corpus_path": "words",
        "item_id": "id",
        "prompt": "Word: {{ word }}",
        "model_name": "gpt-4.1-mini",
    }
    return project.scaffold_component(
        component_cls=ba.BatchInferenceComponent,
        defs_path=folder,
        scaffold_params={**given, **over},
        scaffold_format=written,
    )


def loaded(project: DefsFolderSandbox) -> dg.Definitions:
    with project.build_all_defs() as defs:
        return defs


def keys_of(defs: dg.Definitions) -> set[str]:
    return {key.to_user_string() for assets in defs.assets or [] for key in assets.keys}


FLAGS: dict[str, dict[str, Any]] = {
    "four": {},
    "labels": {"labels": ["plant", "animal"]},
    "a type": {"output": "factories:Kind", "rows_per_request": 4},
    "a schema": {"output": "code.json"},
    "embeddings": {
        "endpoint": "embeddings",
        "model_name": "text-embedding-3-small",
        "provider": "second",
    },
    "texts with quotes": {
        "prompt": "Say \"{{ word }}\" or\n'{{ id }}': ü\\n",
        "description": 'What "it" is: a word?',
    },
    "a file of CSV": {"corpus_path": "words.csv", "item_id": "{{ i }}", "prompt": "{{ w }}"},
    "a name": {"name": "mails"},
}


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("flags", FLAGS)
def test_what_the_flags_say_is_what_loads(project, flags, written):
    (project.project_root / "words.csv").write_text("i,w\n1,oak\n")

    scaffold(project, format=written, **FLAGS[flags])

    name = FLAGS[flags].get("name", "tickets")
    assert keys_of(loaded(project)) >= {f"{name}/requests", f"{name}/results"}


@pytest.mark.parametrize("flags", FLAGS)
def test_both_formats_declare_the_same(project, flags):
    (project.project_root / "words.csv").write_text("i,w\n1,oak\n")
    name = FLAGS[flags].get("name", "tickets")
    folder = scaffold(project, format="yaml", **FLAGS[flags])
    in_yaml = yaml.safe_load((folder / "defs.yaml").read_text())["attributes"]
    (folder / "defs.yaml").unlink()
    scaffold(project, format="python", **FLAGS[flags])

    module = {"__name__": "component"}
    exec((folder / "component.py").read_text(), module)
    in_python = module[name](None)

    assert in_python == ba.BatchInferenceComponent(**in_yaml)


def test_the_file_has_the_flags_that_were_given_and_no_defaults(project):
    folder = scaffold(project, labels=["plant", "animal"], provider="second")

    assert yaml.safe_load((folder / "defs.yaml").read_text())["attributes"] == {
        "name": "tickets",
        "corpus": {"path": "words", "item_id": "id"},
        "prompt": {"user": "Word: {{ word }}"},
        "model_name": "gpt-4.1-mini",
        "output": {"labels": ["plant", "animal"]},
        "provider": "second",
    }


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "my tickets"}, "inference name 'my tickets': use letters, digits"),
        ({"item_id": "key"}, "no column 'key' for the item id; it has id, word"),
        ({"prompt": "{{ term }}"}, "reads term, which it does not have; it has id, word"),
        ({"prompt": "{{ word "}, "the user template"),
        ({"prompt": "Hello"}, "the prompt reads no field of the corpus"),
        ({"endpoint": "chats"}, "endpoint 'chats' is unknown: give one of chat"),
        ({"rows_per_request": 0}, "rows_per_request is 0; it is 1, or at most"),
        ({"output": "my_project.Answer"}, "write it as package.module:Name"),
        ({"output": "factories:Knid"}, "'factories:Knid' cannot be imported"),
        ({"labels": ["a", "a"]}, "labels ['a'] are given twice"),
        ({"labels": ["a"], "output": "text"}, "give labels or output, not both"),
    ],
)
def test_nonsense_is_refused_in_words_and_nothing_is_written(project, given, said, written):
    with pytest.raises(click.ClickException) as refused:
        scaffold(project, format=written, **given)

    assert said in refused.value.message
    # A folder would be in the way of the next try.
    assert not (project.defs_folder_path / "tickets").exists()


def test_a_folder_that_is_no_name_is_refused_with_the_way_out(project):
    with pytest.raises(click.ClickException, match="--name"):
        scaffold(project, "my-tickets")

    scaffold(project, "my-tickets", name="my_tickets")
    assert "my_tickets/results" in keys_of(loaded(project))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"corpus_path": "later/*.parquet"}, "the corpus is not there yet"),
        ({"output": "nowhere.at_all:Kind"}, "the output is not there yet"),
        ({"output": "later.json"}, "the output is not there yet"),
    ],
)
def test_what_can_still_come_is_a_warning(project, capsys, given, said):
    folder = scaffold(project, **given)

    assert (folder / "defs.yaml").is_file()
    assert said in capsys.readouterr().err


def test_it_says_what_the_project_needs_beside_the_file(project, capsys):
    scaffold(project, provider="second")

    said = capsys.readouterr().out
    assert "the resources batch_ledger, batch_files and second" in said
    assert "with_operations" in said


def test_a_scaffolded_module_is_formatted(project):
    folder = scaffold(project, format="python", labels=["a", "b"], description="What it is.")
    source = (folder / "component.py").read_text()

    assert ast.parse(source)
    assert source.startswith("import dagster as dg\n")
    assert source.count("\n\n\n") == 1
    assert json.dumps("What it is.") in source


class Ours(ba.BatchInferenceComponent):
    """A team's own component."""


@pytest.mark.parametrize("written", FORMATS)
def test_a_subclass_is_scaffolded_as_itself(project, written):
    project.scaffold_component(
        component_cls=Ours,
        defs_path="tickets",
        scaffold_params={
            "corpus_path": "words",
            "item_id": "id",
            "prompt": "{{ word }}",
            "model_name": "gpt-4.1-mini",
        },
        scaffold_format=written,
    )

    assert "tickets/results" in keys_of(loaded(project))
