"""`batch-assets ledger`: its version, the sentences it keeps, and all its rows."""

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from command_answers import rows_of

from batch_assets.cli import main
from batch_assets.ledger.checkup import NEWEST


@pytest.fixture
def ledger_command(db_path, files):
    place = ["--db-path", str(db_path), "--root", files.root]
    return lambda *given: CliRunner().invoke(main, ["ledger", *map(str, given), *place])


def spoil(db_path, *statements: str) -> None:
    """What no program of ours does."""
    connection = sqlite3.connect(db_path)
    with connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def broken(result) -> dict[str, str]:
    rows = rows_of(result, "ledger-check/1", code=1)
    return {row["what"]: row["detail"] for row in rows if row["holds"] is False}


def test_a_ledger_in_use_keeps_every_sentence_and_is_counted(a_world, ledger_command):
    world = a_world(3)
    world.carry()

    rows = rows_of(ledger_command("check", "-o", "json"), "ledger-check/1")

    assert all(row["holds"] for row in rows if row["kind"] == "rule")
    counts = {row["what"]: row["rows"] for row in rows if row["kind"] == "count"}
    assert (counts["batch"], counts["batch.collected"], counts["request_set"]) == (1, 1, 1)
    assert counts["event"] == len(world.ledger.events(world.batch.id))


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        (
            "UPDATE batch SET state = 'ended'",
            "every batch is where its last event left it",
        ),
        (
            "UPDATE batch SET state = 'ended'",
            "nothing of a resolved request set is on its way",
        ),
        ("UPDATE batch SET wave = 7", "no batch is of a wave that its request set has not begun"),
        (
            "UPDATE batch SET provider_id = NULL",
            "a batch at the provider has the provider's id",
        ),
        ("DELETE FROM event WHERE to_state = 'submitted'", "every event is a legal move"),
        ("UPDATE event SET from_state = 'planned'", "every event is a legal move"),
        ("DELETE FROM request_set", "every row is of rows that are there"),
        (
            "INSERT INTO increment (request_set_id, inference, first_sequence, rows, path, at) "
            "VALUES (1, 'words', 5, 2, 'p', '2026-01-01 00:00:00')",
            "sequence numbers have no gap and no twin",
        ),
    ],
)
def test_what_a_ledger_must_never_say_is_found(a_world, ledger_command, db_path, statement, rule):
    a_world(3).carry()
    spoil(db_path, statement)

    found = broken(ledger_command("check", "-o", "json"))

    assert rule in found
    assert found[rule]


def test_a_damaged_file_is_one_line(db_path, ledger_command):
    db_path.write_bytes(b"this is no database" * 100)

    refused = ledger_command("check")

    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: the ledger's file cannot be read")
    assert refused.stderr.count("\n") == 1


def test_a_check_makes_no_ledger(ledger_command, db_path):
    refused = ledger_command("check")

    assert refused.exit_code == 1
    assert "there is no ledger" in refused.stderr
    assert not db_path.exists()


def newer(db_path) -> None:
    spoil(
        db_path,
        f"INSERT INTO migration VALUES ({NEWEST + 1}, 'of tomorrow', '2027-01-01 00:00:00')",
    )


@pytest.mark.parametrize(
    "command",
    [
        ["ledger", "migrate"],
        ["ledger", "dump"],
        ["status"],
        ["wait", "words", "--no-refresh"],
        ["results", "words"],
        ["explain", "words", "i-0"],
        ["pause", "words", "--reason", "x"],
        ["prune-artifacts", "words"],
        ["export-artifacts", "words", "--to", "x"],
    ],
)
def test_a_ledger_of_a_newer_version_is_one_line_for_every_command(
    a_world, db_path, files, command
):
    a_world(1).carry()
    newer(db_path)

    refused = CliRunner().invoke(main, [*command, "--db-path", str(db_path), "--root", files.root])

    assert refused.exit_code == 1
    assert refused.stderr == (
        f"Error: the ledger is at version {NEWEST + 1}, this batch-assets knows up to {NEWEST}: "
        "upgrade batch-assets, or point it at another ledger\n"
    )


def test_a_check_says_what_to_do_about_another_version(a_world, ledger_command, db_path):
    a_world(1).carry()
    newer(db_path)

    assert (
        "upgrade batch-assets"
        in broken(ledger_command("check", "-o", "json"))[f"its version is {NEWEST}"]
    )


