"""What a person is asked before something at a provider is deleted for good."""

from collections.abc import Callable, Collection
from typing import Any

import click


def with_consent(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the ids of what to delete, and the options `--yes` and `--force`."""
    for option in (
        click.option("--force", is_flag=True, help="Delete also what batches of ours still need."),
        click.option("--yes", is_flag=True, help="Do not ask whether it is meant."),
        click.argument("ids", metavar="ID...", nargs=-1, required=True),
    ):
        command = option(command)
    return command


def confirm(what: str, names: Collection[str]) -> None:
    """Ask on stderr whether these are to be deleted; nothing where there are none. Raises Abort."""
    if names:
        click.confirm(f"Delete {len(names):,} {what} ({', '.join(names)})?", abort=True, err=True)
