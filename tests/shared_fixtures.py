"""What tests of several folders work with: one clock, one sandbox for the session, and what stands
on both sides of it. Each test finds the sandbox empty and behaving.

A plugin, loaded by the root conftest.py; a folder's conftest.py adds what is its own. What takes
long to import is imported by the fixtures, since most tests need none of it.
"""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stage_world import Script

    from batch_assets.files import Files
    from batch_assets.ledger import Ledger
    from batch_assets.resources.openai import OpenAIProvider
    from batch_assets.sandbox import ManualClock, RunningSandbox


@pytest.fixture(scope="session")
def shared_clock() -> "ManualClock":
    """The session's, at the time where an earlier test left it."""
    from batch_assets.sandbox import ManualClock

    return ManualClock()


@pytest.fixture
def clock(shared_clock: "ManualClock") -> "ManualClock":
    """The provider's and the ledger's, at the same time in 2025 for each test: what tests let go by
    must not add up until it passes the time of the commands, which is the machine's."""
    from batch_assets.sandbox import ManualClock

    shared_clock.restart(ManualClock().now())
    return shared_clock


@pytest.fixture(scope="session")
def served(shared_clock: "ManualClock") -> "Iterator[tuple[RunningSandbox, Script]]":
    """The session's sandbox, with whatever an earlier test left in it."""
    from stage_world import Script

    from batch_assets.sandbox import running_sandbox

    script = Script()
    with running_sandbox(clock=shared_clock, faults=script) as running:
        yield running, script


@pytest.fixture
def sandbox(served: "tuple[RunningSandbox, Script]", clock: "ManualClock") -> "RunningSandbox":
    """Empty, with the settings of stage_world."""
    from stage_world import SETTINGS

    running, script = served
    script.forget()
    running.state.reset()
    running.state.change_settings(SETTINGS)
    return running


@pytest.fixture
def script(served: "tuple[RunningSandbox, Script]", sandbox: "RunningSandbox") -> "Script":
    """What the sandbox does in place of behaving: nothing so far."""
    return served[1]


@pytest.fixture
def faults(script: "Script") -> "Script":
    """The same, where a test only scripts faults of the sandbox's own."""
    return script


@pytest.fixture
def files(tmp_path: Path) -> "Files":
    """An empty store."""
    from batch_assets.files import Files

    return Files(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty ledger, to be copied: its migrations take as long as a short test."""
    from batch_assets.ledger import Ledger

    path = tmp_path_factory.mktemp("migrated") / "ledger.db"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def ledger(tmp_path: Path, clock: "ManualClock", migrated: Path) -> "Iterator[Ledger]":
    """An empty one on SQLite."""
    from stage_world import a_ledger

    shutil.copy(migrated, tmp_path / "ledger.sqlite3")
    ledger = a_ledger(tmp_path, clock)
    yield ledger
    ledger.close()


@pytest.fixture
def provider_at() -> "Iterator[Callable[..., OpenAIProvider]]":
    """Makes providers for an address; keywords are OpenAIProvider's."""
    from stage_world import a_provider

    made: list[OpenAIProvider] = []

    def make(base_url: str, **over: Any) -> "OpenAIProvider":
        made.append(a_provider(base_url, **over))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture(scope="session")
def provider(served: "tuple[RunningSandbox, Script]") -> "Iterator[OpenAIProvider]":
    """The sandbox's; one for the session, since each takes a while to make."""
    from stage_world import a_provider

    provider = a_provider(served[0].base_url)
    yield provider
    provider.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
