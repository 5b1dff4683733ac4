"""What the sandbox remembers, in SQLite: killed at any moment, it loses nothing that it answered.

Contents of files lie beside the database as plain files and are complete before their row is.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of creation, which lists page by
    id TEXT NOT NULL UNIQUE,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    wire TEXT NOT NULL,                     -- the name of the wire that it came over
    bytes INTEGER NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0      -- the row stays: uploads are counted
);
CREATE TABLE IF NOT EXISTS batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    wire TEXT NOT NULL,                     -- the name of the wire that it came over
    endpoint TEXT NOT NULL,
    input_file_id TEXT NOT NULL,
    metadata TEXT,                          -- JSON as it was sent
    output_lifetime REAL NOT NULL,
    created_at REAL NOT NULL,
    latency REAL NOT NULL,                  -- the settings at creation, so that later ones
    cancel_delay REAL NOT NULL,             -- never move a batch back in time
    errors TEXT,                            -- JSON; NULL for a valid input file
    model TEXT,
    total INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    enqueued_tokens INTEGER NOT NULL,
    cancelling_at REAL,
    executed INTEGER NOT NULL DEFAULT 0,    -- set in the transaction that counts the executions
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    output_file_id TEXT,
    error_file_id TEXT
);
CREATE INDEX IF NOT EXISTS batches_waiting ON batches (executed, input_file_id);
CREATE TABLE IF NOT EXISTS batch_faults (
    batch_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    fault TEXT NOT NULL,                    -- JSON of a type in batch_faults.py
    looks INTEGER NOT NULL DEFAULT 0,       -- how often the fault was seen, where it counts that
    PRIMARY KEY (batch_id, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executed_bodies (
    digest BLOB PRIMARY KEY,                -- sha256 of the body, keys sorted
    times INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executed_custom_ids (
    custom_id TEXT PRIMARY KEY,
    times INTEGER NOT NULL
) WITHOUT ROWID;
"""
TABLES = ("files", "batches", "batch_faults", "executed_bodies", "executed_custom_ids")


class Database:
    """One connection for all threads of the server."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            path, isolation_level="IMMEDIATE", check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        # A killed process keeps what it committed in WAL mode, without a sync per commit.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA)
        for table in ("files", "batches"):
            self._add_wire(table)

    def _add_wire(self, table: str) -> None:
        """What was written before there were several wires came over the first."""
        columns = {row["name"] for row in self._connection.execute(f"PRAGMA table_info({table})")}
        if "wire" not in columns:
            self._connection.execute(
                f"ALTER TABLE {table} ADD COLUMN wire TEXT NOT NULL DEFAULT 'openai'"
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits at the end, or rolls back; nobody else reads or writes in between."""
        with self._lock, self._connection:
            yield self._connection

    def clear(self) -> None:
        with self.transaction() as connection:
            for table in TABLES:
                connection.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
