"""Opens a database so that the ledger's transactions mean the same on SQLite and Postgres."""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from batch_assets.domain.errors import LedgerError
from batch_assets.files.store import make_private_folder
from batch_assets.ledger.refusals import refusal_of

_WRITES = "ledger_writes"

#: How long a writer waits for another on SQLite. Moves take milliseconds; this is for slow disks.
_BUSY_TIMEOUT_MS = 60_000

#: How long Postgres keeps the locks of a writer whose machine is gone without a word.
_LONGEST_SILENCE_MS = 60_000


def open_engine(url: str) -> sa.Engine:
    """An engine for a SQLAlchemy URL; the file of a SQLite database is made where it is missing.

    Raises LedgerError for a database of another kind.
    """
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except sa.exc.ArgumentError as error:
        # The URL may hold a password, and so may SQLAlchemy's message.
        raise _unknown_database("what is given is no URL") from error
    if backend == "postgresql":
        # The count of a budget must see what was committed while it waited for the account's lock.
        engine = sa.create_engine(parsed, pool_pre_ping=True, isolation_level="READ COMMITTED")
        sa.event.listen(engine, "connect", _prepare_postgres)
    elif backend == "sqlite":
        if parsed.database and not parsed.database.startswith((":memory:", "file:")):
            _make_private_file(Path(parsed.database))
        engine = sa.create_engine(parsed)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    else:
        raise _unknown_database(f"{backend} is not supported")
    sa.event.listen(engine, "handle_error", _refuse)
    return engine


def writing(engine: sa.Engine) -> sa.Engine:
    """The same engine for transactions that write."""
    return engine.execution_options(**{_WRITES: True})


def _unknown_database(why: str) -> LedgerError:
    return LedgerError(
        f"the ledger's URL: {why}; write sqlite:///path/to/ledger.db "
        "or postgresql+psycopg2://user@host/database"
    )


def _make_private_file(path: Path) -> None:
    # SQLite gives the files beside it the mode of the database.
    make_private_folder(path.parent)
    # Never open one that is there: closing it again would drop the locks SQLite has on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _prepare_postgres(connection: Any, _record: Any) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {_LONGEST_SILENCE_MS}")
    connection.commit()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by _begin_sqlite, not by the driver's guess.
    connection.isolation_level = None
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            _use_wal(cursor)
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        connection.close()
        raise LedgerError(
            f"the ledger's file cannot be read ({error}): restore it, or name another file"
        ) from error


def _use_wal(cursor: sqlite3.Cursor) -> None:
    # The busy timeout does not cover two processes that switch a new database at once.
    deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    # A deferred transaction that reads and then writes fails at once when another wrote between:
    # a writer takes the lock before it reads.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _refuse(context: sa.engine.ExceptionContext) -> None:
    if isinstance(context.sqlalchemy_exception, sa.exc.IntegrityError):
        raise refusal_of(context.original_exception) from context.original_exception
