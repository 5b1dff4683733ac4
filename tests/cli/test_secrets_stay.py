"""No command says a key: not in a table, in JSON, in an error, or in its help."""

import pytest
from click.testing import CliRunner
from every_command import ANSWERS
from stage_world import refusal
from test_command_manners import COMMANDS
from test_every_command import SECRET, stage

from batch_assets.cli import main

__all__ = ["stage"]

#: Of the sandbox: what a command may ask.
ROUTES = (
    "batches.cancel",
    "batches.create",
    "batches.list",
    "batches.retrieve",
    "files.content",
    "files.create",
    "files.delete",
    "files.list",
    "files.retrieve",
)


def test_the_key_is_what_the_provider_is_asked_with(code_location, tmp_path):
    assert SECRET in (tmp_path / f"{code_location}.py").read_text()


@pytest.mark.parametrize("name", [name for name, typed in ANSWERS.items() if "{module}" in typed])
def test_a_provider_that_repeats_the_key_is_not_quoted_with_it(stage, script, name):
    echo = refusal(401, "invalid_api_key", f"Incorrect API key provided: {SECRET}.")
    script.replies = {route: [echo] * 9 for route in ROUTES}

    assert SECRET not in stage.run(ANSWERS[name], "-o", "json").output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_no_value_of_the_environment(name, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("BATCH_ASSETS_LEDGER_URL", f"postgresql+psycopg2://ada:{SECRET}@db/l")

    told = CliRunner().invoke(main, [*name.split()[1:], "--help"])

    assert told.exit_code == 0
    assert SECRET not in told.output


@pytest.mark.parametrize("command", ["status", "doctor", "ledger check", "ledger dump"])
def test_the_password_of_a_ledger_that_cannot_be_reached_is_not_shown(
    tmp_path, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    url = f"postgresql+psycopg2://ada:{SECRET}@127.0.0.1:1/ledger"

    refused = CliRunner().invoke(main, [*command.split(), "--db-path", url, "--root", "files"])

    assert refused.exit_code == 1
    assert SECRET not in refused.output


def test_a_key_in_dot_env_is_used_and_not_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "BATCH_ASSETS_DEPLOYMENT"):
        # So that what is read into the environment is gone after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={SECRET}\n")
    monkeypatch.setattr("batch_assets.cli.doctor._ADDRESSES", {})

    said = CliRunner().invoke(main, ["doctor"])

    assert "OPENAI_API_KEY is set" in said.stdout
    assert SECRET not in said.output
