"""Wrong use of every command: one line on stderr, the right exit code, and nothing lost."""

import sqlite3
from dataclasses import replace

import pytest
from click.testing import CliRunner
from every_command import ANSWERS, Stage
from test_command_manners import COMMANDS

from batch_assets.cli import main
from batch_assets.ledger.checkup import NEWEST

#: What reads no ledger, or says what is wrong with it in a table.
_WITHOUT_LEDGER = {
    "doctor",
    "batches-create",
    "batches-download",
    "files-download",
    "files-upload",
}
OVER_A_LEDGER = sorted(ANSWERS.keys() - _WITHOUT_LEDGER)

_ARGUMENTS = {
    "explain": ["no-such-item"],
    "export-artifacts": ["--to", "to"],
    "pause": ["--reason", "x"],
    "cancel": ["--drain", "--reason", "x"],
    "retry": ["--outcome", "invalid"],
    "wait": ["--no-refresh"],
}

#: Commands that ask a provider, which takes its key.
ASKING = (
    "audit",
    "batches cancel batch_1",
    "batches create {requests}",
    "batches delete batch_1 --yes",
    "batches download batch_1",
    "batches errors batch_1",
    "batches list",
    "batches show batch_1",
    "files delete file-1 --yes",
    "files download file-1",
    "files list",
    "files upload {requests}",
    "start --input {csv} --id-field id --prompt-field text --model gpt-5-mini",
)


@pytest.fixture
def stage(a_world, code_location, sandbox, db_path, files, tmp_path, monkeypatch):
    """A ledger of one resolved partition, and files to begin with."""
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", sandbox.base_url)
    monkeypatch.chdir(tmp_path)
    a_world(1).carry()
    (tmp_path / "a.csv").write_text("id,text\n1,hello\n")
    body = '{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}'
    (tmp_path / "requests.jsonl").write_text(
        f'{{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {body}}}\n'
    )
    return Stage(
        place=["--db-path", str(db_path), "--root", files.root],
        names={
            "module": code_location,
            "folder": tmp_path,
            "csv": tmp_path / "a.csv",
            "requests": tmp_path / "requests.jsonl",
            "item_id": "i-0",
            "ended_id": "batch_1",
            "open_id": "batch_1",
            "open_batch": 1,
            "file_id": "file-1",
        },
    )


def is_one_line(said: str) -> bool:
    return said.startswith("Error: ") and said.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("given", [["--no-such-option"], ["too", "many", "words", "of", "all"]])
def test_what_a_command_does_not_take_ends_it_with_2(tmp_path, monkeypatch, name, given):
    monkeypatch.chdir(tmp_path)
    if any(each.nargs == -1 for each in COMMANDS[name].params) and "too" in given:
        pytest.skip("it takes any number of words")

    refused = CliRunner().invoke(main, [*name.split()[1:], *given])

    assert refused.exit_code == 2
    assert is_one_line(refused.stderr), refused.stderr
    assert refused.stdout == ""
    assert list(tmp_path.iterdir()) == []


def lacking() -> list[str]:
    """Commands that need something to be given."""
    return [name for name, each in COMMANDS.items() if any(p.required for p in each.params)]


@pytest.mark.parametrize("name", lacking())
def test_what_is_wanting_is_named_and_ends_it_with_2(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)

    refused = CliRunner().invoke(main, name.split()[1:])

    assert refused.exit_code == 2
    assert is_one_line(refused.stderr), refused.stderr
    assert "--help" in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, command in COMMANDS.items()
        if any(each.name == "inference" for each in command.params)
    ],
)
def test_an_inference_that_is_not_there_ends_it_with_3(stage, name):
    command = name.split()[1]

    refused = stage.run(command, "wrods", *_ARGUMENTS.get(command, []))

    said = refused.stderr
    assert refused.exit_code == (3 if command not in ("retry", "resolve") else 1), said
    assert is_one_line(said)
    assert "wrods" in said


@pytest.mark.parametrize("name", OVER_A_LEDGER)
def test_a_ledger_of_a_newer_version_is_left_alone(stage, db_path, name):
    with sqlite3.connect(db_path) as ledger:
        row = (NEWEST + 1, "of tomorrow", "2027-01-01 00:00:00")
        ledger.execute("INSERT INTO migration VALUES (?, ?, ?)", row)
    ledger.close()

    refused = stage.run(ANSWERS[name])

    assert refused.exit_code == 1
    assert is_one_line(refused.stderr) or name == "ledger-check", refused.stderr
    assert f"version {NEWEST + 1}" in refused.output


@pytest.mark.parametrize("name", OVER_A_LEDGER)
def test_a_file_that_is_no_ledger_is_left_as_it_is(stage, tmp_path, name):
    (tmp_path / "notes.txt").write_text("Not a database. " * 100)

    place = ["--db-path", str(tmp_path / "notes.txt"), "--root", str(tmp_path / "files")]

    refused = replace(stage, place=place).run(ANSWERS[name])

    assert refused.exit_code == 1
    assert is_one_line(refused.stderr) or name == "ledger-check", refused.stderr
    assert "not a database" in refused.output
    assert (tmp_path / "notes.txt").read_text() == "Not a database. " * 100


@pytest.mark.parametrize("typed", ASKING)
def test_without_the_providers_key_nobody_is_asked(stage, typed, monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MISTRAL_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    refused = stage.run(typed)

    assert refused.exit_code == 6, refused.output
    assert "OPENAI_API_KEY" in refused.output
    assert "Traceback" not in refused.output
    assert isinstance(refused.exception, SystemExit)
