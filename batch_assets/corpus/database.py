"""A database that is asked one query: where it is, what is bound, and its answer as it streams."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from batch_assets.domain.errors import CorpusError
from batch_assets.files.parquet import BATCH_ROWS

#: How a URL names the environment variable that holds it.
_FROM_ENVIRONMENT = "env:"

#: Parts of the names of a URL's parameters whose values nobody may read.
_SECRETS = ("passw", "pwd", "secret", "token", "key", "credential", "odbc_connect")


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What is bound to a query."""

    values: Mapping[str, Any]
    #: In which zone a time without one is meant.
    zone: str

    def for_dialect(self, dialect: str) -> dict[str, Any]:
        """The values as the database compares them with its own."""
        match dialect:
            case "postgresql":
                change = _as_it_is
            case "sqlite":
                change = _as_sqlite_text
            case _:
                change = _without_zone
        return {
            name: change(value) if isinstance(value, datetime) else value
            for name, value in self.values.items()
        }


def _as_it_is(moment: datetime) -> Any:
    return moment


def _without_zone(moment: datetime) -> Any:
    # Most drivers drop a zone or refuse it.
    return moment.replace(tzinfo=None)


def _as_sqlite_text(moment: datetime) -> Any:
    # SQLite compares times as text. At midnight the date alone stands before every way of writing
    # a time of that day, and before no time of the day before.
    plain = moment.replace(tzinfo=None)
    midnight = (plain.hour, plain.minute, plain.second) == (0, 0, 0)
    return plain.date().isoformat() if midnight else plain.isoformat(" ", "seconds")


def parameters_of(query: str) -> set[str]:
    """The names of a query's parameters."""
    return set(sa.text(query).compile().params)


def looked_up(url: str) -> sa.URL:
    """The URL that `url` is or stands for.

    Its text never stands in a message, since it may hold a password.
    """
    variable = getattr(url, "env_var_name", None)
    if variable is None and url.startswith(_FROM_ENVIRONMENT):
        variable = url.removeprefix(_FROM_ENVIRONMENT)
    if variable is not None and not os.environ.get(variable):
        raise CorpusError(
            f"environment variable {variable} is not set: put the database's SQLAlchemy URL there"
        )
    place = f"environment variable {variable}" if variable else "the corpus's url"
    try:
        return sa.make_url(os.environ[variable] if variable else url)
    except (sa.exc.ArgumentError, ValueError):
        raise CorpusError(
            f"{place} holds no SQLAlchemy URL; write postgresql+psycopg2://user@host/database "
            "or sqlite:///path/to/file.db"
        ) from None


class Database:
    """Where a query is asked. Messages of the driver are cleared of secrets before they go on."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._dialect = url.get_backend_name()
        port = f":{url.port}" if url.port else ""
        self.ref = f"{self._dialect}://{url.host or ''}{port}/{url.database or ''}"

    @contextmanager
    def answer(self, query: str, parameters: Parameters) -> Iterator["Answer"]:
        """The query's answer while it streams; the connection ends with the block."""
        with self.asking("the query failed"):
            engine = self._engine()
        try:
            with self.asking("no connection"):
                connection = engine.connect()
            with connection:
                with self.asking("the query failed"):
                    self._prepare(connection, parameters)
                    result = connection.execute(
                        sa.text(query),
                        parameters.for_dialect(self._dialect),
                        execution_options={"stream_results": True, "yield_per": BATCH_ROWS},
                    )
                    if not result.returns_rows:
                        raise CorpusError(f"{self.ref}: the query gives no rows: write a SELECT")
                yield Answer(self, result)
        finally:
            engine.dispose()

    def _engine(self) -> sa.Engine:
        if self._dialect == "sqlite":
            path = self._url.database or ""
            # SQLite would make an empty database of a name that is misspelt.
            if not path.startswith((":memory:", "file:")) and not Path(path).is_file():
                raise CorpusError(f"{self.ref}: there is no such file; check the corpus's url")
        return sa.create_engine(self._url, poolclass=sa.NullPool)

    def _prepare(self, connection: sa.Connection, parameters: Parameters) -> None:
        """Nothing can be written; on Postgres a time without a zone is in the windows' one."""
        if self._dialect == "postgresql":
            connection.execution_options(postgresql_readonly=True)
            zone = {"zone": parameters.zone}
            connection.execute(sa.text("SELECT set_config('TimeZone', :zone, true)"), zone)
        elif self._dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Translate what a driver raises."""
        try:
            yield
        except (sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise CorpusError(
                f"{self.ref}: its driver is not installed ({self._cleared(error)}): "
                "install it beside Dagster, and name it in the url as in postgresql+psycopg2://"
            ) from None
        except (sa.exc.SQLAlchemyError, ValueError, OverflowError) as error:
            # Not chained: the driver's own text may hold the password.
            said = self._cleared(getattr(error, "orig", None) or error)
            raise CorpusError(
                f"{self.ref}: {what} ({said}): correct the query or the url, "
                "or wait until the database is back, and materialize the partition again"
            ) from None

    def _cleared(self, error: BaseException) -> str:
        said = " ".join(str(error).split())
        parameters = self._url.query.items()
        secrets = [
            value
            for name, values in parameters
            if any(part in name.lower() for part in _SECRETS)
            for value in ([values] if isinstance(values, str) else values)
        ]
        for secret in (self._url.password, *secrets):
            said = said.replace(secret, "***") if secret else said
        return said


class Answer:
    """Rows of a query as they come."""

    def __init__(self, database: Database, result: sa.CursorResult[Any]) -> None:
        self._database = database
        self._result = result
        self.source_ref = database.ref
        self.names = list(result.keys())
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise CorpusError(
                f"{database.ref}: the query has several columns named {', '.join(repeated)}: "
                "give each a name of its own with AS"
            )
        described = result.cursor.description if result.cursor is not None else None
        self._described = list(described or [])

    def place_of(self, name: str) -> int:
        """The column's place in a row."""
        if name not in self.names:
            raise CorpusError(
                f"{self._database.ref}: the query has no column {name!r}; its columns are "
                f"{', '.join(self.names)}"
            )
        return self.names.index(name)

    def decimal(self, name: str) -> tuple[int | None, int | None]:
        """Digits and scale of a decimal column, where the driver knows them."""
        if not self._described:
            return None, None
        # Name, type, two sizes, digits, scale, nullable (PEP 249).
        _, _, _, _, digits, scale, *_ = self._described[self.place_of(name)]
        return digits, scale

    def batches(self) -> Iterator[list[tuple[Any, ...]]]:
        """The values of each column, some hundred rows at a time."""
        rows = 0
        parts = self._result.partitions(BATCH_ROWS)
        while True:
            with self._database.asking(f"the query failed at row {rows} or after it"):
                part = next(parts, None)
            if part is None:
                return
            yield list(zip(*part, strict=True))
            rows += len(part)
