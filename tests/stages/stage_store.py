"""Reads what preparing stored."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder; leftovers of a stopped process count too."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def written_at(files: Files) -> dict[str, int]:
    return {
        name: (Path(files.root) / name).stat().st_mtime_ns for name in contents(Path(files.root))
    }


def layout_of(manifest: Manifest) -> RequestSetLayout:
    return RequestSetLayout(
        inference=manifest.inference,
        partition_key=manifest.partition_key,
        digest=manifest.digest,
    )


def column(files: Files, manifest: Manifest, name: str) -> list[Any]:
    """A column of the item index."""
    with files.open(layout_of(manifest).items) as source:
        return pq.read_table(source)[name].to_pylist()


def lines(files: Files, manifest: Manifest) -> list[dict[str, Any]]:
    """The request lines of all shards."""
    return [
        json.loads(line)
        for shard in manifest.shards
        for line in files.read(shard.path).split(b"\n")
        if line
    ]


def json_body(line: bytes) -> bytes:
    """The bytes of a line's body as they stand in it."""
    return line[line.index(b'"body":') + len(b'"body":') : -1]
