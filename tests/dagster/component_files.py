"""Component files in a project of their own, and the same declarations in Python."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import jsonschema_rs
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from dagster_shared.yaml_utils import safe_load_yaml
from factories import a_table

import batch_assets as ba
from batch_assets.partitions import partitions_of

#: A call of Dagster's own, when it reads a component file.
WARNING = "ignore:`parse_obj_as` is deprecated:DeprecationWarning"

DEFAULTS = """
name: words
corpus: {path: words, item_id: id}
prompt: {user: "Word: {{ word }}"}
model_name: gpt-4.1-mini
"""
READY = {
    "custom_id": "q",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hi"}]},
}
SCHEMA = {
    "title": "code",
    "type": "object",
    "properties": {"code": {"type": "string", "enum": ["1", "2"], "description": "{% or %}"}},
    "required": ["code"],
    "additionalProperties": False,
}

# What import paths of the table name.
TONES = ba.Labels("warm", "cold")
DAYS = dg.DailyPartitionsDefinition("2026-01-01")


class WordCorpus(ba.FileCorpus):
    """A corpus of somebody's own."""


def ask(word: str) -> str:
    return f"What is {word}?"


def a_project(tmp_path: Path) -> Path:
    """A project's folder, with whatever the table names."""
    (tmp_path / "words").mkdir()
    columns = {"at": [datetime(2026, 1, 1)] * 2, "sound": pa.array([b"ID3"] * 2)}
    for key in ("a", "b"):
        pq.write_table(a_table(2, **columns), tmp_path / "words" / f"{key}.parquet")
    (tmp_path / "words.csv").write_text("i-0;oak\n")
    (tmp_path / "ready").mkdir()
    (tmp_path / "ready" / "q.jsonl").write_text(json.dumps(READY))
    (tmp_path / "letters").mkdir()
    (tmp_path / "code.json").write_text(json.dumps(SCHEMA))
    return tmp_path


def component(attributes: str) -> ba.BatchInferenceComponent:
    """The component of a file that says this beside the defaults."""
    return ba.BatchInferenceComponent.resolve_from_yaml(
        yaml.safe_dump(declared(attributes), sort_keys=False)
    )


def declared(attributes: str) -> dict[str, Any]:
    """The attributes, as Dagster reads them from the file."""
    return {**safe_load_yaml(DEFAULTS), **safe_load_yaml(attributes)}


def in_python(over: dict[str, Any], project: Path) -> ba.Inference:
    given = {
        "name": "words",
        "corpus": words(project),
        "prompt": ba.Prompt(user="Word: {{ word }}"),
        "model": "gpt-4.1-mini",
    }
    return ba.Inference(**{**given, **over})


def facts_of(inference: ba.Inference) -> dict[str, Any]:
    """What an inference does, whoever declared it."""
    recipe = inference.recipe()
    return {
        "corpus": recipe.corpus,
        "partitions": partitions_of(recipe.corpus, inference.name),
        "url": recipe.endpoint.url,
        "shape": recipe.endpoint.shape_digest,
        "output": recipe.endpoint.arrow_type,
        "retries": recipe.retries,
        "reuse": recipe.reuse,
    }


def words(project: Path, **over: Any) -> ba.FileCorpus:
    return ba.FileCorpus(**{"path": str(project / "words"), "item_id": "id", **over})


def conforms(attributes: str) -> bool:
    """Whether `dg check yaml`, and an editor, take what the file says."""
    schema = ba.BatchInferenceComponent.get_model_cls().model_json_schema()
    return jsonschema_rs.is_valid(schema, declared(attributes))
