"""A ledger on every database it is made for: SQLite and Postgres."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger_processes import Crew
from ledger_world import Clock

from batch_assets.ledger import Ledger
from batch_assets.ledger.engine import open_engine

NewDatabase = Callable[[], str]


@pytest.fixture(params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewDatabase]:
    """Makes an empty database and gives its URL; on Postgres, a schema of the server's."""
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{tmp_path / 'ledgers' / secrets.token_hex(4)}.db"
        return
    new_schema = request.getfixturevalue("new_schema")
    with ExitStack() as schemas:
        yield lambda: schemas.enter_context(new_schema())


@pytest.fixture
def url(new_database: NewDatabase) -> str:
    return new_database()


@pytest.fixture
def ledger_clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(url: str, ledger_clock: Clock) -> Iterator[Ledger]:
    opened = Ledger.open(url, ledger_clock)
    yield opened
    opened.close()


@pytest.fixture
def other(ledger: Ledger, url: str, ledger_clock: Clock) -> Iterator[Ledger]:
    """The same ledger, as another process has it open."""
    opened = Ledger.open(url, ledger_clock)
    yield opened
    opened.close()


@pytest.fixture
def database(ledger: Ledger, url: str) -> Iterator[sa.Engine]:
    """The database behind the ledger's back."""
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    """Four processes."""
    four = Crew(4)
    yield four
    four.dismiss()
