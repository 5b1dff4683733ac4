"""What a person sees beside materializations, read back from the event log after real runs."""

from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster import serialize_value

import batch_assets as ba
from batch_assets.domain.batch import BatchState
from batch_assets.domain.plain_text import cell
from batch_assets.sandbox.item_faults import Answer, NotJson, Refusal, TruncatedAnswer
from batch_assets.stages.results import COLUMNS, results_schema

#: Bytes that one event may have in the event log, whatever rows and answers say. The description
#: of the columns is a third of it.
MOST_BYTES = 23_000

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "image": "![pixel](https://evil.example/p.png?q=1)",
    "link": "[click](javascript:alert(1))",
    "table": "| a | b |\n|---|---|\n",
    "nul": "a\0b\x1b[31m",
    "direction": "safe\u202etxt.exe",
    "emoji": "\U0001f600" * 1000,
    "long": "long " * 1_000_000,
}


def said_of(world, name: str, partition: str = "a") -> dict[str, Any]:
    """The newest materialization's metadata, by name."""
    newest, *_ = world.materializations(name, partition)
    return {entry: value.value for entry, value in newest.metadata.items()}


def rows(table: Any) -> list[dict[str, Any]]:
    return [dict(record.data) for record in table.records]


def answered(world, *, rows_of_a: Any = 3, **over: Any) -> dict[str, Any]:
    """The results of partition a, once everything is collected."""
    world.declare(world.inference(world.corpus(a=rows_of_a), **over))
    world.run(partition="a")
    world.collect()
    return said_of(world, "results")


# Numbers


def test_shares_are_of_the_items_and_stand_beside_the_outcomes(world):
    once = ba.RetryPolicy(max_waves=1)
    world.script.items(NotJson(), containing="wolf")
    world.script.items(Refusal(), containing="bomb")
    world.script.items(TruncatedAnswer(), containing="novel")

    said = answered(
        world, rows_of_a=["oak", "wolf", "bomb", "novel", "elm", "ash", "fox", "owl"], retries=once
    )

    assert said["coverage"] == 5 / 8
    assert said["invalid_share"] == said["refused_share"] == said["truncated_share"] == 1 / 8
    assert {row["outcome"]: row["items"] for row in rows(said["outcomes"])} == {
        "ok": 5,
        "invalid": 1,
        "refused": 1,
        "truncated": 1,
    }


@pytest.mark.parametrize(
    "name",
    [
        "coverage",
        "invalid_share",
        "refused_share",
        "truncated_share",
        "tokens_per_item",
        "turnaround_hours",
        "cost_usd",
        "cost_per_item_usd",
    ],
)
def test_what_the_ui_plots_over_partitions_is_a_number(world, name):
    answered(world, prices=ba.Prices(input=1, output=1))

    [materialization] = world.materializations("results", "a")

    assert isinstance(materialization.metadata[name], dg.FloatMetadataValue)


def test_turnaround_is_from_the_first_batch_sent_to_the_last_one_ended(world):
    world.declare(world.inference(world.corpus(a=3)))
    world.run(partition="a")
    world.clock.advance(3 * 3600)
    world.tick()
    world.clock.advance(5 * 3600)

    world.run("raw_outputs", "results", partition="a")

    assert said_of(world, "results")["turnaround_hours"] == pytest.approx(3, abs=0.01)


def test_a_range_run_says_of_each_partition_what_is_its_own(world):
    world.declare(world.inference(world.corpus(a=2, b=5), prices=ba.Prices(input=1, output=1)))
    world.run("requests", "batches", between=("a", "b"))
    world.collect()

    both = [said_of(world, "results", partition) for partition in "ab"]

    assert [said["dagster/row_count"] for said in both] == [2, 5]
    assert [said["input_tokens"] for said in both] == [
        sum(pq.read_table(said["dagster/uri"])["input_tokens"].to_pylist()) for said in both
    ]
    assert both[0]["cost_usd"] < both[1]["cost_usd"]
    assert [len(rows(said["sample"])) for said in both] == [2, 5]
    asked = [said_of(world, "requests", partition) for partition in "ab"]
    assert [row["item_id"] for said in asked for row in rows(said["sample_prompts"])] == [
        *("a-0", "a-1"),
        *(f"b-{number}" for number in range(5)),
    ]


