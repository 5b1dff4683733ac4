"""Places where a process can die: around each HTTP call, each file, each commit."""

import copy
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from batch_assets.files import Files
from batch_assets.files.store import NewFile
from batch_assets.ledger import Ledger
from batch_assets.resources.openai import OpenAIProvider


class Points:
    """Counts the places where the process could die; at the one chosen, it does."""

    def __init__(self, stop_at: int, diary: Path) -> None:
        self._stop_at = stop_at
        self._diary = diary
        self._passed = 0

    def __call__(self, name: str) -> None:
        self._passed += 1
        if self._passed == self._stop_at:
            self._diary.write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)


class PointedFiles(Files):
    """Files that are begun, and files that have their names."""

    def __init__(self, root: str, points: Points) -> None:
        super().__init__(root)
        self._points = points

    @contextmanager
    def create(self, path: str) -> Iterator[NewFile]:
        folder, name = path.split("/")[-2:]
        if folder == "increments":
            name = "increment.parquet"  # it has a name of its own each time
        with super().create(path) as new:
            self._points(f"{name} begun")
            yield new
        self._points(f"{name} written")


class PointedCalls:
    """HTTP calls that are about to be made, and calls that were answered."""

    def __init__(self, client: Any, points: Points) -> None:
        self._client, self._points = client, points

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        # Words for what was answered already; a wait that this server does not need.
        if name in ("describe", "wait_for_file"):
            return real

        def call(*args: Any, **options: Any) -> Any:
            self._points(f"{name} called")
            answer = real(*args, **options)
            self._points(f"{name} answered")
            return answer

        return call


def pointed_provider(provider: OpenAIProvider, points: Points) -> OpenAIProvider:
    """The provider with its own face of the one client."""
    pointed = copy.copy(provider)
    pointed.__dict__["_client"] = PointedCalls(provider._client, points)
    return pointed


def pointed_ledger(engine: sa.Engine, points: Points, clock: Callable[[], datetime]) -> Ledger:
    """Transactions that are about to be committed, and those that were."""
    committed: list[str] = []

    def before(connection: sa.Connection) -> None:
        points("commit asked for")
        committed.append("")

    def after(connection: Any, record: Any, state: Any) -> None:
        if committed:
            committed.clear()
            points("commit made")

    sa.event.listen(engine, "commit", before)
    sa.event.listen(engine, "reset", after)
    return Ledger(engine, clock)
