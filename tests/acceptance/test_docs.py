"""What is not documented does not exist."""

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import batch_assets
from batch_assets.component.corpora import CorpusModel
from batch_assets.component.partitions import PartitionByModel
from batch_assets.domain.outcome import Outcome

PROJECT = Path(__file__).parents[2]
HOWTO = PROJECT / "docs" / "howto"
MARKDOWN = sorted(
    path
    for path in PROJECT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(PROJECT).parts)
)


def the_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "write_reference", PROJECT / "scripts" / "write_reference.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["api.md", "cli-schemas.md", "cli.md", "settings.md", "states.md"])
def test_the_reference_says_what_the_code_does_now(page: str) -> None:
    written = (PROJECT / "docs" / "reference" / page).read_text()

    assert written == the_reference().pages()[page], "run python scripts/write_reference.py"


def test_every_setting_has_a_description() -> None:
    undescribed = [
        f"{model.__name__}.{name}"
        for model in the_reference().SETTINGS.values()
        for name, field in model.model_fields.items()
        if not field.description
    ]

    assert undescribed == []


def test_the_reference_has_every_form_of_a_component_file() -> None:
    told = set(the_reference().SETTINGS.values())

    untold = {*CorpusModel.forms().values(), *PartitionByModel.forms().values()} - told

    assert untold == set()


def test_every_command_has_help() -> None:
    reference = the_reference()

    helpless = [
        name
        for name, command in reference._commands(reference.cli, "batch-assets")
        if not command.help
    ]

    assert helpless == []


def test_the_readme_has_fewer_than_700_words() -> None:
    assert len((PROJECT / "README.md").read_text().split()) < 700


def test_the_readme_names_every_outcome() -> None:
    readme = (PROJECT / "README.md").read_text()

    assert [outcome for outcome in Outcome if outcome not in readme] == []


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    broken = [target for target in relative_links(page) if not (page.parent / target).exists()]

    assert broken == []


def relative_links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            yield target


def test_every_how_to_is_linked_from_their_index_or_the_readme() -> None:
    index = HOWTO / "README.md"
    linked = {
        (page.parent / target).resolve()
        for page in (index, PROJECT / "README.md")
        for target in relative_links(page)
    }

    assert [page.name for page in HOWTO.glob("*.md") if page.resolve() not in linked] == []


def names_imported(page: Path) -> set[str]:
    """What the page's examples import from the package itself."""
    found = re.findall(r"^from batch_assets import (\([^)]*\)|.*)$", page.read_text(), re.MULTILINE)
    return {name for names in found for name in re.findall(r"\w+", names)}


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda path: str(path.relative_to(PROJECT)))
def test_what_a_page_imports_is_public(page: Path) -> None:
    assert names_imported(page) - set(batch_assets.__all__) == set()


def test_every_public_name_says_what_it_is() -> None:
    silent = [name for name in batch_assets.__all__ if not getattr(batch_assets, name).__doc__]

    assert silent == []


def test_every_script_is_named_in_the_readme_or_in_contributing() -> None:
    told = (PROJECT / "README.md").read_text() + (PROJECT / "CONTRIBUTING.md").read_text()
    scripts = {path.name for path in (PROJECT / "scripts").iterdir() if path.is_file()}

    assert {name for name in scripts if f"scripts/{name}" not in told} == {"environment"}


def test_the_changelog_knows_the_version() -> None:
    version = importlib.metadata.version("batch-assets")

    assert f"## [{version}]" in (PROJECT / "CHANGELOG.md").read_text()
