"""How the ledger's schema comes about, and what kind of database it may lie in."""

from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from factories import NOON
from ledger_world import Clock, open_set, planned

from batch_assets.domain.errors import LedgerError, UnknownLedgerVersion
from batch_assets.ledger import Ledger, migrations, schema
from batch_assets.ledger.engine import open_engine


def facts_of(engine: sa.Engine) -> dict[str, Any]:
    """Tables with what their columns are, as the database tells it."""
    inspector = sa.inspect(engine)
    return {
        table: {
            "columns": {
                column["name"]: (
                    str(column["type"]),
                    column["nullable"] and column["name"] not in _primary_key(inspector, table),
                )
                for column in inspector.get_columns(table)
            },
            "primary key": _primary_key(inspector, table),
            "foreign keys": {
                (key["constrained_columns"][0], key["referred_table"])
                for key in inspector.get_foreign_keys(table)
            },
        }
        for table in inspector.get_table_names()
    }


def _primary_key(inspector: sa.Inspector, table: str) -> list[str]:
    return inspector.get_pk_constraint(table)["constrained_columns"]


def constraints_of(engine: sa.Engine) -> set[str | None]:
    inspector = sa.inspect(engine)
    return _indexes_of(engine, inspector) | {
        found["name"]
        for table in inspector.get_table_names()
        for found in (
            *inspector.get_check_constraints(table),
            *inspector.get_unique_constraints(table),
        )
    }


def _indexes_of(engine: sa.Engine, inspector: sa.Inspector) -> set[str | None]:
    if engine.dialect.name == "postgresql":
        tables = inspector.get_table_names()
        return {found["name"] for table in tables for found in inspector.get_indexes(table)}
    # SQLAlchemy leaves out SQLite's indexes over expressions.
    named = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    with engine.connect() as connection:
        return set(connection.scalars(sa.text(named)))


def test_the_migrations_make_the_tables_that_the_queries_see(database, new_database):
    declared = open_engine(new_database())
    schema.metadata.create_all(declared)

    assert facts_of(database) == facts_of(declared)
    declared.dispose()


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_the_constraints_are_these(database):
    assert constraints_of(database) == {
        "approval_by_digest",
        "attempt_counts_from_one",
        "batch_by_end",
        "batch_by_open_state",
        "batch_by_request_set",
        "batch_key_is_unique",
        "canary_state_is_known",
        "ended_batch_has_end",
        "event_by_batch",
        "holder_has_lease",
        "lifted_pause_says_by_whom",
        "only_an_account_is_stopped",
        "partition_has_one_current_request_set",
        "pause_covers_one_thing",
        "paused_partition_has_an_inference",
        "provider_batch_has_one_row",
        "increment_by_request_set",
        "increment_has_rows",
        "request_set_is_named_by_its_digest",
        "rescue_wave_has_its_rescue",
        "reserved_batch_has_lease",
        "scope_is_paused_once",
        "sequence_counts_from_one",
        "sequence_is_given_once",
        "shard_has_one_live_batch",
        "sketch_by_fingerprint",
        "state_is_known",
        "submitted_batch_has_provider_id",
        "wave_counts_from_zero",
    }


def test_opening_a_ledger_again_changes_nothing(ledger, url, database):
    batches, facts = planned(ledger, shards=2), facts_of(database)
    ledger.close()

    again = Ledger.open(url)

    assert again.batches() == batches
    assert [again.events(batch.id) for batch in batches] == [
        ledger.events(batch.id) for batch in batches
    ]
    assert facts_of(database) == facts
    again.close()


