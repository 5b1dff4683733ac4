"""Who gives an order at the terminal, for the record."""

import getpass
from collections.abc import Callable
from functools import wraps
from typing import Any

import click


def given_by(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option `--by`, as its argument `by`: the name for the record."""

    @click.option(
        "--by",
        metavar="NAME",
        default=_login,
        show_default="your login",
        help="Who gives the order: it stands in the ledger with the name.",
    )
    @wraps(command)
    def named(*given: Any, by: str, **options: Any) -> Any:
        if not by.strip():
            raise click.BadParameter("the order stands in the ledger with a name", param_hint="by")
        return command(*given, by=f"{by.strip()} (command line)", **options)

    return named


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name (Python 3.13 raises OSError).
        return "somebody"
