"""A partition of hostile rows on its way, and a model that repeats what it was asked."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from stage_world import Script, World

from batch_assets.sandbox import Answer
from batch_assets.stages.export import Bundle, export
from batch_assets.stages.read import read_results

#: From the last text of a request to what the model says.
Says = Callable[[str], str]


class Repeats:
    """The model says the text that reached it, so that every change on either way shows."""

    def __init__(self, script: Script) -> None:
        self.says: Says | None = str
        script.answer = self._answer

    def _answer(self, body: dict[str, Any]) -> Answer | None:
        if self.says is None or "messages" not in body:
            return None
        return Answer(text=self.says(body["messages"][-1]["content"]))


def as_json(text: str) -> str:
    """The text as the answer of a structured output has it."""
    return json.dumps({"text": text}, ensure_ascii=len(text) % 2 == 0)


def results_of(world: World) -> pa.Table:
    """The partition's results, the same wherever they are read."""
    stored = world.table()
    pages = []
    after = 0
    while (page := read_results(world.deployment, world.recipe, after_sequence=after)).num_rows:
        pages.append(page)
        after = page.column("sequence")[-1].as_py()
    read = pa.concat_tables(pages).drop_columns("sequence").sort_by("item_index")
    assert read.equals(stored.sort_by("item_index"))
    return stored


def bundled(world: World) -> tuple[Bundle, pa.Table, list[dict[str, Any]]]:
    """The partition's bundle, the results in it, and the lines of its raw outputs."""
    folder, bundle = export(world.deployment, world.request_set)
    with world.files.open(f"{folder}/results.parquet") as source:
        results = pq.read_table(source)
    lines = []
    for file in bundle.files:
        if file.path.startswith("raw_outputs/"):
            packed = pa.PythonFile(world.files.open(f"{folder}/{file.path}"))
            with closing(pa.CompressedInputStream(packed, "zstd")) as stream:
                lines += [json.loads(line) for line in stream.read().split(b"\n") if line]
    return bundle, results, lines


def names_below(folder: Path) -> list[str]:
    """Every path below a folder."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*")]
