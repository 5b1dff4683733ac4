"""The code location of the browser's tests: an inference for each folder of the corpora."""

import os
from pathlib import Path
from typing import Literal

import dagster as dg
from pydantic import BaseModel

import batch_assets as ba
from batch_assets.resources.deployments import chosen_deployment


class Kind(BaseModel):
    """The answer."""

    label: Literal["animal", "plant", "place"]


def words(folder: Path) -> dg.Definitions:
    """The inference that is named as its folder, with a partition for each file in it."""
    inference = ba.Inference(
        name=folder.name,
        corpus=ba.FileCorpus(path=f"{folder}/*.jsonl", item_id="id"),
        prompt=ba.Prompt(
            system="Say what the word names: an animal, a plant or a place.",
            user="Word: {{ word }}",
        ),
        model="gpt-4.1-mini",
        output=Kind,
    )
    return ba.batch_inference(inference)


chosen = chosen_deployment()
defs = ba.with_operations(
    dg.Definitions.merge(
        *[words(folder) for folder in sorted(Path(os.environ["BROWSER_CORPORA"]).iterdir())],
        dg.Definitions(resources=chosen.resources, executor=dg.in_process_executor),
    ),
    minimum_interval_seconds=chosen.poll_seconds,
)
