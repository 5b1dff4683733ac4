"""The servers that any test may have. Its place puts `factories` on the import path of all."""

import gc
import logging
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from postgres_server import shared_server

if TYPE_CHECKING:
    from s3_server import Bucket, Options


pytest_plugins = ["shared_fixtures"]

# Tests call this machine only. Every client reads all certificates it trusts, some tens of
# milliseconds for a machine's; in this folder it finds none.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.path.dirname(__file__)

# What a shell starts in the background ignores SIGINT, and so would the processes of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An instance of Dagster's that a test drops is closed by the garbage collector, at any moment, and
# SQLAlchemy logs that with a traceback. To write one Python parses source, and where that happens
# inside another parse, as of a class by `inspect`, Python 3.11.7 fails (python/cpython#106905).
logging.getLogger("sqlalchemy.pool.impl.NullPool").setLevel(logging.CRITICAL)

# The tests and the modules they import stay until the end, a million objects: looked through again
# and again, they are a seventh of the work.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files, so that in the end no worker is left alone with one of them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Look only through what tests leave behind, from now on."""
    gc.freeze()
    gc.set_threshold(25_000, 10, 10)
    gc.enable()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server that POSTGRES_URL names, or one that the session's workers share."""
    given = os.environ.get("POSTGRES_URL")
    if given:
        yield given
        return
    folder = tmp_path_factory.getbasetemp()
    # A worker's folder is one of several in the session's.
    with shared_server(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) as url:
        yield url


@pytest.fixture(scope="session")
def new_schema(postgres_url: str) -> Callable[[], AbstractContextManager[str]]:
    """Makes an empty schema on Postgres and gives its URL; in the end it is dropped."""

    @contextmanager
    def make() -> Iterator[str]:
        name = f"ledger_{secrets.token_hex(4)}"
        engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        found = engine.url.update_query_dict({"options": f"-csearch_path={name}"})
        yield found.render_as_string(hide_password=False)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")

    return make


@pytest.fixture(scope="session")
def s3() -> "Iterator[Options]":
    """What s3fs needs to reach the session's server."""
    # It takes two seconds to import, and few tests need it.
    from s3_server import running_s3

    with running_s3() as options:
        yield options


@pytest.fixture
def bucket(s3: "Options") -> "Bucket":
    """An empty one."""
    from s3_server import a_bucket

    return a_bucket(s3)
