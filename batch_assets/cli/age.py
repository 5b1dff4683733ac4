"""How long ago, as an option says it."""

import re
from datetime import timedelta

import click

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def age(_context: click.Context, _option: click.Parameter, value: str | None) -> timedelta | None:
    """A duration as 30d, 12h, 90m or 2w; the callback of an option."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,5})([mhdw])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no age: give a number and m, h, d or w, as 30d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