def test_each_migration_is_applied_once_and_leaves_its_name(ledger, url, database, ledger_clock):
    Ledger.open(url).close()

    with database.connect() as connection:
        applied = connection.execute(sa.select(schema.migration)).all()
    assert [(row.number, row.name) for row in applied] == [
        (step.number, step.name) for step in migrations.MIGRATIONS
    ]
    assert applied[0].applied_at == ledger_clock.now


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
@pytest.mark.parametrize("version", range(1, len(migrations.MIGRATIONS) + 1))
def test_a_ledger_of_an_earlier_version_is_brought_up_to_date(new_database, monkeypatch, version):
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:version])
        old = Ledger.open(url := new_database())
        old.close()

    migrated, fresh = Ledger.open(url), Ledger.open(new_database())

    assert facts_of(migrated._engine) == facts_of(fresh._engine)
    assert constraints_of(migrated._engine) == constraints_of(fresh._engine)
    migrated.close()
    fresh.close()


def test_stragglers_of_an_older_ledger_are_counted_from_when_their_request_set_was_made(
    new_database, monkeypatch
):
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:6])
        old = Ledger.open(url := new_database())
        with old._writing.begin() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO request_set (inference, partition_key, digest, created_at, "
                    "is_current, wave) VALUES ('words', 'p', 'd', '2026-11-21 12:00:00.000000', "
                    "TRUE, 0)"
                )
            )
        old.close()

    migrated = Ledger.open(url)

    [request_set] = migrated.request_sets.current_ones("words")
    assert request_set.submitted_at == request_set.created_at
    assert (request_set.rescued_at, request_set.rescue_wave) == (None, None)
    migrated.close()


def test_a_ledger_of_a_newer_version_is_left_alone(ledger, url, database):
    with database.begin() as connection:
        connection.execute(
            schema.migration.insert().values(number=99, name="from the future", applied_at=NOON)
        )

    with pytest.raises(UnknownLedgerVersion, match=r"version 99.*upgrade batch-assets"):
        Ledger.open(url)


def test_times_come_back_in_utc_whatever_the_clocks_zone(url):
    clock = Clock()
    clock.now = NOON.astimezone(timezone(timedelta(hours=2)))
    ledger = Ledger.open(url, clock)

    created_at = open_set(ledger).created_at

    assert created_at == NOON
    assert created_at.utcoffset() == timedelta(0)
    ledger.close()


def test_the_files_of_an_embedded_ledger_are_private(tmp_path):
    """Prompts and errors may be read from it: only its owner may."""
    ledger = Ledger.open(f"sqlite:///{tmp_path}/deep/down/ledger.db")
    planned(ledger)

    files = sorted((tmp_path / "deep" / "down").iterdir())
    assert [file.name for file in files] == ["ledger.db", "ledger.db-shm", "ledger.db-wal"]
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
    for folder in (tmp_path / "deep", tmp_path / "deep" / "down"):
        assert folder.stat().st_mode & 0o777 == 0o700
    ledger.close()


def test_an_embedded_ledger_lets_others_read_while_one_writes(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger, reader = Ledger.open(url), Ledger.open(url)
    batches = planned(ledger)

    with ledger._writing.begin() as connection:
        connection.execute(schema.batch.update().values(reason="half"))
        assert reader.batches() == batches

    assert reader.batches()[0].reason == "half"
    ledger.close()
    reader.close()


def test_a_ledger_in_memory_works_for_one_process():
    ledger = Ledger.open("sqlite://")

    assert len(planned(ledger)) == 1
    ledger.close()


def test_a_file_that_is_no_database_is_refused_with_a_way_out(tmp_path: Path):
    (tmp_path / "ledger.db").write_bytes(b"not a database" * 100)

    with pytest.raises(LedgerError, match=r"cannot be read .*: restore it, or name another file"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.db")


@pytest.mark.parametrize("url", ["mysql://localhost/ledger", "ledger.db", ""])
def test_a_url_of_another_kind_is_refused_with_those_that_work(url):
    with pytest.raises(LedgerError, match=r"write sqlite:///path/to/ledger\.db or postgresql"):
        Ledger.open(url)


def test_a_password_in_a_broken_url_is_not_repeated():
    with pytest.raises(LedgerError) as refused:
        Ledger.open("postgresql:/user:hunter2@host/ledger")

    assert "hunter2" not in refused.value.message
