"""What a shell offers for an argument when Tab is pressed: quickly, and never an error."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from batch_assets.cli.place import Place
from batch_assets.domain.errors import BatchAssetsError
from batch_assets.resources.environment import chosen_environment

_SQLITE = "sqlite:///"

#: Seconds for which another process's lock is waited for.
_PATIENCE = 0.2


def inferences(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> Sequence[str]:
    """The inferences of the ledger that begin so; none where it is not a file of SQLite's.

    The file is read by the standard library: the ledger's own would take half a second to import,
    and a server may be far away.
    """
    from batch_assets.cli.root import read_dot_env

    try:
        read_dot_env()
        place = Place(environment=chosen_environment(), ledger=context.params.get("ledger"))
        url = place.ledger_url
        if not url.startswith(_SQLITE):
            return []
        address = f"{Path(url.removeprefix(_SQLITE)).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as ledger:
            found = ledger.execute("SELECT DISTINCT inference FROM request_set ORDER BY inference")
            return [name for (name,) in found if name.startswith(incomplete)]
    except (BatchAssetsError, sqlite3.Error, OSError, ValueError):
        return []