def test_an_older_ledger_is_left_as_it_is_by_a_check_and_migrated_by_migrate(
    a_world, ledger_command, db_path
):
    a_world(1).ledger.close()
    spoil(db_path, f"DELETE FROM migration WHERE number = {NEWEST}", *_UNDO_OF_THE_NEWEST)

    checked = broken(ledger_command("check", "-o", "json"))
    migrated = ledger_command("migrate")

    assert "ledger migrate" in checked[f"its version is {NEWEST}"]
    assert f"at version {NEWEST}; it was at {NEWEST - 1}" in migrated.stderr
    assert ledger_command("check").exit_code == 0


#: SQLite's DROP COLUMN undoes a migration that added some.
_UNDO_OF_THE_NEWEST = ("ALTER TABLE request_set DROP COLUMN rescue_asks",)


def test_a_new_ledger_is_made(ledger_command, db_path):
    made = ledger_command("migrate")

    assert (made.exit_code, made.stdout) == (0, "")
    assert made.stderr == f"the ledger is at version {NEWEST}, new\n"
    assert db_path.exists()


def test_a_dump_has_every_row_of_every_table(a_world, ledger_command):
    world = a_world(3)
    world.carry()

    lines = [json.loads(line) for line in ledger_command("dump").stdout.splitlines()]

    assert {line["schema"] for line in lines} == {"batch-assets/ledger-dump/1"}
    [batch] = [line for line in lines if line["table"] == "batch"]
    assert (batch["state"], batch["provider_id"]) == ("collected", world.batch.provider_id)
    assert datetime.fromisoformat(batch["submitted_at"]).tzinfo == UTC
    events = [line for line in lines if line["table"] == "event"]
    assert len(events) == len(world.ledger.events(world.batch.id))


def test_a_dump_overwrites_nothing_silently(a_world, ledger_command, tmp_path):
    a_world(1).carry()
    path = tmp_path / "dump.jsonl"
    path.write_text("mine")

    refused = ledger_command("dump", "--output", path)
    kept = path.read_text()
    written = ledger_command("dump", "--output", path, "--overwrite")

    assert (refused.exit_code, kept) == (1, "mine")
    assert "--overwrite" in refused.stderr
    assert (written.exit_code, written.stdout) == (0, "")
    assert path.read_text().startswith('{"schema"')


def test_postgres_is_checked_and_dumped_as_sqlite_is(new_schema, files):
    with new_schema() as url:
        place = ["--db-path", url, "--root", files.root]
        made = CliRunner().invoke(main, ["ledger", "migrate", *place])
        checked = CliRunner().invoke(main, ["ledger", "check", *place])
        dumped = CliRunner().invoke(main, ["ledger", "dump", *place])

    assert [each.exit_code for each in (made, checked, dumped)] == [0, 0, 0], checked.output
    assert len(dumped.stdout.splitlines()) == NEWEST


def test_a_database_that_is_not_there_is_one_line_without_its_password(closed_port, files):
    url = f"postgresql+psycopg2://ada:hunter2@127.0.0.1:{closed_port}/db"

    refused = CliRunner().invoke(main, ["status", "--db-path", url, "--root", files.root])

    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: the ledger's database refuses")
    assert "hunter2" not in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_ledger_that_may_not_be_written_is_one_line(a_world, db_path, files):
    world = a_world(1)
    world.submit()
    world.ledger.close()
    command = [sys.executable, "-m", "batch_assets.cli", "pause", "words", "--reason", "x"]
    url = f"sqlite:///file:{db_path}?mode=ro&uri=true"

    ended = subprocess.run(
        [*command, "--db-path", url, "--root", files.root],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: the ledger's database refuses")
    assert "readonly" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_dump_to_a_full_disk_is_one_line(a_world, db_path):
    a_world(1).carry()
    command = [sys.executable, "-m", "batch_assets.cli", "ledger", "dump"]

    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [*command, "--db-path", str(db_path)], stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert (ended.returncode, ended.stderr) == (1, b"Error: No space left on device\n")


def test_the_rules_are_of_columns_that_there_are():
    """A rule that a migration breaks is found here, and not by an operator at night."""
    from batch_assets.ledger.checkup import _RULES

    for query in _RULES.values():
        assert isinstance(query(), sa.Select)
