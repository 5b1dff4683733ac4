"""The options of `batches create`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True, kw_only=True)
class Given:
    """The options as they were given."""

    files: tuple[str, ...]
    prefix: str | None
    again: bool
    endpoint: str | None
    metadata: tuple[str, ...]
    dry_run: bool
    is_waiting: bool
    timeout: float | None
    every: float | None

    def check(self) -> None:
        """Raise UsageError for options that do not go together."""
        if bool(self.files) == (self.prefix is not None):
            both = ", not both" if self.files else ""
            raise click.UsageError(f"give either files or --prefix{both}")
        if self.prefix is not None and self.endpoint is None:
            raise click.UsageError("--prefix: give --endpoint too, since the lines are not read")
        if self.dry_run and self.is_waiting:
            raise click.UsageError("--dry-run sends nothing, so there is nothing to --wait for")
        if not self.is_waiting and (self.timeout is not None or self.every is not None):
            raise click.UsageError("--timeout and --every are for --wait")
        by_place: dict[Path, str] = {}
        for name in self.files:
            place = Path(name).resolve()
            if place in by_place:
                also = "" if by_place[place] == name else f", also as {by_place[place]}"
                raise click.UsageError(
                    f"{name} is given twice{also}: its batch would be paid for twice"
                )
            by_place[place] = name

    @property
    def words(self) -> Mapping[str, str]:
        """The metadata: names and values. A comma begins the next where a name and `=` follow it.

        Raises UsageError.
        """
        words: dict[str, str] = {}
        for each in self.metadata:
            for part in re.split(r",(?=[^,=]+=)", each):
                name, equals, value = part.partition("=")
                name = name.strip()
                if not name or not equals:
                    raise click.UsageError(f"--metadata {part}: write it as name=value")
                if name in words:
                    raise click.UsageError(f"--metadata {name} is given twice")
                words[name] = value
        return words


def with_given(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options, as its argument `given`."""

    @click.argument("files", metavar="FILE...", nargs=-1)
    @click.option(
        "--prefix",
        metavar="TEXT",
        help="In place of files here: each request file at the provider whose name begins so.",
    )
    @click.option(
        "--again",
        is_flag=True,
        help="Also of requests that a batch was made of already: they are paid for again.",
    )
    @click.option(
        "--endpoint",
        metavar="NAME|PATH",
        help="Where the requests go: chat, responses, … or /v1/…. Left out, what the lines say, or "
        "the provider's only one.",
    )
    @click.option(
        "--metadata",
        "metadata",
        multiple=True,
        metavar="NAME=VALUE,…",
        help="Words that each batch carries at the provider. May be repeated, and have several.",
    )
    @click.option("--dry-run", is_flag=True, help="Check everything and say what would be sent.")
    @click.option("--wait", "is_waiting", is_flag=True, help="Stay until all batches have ended.")
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="With --wait: wait no longer. Left out, it waits as long as it takes.",
    )
    @click.option(
        "--every",
        type=click.FloatRange(min=0.1),
        metavar="SECONDS",
        help="With --wait: how often the provider is asked. Left out, 5 of the sandbox, else 30.",
    )
    @wraps(command)
    def told(*positional: Any, **named: Any) -> Any:
        given = Given(**{field: named.pop(field) for field in Given.__dataclass_fields__})
        return command(*positional, given=given, **named)

    return told