# Prompts and answers


def test_prompts_are_shown_as_they_are_sent(world):
    prompt = ba.Prompt(system="You know things.", user="Word: {{ word }}")
    world.declare(world.inference(world.corpus(a=["oak", "wolf", "oak"]), prompt=prompt))

    world.run("requests", partition="a")

    assert rows(said_of(world, "requests")["sample_prompts"]) == [
        {"item_id": "a-0", "prompt": "system: You know things.\nuser: Word: oak"},
        {"item_id": "a-1", "prompt": "system: You know things.\nuser: Word: wolf"},
        {"item_id": "a-2", "prompt": "system: You know things.\nuser: Word: oak"},
    ]


def test_five_prompts_stand_beside_their_answers(world):
    world.script.items(Answer(text="a tree"), containing="oak")

    said = answered(world, rows_of_a=["oak", "ash", "elm", "fir", "yew", "box"], output=None)

    sample = rows(said["sample"])
    answers = pq.read_table(said["dagster/uri"])["answer"].to_pylist()
    assert [row["prompt"] for row in sample] == [
        f"user: Word: {word}" for word in ("oak", "ash", "elm", "fir", "yew")
    ]
    assert [row["answer"] for row in sample] == answers[:5]
    assert sample[0]["answer"] == "a tree"


def test_a_long_prompt_is_cut_in_its_middle_where_the_row_is_not(world):
    prompt = ba.Prompt(system="You know things. " * 100, user="Word: {{ word }}")
    world.declare(world.inference(world.corpus(a=["oak"]), prompt=prompt))

    world.run("requests", partition="a")

    [row] = rows(said_of(world, "requests")["sample_prompts"])
    assert row["prompt"].startswith("system: You know things. You know")
    assert row["prompt"].endswith("You know things. \nuser: Word: oak")
    assert len(row["prompt"]) < 310


def test_items_of_one_pack_are_shown_with_the_request_they_share(world):
    said = answered(world, rows_of_a=["oak", "ash", "elm", "fir"], rows_per_request=2)

    prompts = [row["prompt"] for row in rows(said["sample"])]
    assert prompts[0] == prompts[1] != prompts[2] == prompts[3]
    assert '"text":"Word: ash"' in prompts[0]
    assert '"text":"Word: fir"' in prompts[2]


@pytest.mark.parametrize("kind", ["script", "image", "link", "table", "emoji", "long"])
def test_hostile_text_is_shown_as_plain_text_that_is_cut(world, kind):
    text = HOSTILE[kind]
    world.script.items(Answer(text=text[:100_000]), containing="Word")

    answered(world, rows_of_a=[text], output=None)

    for name, table in (("requests", "sample_prompts"), ("results", "sample")):
        [materialization] = world.materializations(name, "a")
        [row] = rows(materialization.metadata[table])
        begin = f"user: Word: {text}"[:16]
        assert row["prompt"].startswith(begin)
        assert len(row["prompt"]) <= 310
        assert len(serialize_value(materialization)) < MOST_BYTES
        kinds = set(map(type, materialization.metadata.values()))
        assert dg.MarkdownMetadataValue not in kinds
    assert row["answer"].startswith(text[:20])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE["nul"], "a\ufffdb\ufffd[31m"),
        (HOSTILE["direction"], "safe\ufffdtxt.exe"),
        # Half of a pair: no page and no Postgres column takes it.
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("two\r\nlines\tand a tab", "two\nlines\tand a tab"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 300 + "…"),
        ("\U0001f600" * 300, "\U0001f600" * 50 + "…"),
        (None, ""),
        (7, "7"),
    ],
)
def test_a_cell_is_text_that_every_page_can_show(text, shown):
    assert cell(text) == shown
    cell(text).encode()


