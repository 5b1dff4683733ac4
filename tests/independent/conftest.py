"""The servers, and partitions that go through them. Figures are printed at the end."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from independent_figures import FIGURES
from independent_partition import Partition, a_partition
from independent_servers import Running, aimock, ogx
from stage_world import Border

from batch_assets.domain.provider import Provider

#: What aimock's model says to a message with such a word.
FIXTURES = [
    {
        "match": {"userMessage": "busy"},
        "response": {"error": {"message": "Slow down."}, "status": 429},
    },
    {
        "match": {"userMessage": "broken"},
        "response": {"error": {"message": "Oops."}, "status": 500},
    },
    {
        "match": {"userMessage": "wrong"},
        "response": {"error": {"message": "I cannot."}, "status": 400},
    },
    {"match": {"userMessage": "long"}, "response": {"content": "cut", "finishReason": "length"}},
    {"match": {"userMessage": "odd"}, "response": {"content": "no JSON"}},
    {
        "match": {"userMessage": "word"},
        "response": {"content": '{"label": "plant", "words": ["oak"], "score": 3}'},
    },
]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in FIGURES:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def installed() -> Path:
    """Where the servers are."""
    folder = os.environ.get("INDEPENDENT_SERVERS")
    assert folder is not None, "run ./scripts/independent, which installs the servers"
    return Path(folder)


@pytest.fixture(scope="session")
def aimock_server(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with aimock(installed, tmp_path_factory.mktemp("aimock"), FIXTURES) as running:
        yield running


@pytest.fixture(scope="session")
def ogx_server(
    installed: Path, aimock_server: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Its model is aimock's."""
    folder = tmp_path_factory.mktemp("ogx")
    with ogx(installed, folder, f"{aimock_server.origin}/v1") as running:
        yield running


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[Callable[..., Partition]]:
    """Makes a partition of words for a provider; keywords are a_recipe's."""
    made: list[Partition] = []

    def make(provider: Provider, words: list[str], **recipe: Any) -> Partition:
        folder = tmp_path / f"{len(made)}"
        folder.mkdir()
        made.append(a_partition(folder, provider, words, **recipe))
        return made[-1]

    yield make
    for each in made:
        each.ledger.close()
        each.deployment.provider.close()


class HeaderBorder(Border):
    """Adds headers to the calls that it passes on."""

    def __init__(self, origin: str, headers: Mapping[str, str]) -> None:
        self._headers = headers
        super().__init__(origin)

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> bytes:
        return super().answer(method, path, {**dict(headers), **self._headers}, body)


@pytest.fixture
def border() -> Iterator[Callable[..., Border]]:
    """Stands before a server: it can lose its replies and add headers to calls."""
    made: list[Border] = []

    def make(server: Running, headers: Mapping[str, str] | None = None) -> Border:
        made.append(HeaderBorder(server.origin, headers or {}))
        return made[-1]

    yield make
    for each in made:
        each.stop()
