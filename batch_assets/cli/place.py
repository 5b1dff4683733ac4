"""Where a command works: the ledger and the files of a deployment, or others by name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from batch_assets.resources.environment import Environment, chosen_environment

if TYPE_CHECKING:
    from batch_assets.files import Files
    from batch_assets.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class Place:
    """The deployment that the environment chooses, where nothing else is named."""

    environment: Environment
    #: SQLAlchemy URL, or the path of a SQLite file.
    ledger: str | None = None
    #: Folder or bucket URL.
    root: str | None = None

    @property
    def ledger_url(self) -> str:
        """Raises DeclarationError where nothing names it."""
        if self.ledger is None:
            return self.environment.required_ledger_url()
        return self.ledger if "://" in self.ledger else f"sqlite:///{self.ledger}"

    @contextmanager
    def open_ledger(self) -> Iterator["Ledger"]:
        """The ledger, made where there is none."""
        from batch_assets.ledger import Ledger

        ledger = Ledger.open(self.ledger_url)
        try:
            yield ledger
        finally:
            ledger.close()

    def files(self) -> "Files":
        """The store. Raises DeclarationError where nothing names it."""
        from batch_assets.files import Files

        return Files(self.root or self.environment.required_files_root())


def at_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options that say where it works, as its first argument `place`."""

    @click.option(
        "--db-path",
        "ledger",
        metavar="LEDGER",
        help="The ledger: a SQLAlchemy URL, or the path of a SQLite file. Left out, the one of "
        "the deployment that BATCH_ASSETS_DEPLOYMENT chooses.",
    )
    @click.option(
        "--root",
        metavar="FOLDER",
        help="The store of files: a folder or a bucket URL. Left out, the deployment's.",
    )
    @wraps(command)
    def placed(*given: Any, ledger: str | None, root: str | None, **named: Any) -> Any:
        place = Place(environment=chosen_environment(), ledger=ledger, root=root)
        return command(place, *given, **named)

    return placed
