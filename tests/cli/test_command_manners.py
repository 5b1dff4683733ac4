"""What all commands have in common: help with an example, a schema, one line for an error."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

import batch_assets.cli
from batch_assets.cli import main
from batch_assets.cli.render import Row
from batch_assets.cli.schemas import json_schema_of, rows_by_schema


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for each in command.list_commands(context):
        child = command.get_command(context, each)
        assert child is not None
        yield from commands(child, f"{name} {each}")


COMMANDS = dict(commands(main, "batch-assets"))
SCHEMAS = rows_by_schema()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_of_itself(name):
    told = COMMANDS[name].help or ""

    assert re.search(rf"Example: {name}\b", told)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name):
    options = [each for each in COMMANDS[name].params if isinstance(each, click.Option)]

    assert [each.name for each in options if not each.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_of_one_name_means_the_same_everywhere(name):
    """--by, --partition, --reason and the like are learned once."""
    for option in COMMANDS[name].params:
        if option.name in ("by", "ledger", "root", "module"):
            twin = next(
                other
                for each in COMMANDS.values()
                for other in each.params
                if other.name == option.name
            )
            assert (option.opts, getattr(option, "help", "")) == (
                twin.opts,
                getattr(twin, "help", ""),
            )


def test_every_schema_that_a_command_names_is_written_down():
    folder = Path(batch_assets.cli.__file__).parent
    named = {
        getattr(import_module(f"batch_assets.cli.{path.stem}"), constant)
        for path in folder.glob("*.py")
        for constant in re.findall(r"^(\w*SCHEMA) = schema_of", path.read_text(), re.MULTILINE)
    }

    # A dump's rows are those of the ledger's tables.
    assert named - {"batch-assets/ledger-dump/1"} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_describes_its_row_and_demands_every_field_without_a_default(name):
    row: type[Row] = SCHEMAS[name]

    schema = json_schema_of(row)

    definition = schema["$defs"][row.__name__]
    assert definition["description"]
    assert set(definition["properties"]) == set(row.__struct_fields__)
