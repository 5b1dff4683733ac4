"""The lines of a stored raw output, and other lines in their place."""

import json
from collections.abc import Callable
from typing import Any

from stage_world import World

from batch_assets.stages.resolve import Resolution

Lines = list[bytes]


def lines_of(world: World, batch: int = 0) -> Lines:
    return world.files.read(world.layout.raw_output(world.batches[batch])).splitlines(keepends=True)


def rewrite(world: World, edit: Callable[[Lines], Lines], batch: int = 0) -> None:
    path = world.layout.raw_output(world.batches[batch])
    world.files.write(path, b"".join(edit(lines_of(world, batch))))


def fold(world: World) -> Resolution:
    resolution = world.advance()
    assert isinstance(resolution, Resolution)
    return resolution


def ordinal_of(line: bytes) -> int:
    return int(json.loads(line)["custom_id"].rpartition("-")[2])


def without(ordinal: int) -> Callable[[Lines], Lines]:
    return lambda lines: [line for line in lines if ordinal_of(line) != ordinal]


def renamed(line: bytes, custom_id: object) -> bytes:
    return json.dumps(json.loads(line) | {"custom_id": custom_id}).encode() + b"\n"


def failing(ordinals: set[int]) -> Callable[[str, str], dict[str, Any] | None]:
    """The first question about each of these requests ends in an error of the server."""
    failed: set[str] = set()

    def line(batch_id: str, custom_id: str) -> dict[str, Any] | None:
        if int(custom_id.rpartition("-")[2]) not in ordinals or custom_id in failed:
            return None
        failed.add(custom_id)
        return {"custom_id": custom_id, "response": {"status_code": 500, "body": {}}}

    return line
