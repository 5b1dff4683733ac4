"""What the database itself refuses, and how its schema comes about."""

from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from factories import NOON
from ledger_world import ACCOUNT, Clock, ended, open_set, planned

from batch_assets.domain.errors import LedgerError, UnknownLedgerVersion
from batch_assets.ledger import Ledger, migrations, schema
from batch_assets.ledger.engine import open_engine

pytest_plugins = ["ledger_fixtures"]

Insert = Callable[..., None]


@pytest.fixture
def insert_batch(ledger: Ledger, database: sa.Engine) -> Insert:
    """Writes a second batch beside the planned one of shard 0, behind the ledger's back."""
    request_set = planned(ledger)[0].request_set

    def insert(**over: Any) -> None:
        row: dict[str, Any] = {
            "request_set_id": request_set.id,
            "wave": 0,
            "shard": 1,
            "attempt": 1,
            "account": ACCOUNT,
            "endpoint": "/v1/chat/completions",
            "state": "planned",
            "key": "a key",
            "requests": 1,
            "tokens": 1,
            "created_at": NOON,
            "refusals": 0,
        }
        with database.begin() as connection:
            connection.execute(schema.batch.insert().values(**row | over))

    return insert


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"shard": 0}, "shard has one live batch"),
        ({"state": "submitted"}, "submitted batch has provider id"),
        ({"state": "ended", "ended_at": NOON}, "submitted batch has provider id"),
        ({"state": "reserved"}, "reserved batch has lease"),
        ({"state": "reserved", "lease_owner": "run-1"}, "reserved batch has lease"),
        ({"state": "ended", "provider_id": "b"}, "ended batch has end"),
        ({"state": "lost"}, "state is known"),
        ({"attempt": 0}, "attempt counts from one"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_the_database_keeps_what_must_hold_of_a_batch(insert_batch, row, sentence):
    with pytest.raises(LedgerError, match=sentence):
        insert_batch(**row)


def test_a_batch_belongs_to_an_account_and_a_request_set_that_exist(insert_batch):
    with pytest.raises(LedgerError):
        insert_batch(account="nobody")
    with pytest.raises(LedgerError):
        insert_batch(request_set_id=4711)


def test_a_shard_may_have_any_number_of_abandoned_batches(insert_batch, ledger):
    for attempt in (2, 3):
        insert_batch(shard=0, state="abandoned", attempt=attempt, key=f"key {attempt}")

    assert len(ledger.batches()) == 3


def test_a_key_is_the_key_of_one_batch(insert_batch, ledger):
    with pytest.raises(LedgerError, match="batch key is unique"):
        insert_batch(key=ledger.batches()[0].key)


def test_two_accounts_may_have_batches_of_the_same_id(insert_batch, ledger, database):
    """Two providers name their batches without asking each other."""
    ended(ledger, ledger.batches()[0], id="batch-1")
    with database.begin() as connection:
        connection.execute(schema.account.insert().values(name="another"))

    insert_batch(account="another", provider_id="batch-1", state="submitted")

    assert len({batch.account for batch in ledger.batches()}) == 2


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"digest": "d1", "is_current": False}, "request set is named by its digest"),
        ({"digest": "d2", "is_current": True}, "partition has one current request set"),
        ({"digest": "d2", "is_current": False, "wave": -1}, "wave counts from zero"),
        ({"digest": "d2", "is_current": False, "holder": "run-1"}, "holder has lease"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_the_database_keeps_what_must_hold_of_a_request_set(ledger, database, row, sentence):
    open_set(ledger)
    named = {"inference": "words", "partition_key": "p", "created_at": NOON, "wave": 0}

    with pytest.raises(LedgerError, match=sentence), database.begin() as connection:
        connection.execute(schema.request_set.insert().values(**named | row))


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
    tables = inspector.get_table_names()
    return {
        found["name"]
        for table in tables
        for found in (
            *inspector.get_check_constraints(table),
            *inspector.get_unique_constraints(table),
            *inspector.get_indexes(table),
        )
    }


def test_the_migrations_make_the_tables_that_the_queries_see(database, new_database):
    declared = open_engine(new_database())
    schema.metadata.create_all(declared)

    assert facts_of(database) == facts_of(declared)
    declared.dispose()


def test_the_constraints_are_these(database):
    assert constraints_of(database) == {
        "attempt_counts_from_one",
        "batch_by_open_state",
        "batch_key_is_unique",
        "ended_batch_has_end",
        "event_by_batch",
        "holder_has_lease",
        "partition_has_one_current_request_set",
        "provider_batch_has_one_row",
        "request_set_is_named_by_its_digest",
        "reserved_batch_has_lease",
        "shard_has_one_live_batch",
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
