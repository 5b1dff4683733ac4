"""docs/howto/coming-from.md has only lines that are right, and that the tests beside this run."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from batch_assets.cli import main

FOLDER = Path(__file__).parent
PAGE = (FOLDER.parents[1] / "docs" / "howto" / "coming-from.md").read_text()
LINES = sorted(set(re.findall(r"`(batch-assets [^`]+)`", PAGE)))
TOOLS = ("batchor", "instructor", "xeroctl")


def texts_of(module: Path) -> set[str]:
    """The texts that a module of tests has: a whole line among them is there to be run."""
    nodes = ast.walk(ast.parse(module.read_text()))
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def parsed(line: str) -> click.Context:
    """The line as click takes it. Raises UsageError for what it does not know, or lacks."""
    command: click.Command = main
    context, words = click.Context(main, info_name="batch-assets"), shlex.split(line)[1:]
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name}"
        command = found
        context = (
            click.Context(command, parent=context, info_name=name)
            if isinstance(command, click.Group)
            else command.make_context(name, words, parent=context)
        )
    return context


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_page_is_right(line: str) -> None:
    assert parsed(line).params


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_page_is_run_by_a_test(line: str) -> None:
    modules = [FOLDER / f"test_coming_from_{tool}.py" for tool in TOOLS]

    assert any(line in texts_of(module) for module in modules)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_its_table(tool: str) -> None:
    [section] = re.findall(rf"^## {tool}\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)

    assert re.findall(r"https://\S+", section)
    assert re.findall(r"`(batch-assets [^`]+)`", section)


@pytest.mark.parametrize(
    "line", ["batch-assets stert", "batch-assets batches list --no-such", "batch-assets wait"]
)
def test_a_line_that_is_wrong_would_be_found(line: str) -> None:
    with pytest.raises((click.UsageError, AssertionError)):
        parsed(line)