# Files, batches, columns


def test_raw_outputs_name_their_files_with_bytes_and_lines(world):
    answered(world)

    said = said_of(world, "raw_outputs")

    [file] = rows(said["files"])
    content = Path(file["file"]).read_bytes()
    assert (file["bytes"], file["lines"]) == (len(content), 3)
    assert (said["bytes"], said["lines"]) == (file["bytes"], 3)
    assert file["file"].startswith(said["folder"])


def test_results_name_their_batches_and_how_long_each_took(world):
    said = answered(world)

    [row] = rows(said["batches"])
    [batch] = world.ledger.batches(states={BatchState.COLLECTED})
    assert (row["batch"], row["provider_id"], row["wave"]) == (batch.id, batch.provider_id, 0)
    assert (row["provider_status"], row["requests"]) == ("completed", 3)
    assert row["took"] == "0:01:40"


def test_each_column_of_ours_is_described(world):
    said = answered(world)

    described = {
        column.name: column.description for column in said["dagster/column_schema"].columns
    }
    assert described == COLUMNS
    assert list(described) == pq.read_schema(said["dagster/uri"]).names


def test_the_catalog_has_the_columns_before_anything_is_materialized(world):
    defs = world.declare(world.inference(world.corpus(a=1)))

    spec = defs.resolve_assets_def(world.key("results")).specs_by_key[world.key("results")]

    schema = spec.metadata["dagster/column_schema"]
    assert {column.name: column.description for column in schema.columns} == COLUMNS


def test_descriptions_say_what_an_asset_holds_and_how_it_is_read(world):
    defs = world.declare(world.inference(world.corpus(a=1), description="What words mean."))

    said = {
        name: defs.resolve_assets_def(world.key(name)).specs_by_key[world.key(name)].description
        for name in ("requests", "batches", "raw_outputs", "results", "bundle")
    }

    assert said["requests"].startswith("What words mean.\n\nThe rows of a partition as requests")
    assert "`label` string" in said["results"]
    assert "`words` list<item: string>" in said["results"]
    for name in ("raw_outputs", "results", "bundle"):
        assert f'dg.AssetIn(["words", "{name}"])' in said[name]


def test_a_description_names_the_key_that_the_asset_was_given(world):
    corpus = world.corpus(a=1)
    inference = world.inference(corpus)
    defs = ba.batch_inference(
        inference, translate=lambda spec: spec.replace_attributes(key=spec.key.with_prefix("my"))
    )

    specs = {key: spec for each in defs.assets for key, spec in each.specs_by_key.items()}

    results = dg.AssetKey(["my", "words", "results"])
    assert 'dg.AssetIn(["my", "words", "results"])' in specs[results].description


# Size


def test_an_event_stays_small_however_many_batches_and_reasons(world):
    one_each = ba.OpenAIResource(
        api_key="sk-test", base_url=world.sandbox.base_url, max_requests_per_batch=1
    )
    words = [f"{number} " + "long \u00fc\U0001f600 " * 300 for number in range(40)]
    inference = world.inference(
        world.corpus(a=words), retries=ba.RetryPolicy(max_waves=1), description="d" * 1000
    )
    world.declare(inference, openai=one_each)
    world.script.items(NotJson(), containing="Word")
    world.run(partition="a")
    world.collect()

    sizes = {}
    for name in ("requests", "batches", "raw_outputs", "results", "bundle"):
        [materialization] = world.materializations(name, "a")
        sizes[name] = len(serialize_value(materialization))
    assert max(sizes.values()) < MOST_BYTES, sizes
    said = said_of(world, "results")
    assert (len(rows(said["batches"])), said["batches_not_shown"]) == (5, 35)


def test_every_column_of_the_results_is_one_that_is_described():
    assert results_schema(pa.string()).names == list(COLUMNS)
