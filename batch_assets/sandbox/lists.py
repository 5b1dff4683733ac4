"""Texts that ask about several things at once: one JSON object with an `id` and a `text` a line."""

from typing import NamedTuple

import msgspec


class Listed(NamedTuple):
    id: str
    text: str


class _Line(msgspec.Struct):
    id: str
    text: str


_decode = msgspec.json.Decoder(_Line).decode


def listed_in(text: str) -> list[Listed]:
    """The things a text lists; none where it is a text about one."""
    found = []
    for line in text.split("\n"):
        if line.startswith("{"):
            try:
                thing = _decode(line)
            except msgspec.DecodeError:
                return []
            found.append(Listed(thing.id, thing.text))
    return found
