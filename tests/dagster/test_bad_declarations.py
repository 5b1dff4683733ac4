"""Everything a person can get wrong is an error that says what, where and the way out.

Nothing is sent in any of these cases: the sandbox counts what reaches it.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from factories import a_table
from pydantic import BaseModel

import batch_assets as ba
from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.resources.deployments import chosen_deployment


@pytest.fixture(autouse=True)
def nothing_is_sent(world) -> Iterator[None]:
    yield
    assert world.sent() == world.script.called("files.create") == 0


class WithDict(BaseModel):
    scores: dict[str, int]


class WithAny(BaseModel):
    anything: Any


def reason(result: dg.ExecuteInProcessResult) -> str:
    """What a run that failed says to a person."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    failure = event.step_failure_data
    if failure.user_failure_data is not None:
        return failure.user_failure_data.description
    return failure.error.to_string()


# At the declaration


@pytest.mark.parametrize(
    ("over", "said"),
    [
        # The name becomes a part of op names.
        ({"name": "my words"}, "inference name 'my words': use letters, digits and underscores"),
        ({"name": "2words"}, "no digit first"),
        ({"name": "w" * 64}, "63 at most"),
        ({"prompt": ba.Prompt(user="Hello")}, "the prompt reads no field of the corpus"),
        # A field that no column has: file, field and the columns there are.
        (
            {"prompt": ba.Prompt(user="{{ term }}")},
            r"a\.parquet: the prompt of words reads term, .* it has id, word",
        ),
        ({"prompt": ba.Prompt(user="{{ word ")}, "the user template .*line 1"),
        ({"output": WithDict}, "output WithDict, field scores: an open object"),
        ({"output": WithAny}, "output WithAny, field anything: .*give it a plain type"),
        ({"output": "factories.Kind"}, "write it as package.module:Name"),
        ({"output": "nowhere.at_all:Kind"}, "'nowhere.at_all:Kind' cannot be imported"),
        ({"output": "factories:Knid"}, "'factories:Knid' cannot be imported .*Knid"),
        ({"output": "factories:a_table"}, "'factories:a_table' is not a Pydantic model"),
        ({"settings": {"heat": 0}}, "setting 'heat' is unknown to .*temperature"),
        ({"settings": {"response_format": {}}}, "'response_format' cannot be given: it comes from"),
        ({"settings": {"stream": True}}, "'stream' cannot be given: a batch does not stream"),
        ({"settings": {"temperature": 3}}, "setting 'temperature' cannot be 3: .*<= 2"),
        ({"model": None}, r"inference words: it has no model \(model_name in YAML\); only ready"),
        ({"prompt": None}, "inference words: it has no prompt; only ready-made requests need none"),
        ({"output": {"labels": ["warm", "warm"]}}, r"labels \['warm'\] are given twice"),
        # What a template puts in is no promise.
        (
            {"output": "json_object", "prompt": ba.Prompt(user="{{ word }}", system="Be short.")},
            "refuses json_object unless .* the word 'json'; ask for JSON in the system prompt",
        ),
        ({"endpoint": "chats"}, "endpoint 'chats' is unknown: give one of chat, responses"),
        (
            {"endpoint": "embeddings", "model": "text-embedding-3-small"},
            "output Kind cannot be asked of /v1/embeddings",
        ),
        (
            {
                "endpoint": "completions",
                "output": None,
                "prompt": ba.Prompt(user="{{ word }}", system="Be short."),
            },
            "the prompt has a system message, .* write it into the user template",
        ),
        ({"prompt": ba.Prompt(call="nowhere:ask")}, "call 'nowhere:ask' cannot be imported"),
        ({"prompt": ba.Prompt(call="factories.Kind")}, "call .* write it as package.module:Name"),
        ({"prompt": ba.Prompt(call=lambda word: word)}, "which has no name that another process"),
        # A column that a part reads and that is not there.
        (
            {"prompt": ba.Prompt(user=["What is it?", ba.Image(column="photo")])},
            r"a\.parquet: the prompt of words reads photo, .* it has id, word",
        ),
        (
            {"prompt": ba.Prompt(user=["{{ word }}", ba.File(url="https://a.b/{{ word }}.pdf")])},
            "chat completions take no URL of a file: .* use the endpoint responses",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_before_anything_is_loaded(world, over, said):
    corpus = world.corpus(a=2)

    with pytest.raises(DeclarationError, match=re.compile(said, re.DOTALL)):
        world.inference(corpus, **over)


def test_a_corpus_that_is_not_there_is_refused_with_its_path(world):
    corpus = ba.FileCorpus(path=str(world.folder / "nowhere"), item_id="id")

    with pytest.raises(CorpusError, match=r"/nowhere: no such file, .* check the corpus's"):
        world.inference(corpus)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (
            lambda path: ba.FileCorpus(path=path, item_id="id", partition_by=ba.ByRows(0)),
            r"ByRows\(0\): a partition has one row at least",
        ),
        (
            lambda path: ba.FileCorpus(path=path, item_id="id", partition_by=ba.ByColumn("a", ())),
            r"ByColumn\('a'\): list the values that are partitions",
        ),
        (
            lambda path: ba.FileCorpus(path=path, item_id="id", format="xml"),
            r"FileCorpus\(format='xml'\): use one of parquet, csv",
        ),
        (
            lambda path: ba.FileCorpus(path=path, item_id="id", types={"id": "text"}),
            "'text' of column 'id' is no type of Arrow; use one as string",
        ),
        (
            lambda path: ba.SqlCorpus(url="env:A", query="SELECT :key", item_id="id"),
            "nothing is bound to :key; its parameters are :partition_key",
        ),
        (
            lambda path: ba.AssetCorpus(
                key="warehouse/words",
                item_id="id",
                partitions_def=dg.MultiPartitionsDefinition(
                    {name: dg.StaticPartitionsDefinition([name]) for name in ("day", "lang")}
                ),
            ),
            "asset warehouse/words: partitions of several dimensions .* or read its files",
        ),
        (
            lambda path: ba.CompositeCorpus(
                sources=[("a", ba.FileCorpus(path=path, item_id="id"))] * 2
            ),
            "namespace 'a' is there twice: give each its own",
        ),
    ],
)
def test_a_corpus_that_cannot_be_is_refused_where_it_is_declared(world, declare, said):
    path = world.corpus(a=2).path

    with pytest.raises(DeclarationError, match=re.compile(said, re.DOTALL)):
        declare(path)


def test_ready_made_requests_take_neither_prompt_nor_settings(world):
    corpus = ready_made(world, "gpt-4.1-mini")

    with pytest.raises(DeclarationError, match="have their prompt and model in their bodies"):
        world.inference(corpus)
    with pytest.raises(DeclarationError, match=r"setting 'seed' cannot be given: .* write it into"):
        world.inference(corpus, prompt=None, model=None, settings={"seed": 1})


def ready_made(world, *models: str) -> ba.RequestFileCorpus:
    """A file with a request to each of the models."""
    path = world.folder / "ready" / "q.jsonl"
    path.parent.mkdir()
    lines = [
        {
            "custom_id": f"q-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": model, "messages": [{"role": "user", "content": "Hi"}]},
        }
        for number, model in enumerate(models)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return ba.RequestFileCorpus(path=str(path))


def test_an_id_column_that_is_not_there_is_refused_with_those_that_are(world):
    corpus = ba.FileCorpus(path=world.corpus(a=2).path, item_id="key")

    with pytest.raises(CorpusError, match=r"a\.parquet: no column 'key' .* it has id, word"):
        world.inference(corpus)


@pytest.mark.parametrize(
    "partition_by",
    [ba.ByColumn("lang", ("de",)), ba.ByTime("lang", "daily", datetime(2026, 1, 1))],
    ids=["by column", "by time"],
)
def test_a_column_of_partitions_that_is_not_there_is_refused(world, partition_by):
    path = world.corpus(a=2).path
    corpus = ba.FileCorpus(path=path, item_id="id", partition_by=partition_by)

    with pytest.raises(
        CorpusError,
        match=r"a\.parquet: no column 'lang' to cut partitions by; it has id, word: name one of",
    ):
        world.inference(corpus)


def test_a_corrupt_file_is_refused_with_its_name(world):
    corpus = world.corpus(a=2)
    (world.folder / "corpus" / "words" / "a.parquet").write_bytes(b"PAR1 but no more")

    with pytest.raises(CorpusError, match=r"a\.parquet.*not readable as Parquet .*write the file"):
        world.inference(corpus)


def test_an_inference_that_names_no_provider_of_the_deployment_does_not_load(world):
    inference = world.inference(world.corpus(a=2), provider="opnai")

    with pytest.raises(dg.DagsterInvalidDefinitionError, match="resource with key 'opnai'"):
        dg.Definitions.validate_loadable(world.declare(inference))


# In one partition of many


def rewrite(world, partition: str, table: Any) -> None:
    pq.write_table(table, world.folder / "corpus" / "words" / f"{partition}.parquet")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            a_table(3, id=["x", "y", "x"]),
            r"c\.parquet, row 0; .*row 2: item id 'x' is there 2 times .*remove the repeated rows",
        ),
        (a_table(3, id=["x", None, "z"]), r"c\.parquet, row 1: 'id' is null.*fill it in"),
        (a_table(2, word=["oak", None]), r"c\.parquet, row 1: word is null.*fill it in"),
        (a_table(0), r"c\.parquet: partition c has no rows; fill it or take it out"),
        (a_table(2).drop_columns(["word"]), r"c\.parquet: the prompt of words reads word"),
        (a_table(2).drop_columns(["id"]), r"c\.parquet: no column 'id' for the item id"),
    ],
)
def test_a_wrong_row_fails_its_partition_before_anything_of_it_is_sent(world, table, said):
    corpus = world.corpus(a=2, b=2, c=2)
    rewrite(world, "c", table)
    world.declare(world.inference(corpus))

    result = world.run("requests", "batches", partition="c")

    assert re.search(said, reason(result), re.DOTALL)


def test_a_corrupt_file_keeps_no_other_partition_from_loading(world):
    corpus = world.corpus(a=2, b=2)
    (world.folder / "corpus" / "words" / "b.parquet").write_bytes(b"PAR1 but no more")
    world.declare(world.inference(corpus))

    good = world.run("requests", partition="a")
    bad = world.run("requests", partition="b")

    assert good.success
    assert re.search(r"b\.parquet.*not readable as Parquet", reason(bad), re.DOTALL)


def test_requests_to_two_models_are_refused_by_their_line(world):
    corpus = ready_made(world, "gpt-4.1-mini", "gpt-5-nano")
    world.declare(world.inference(corpus, prompt=None, model=None, output=None))

    result = world.run("requests", "batches", partition="q")

    assert re.search(
        r"q\.jsonl, line 2: .*'gpt-5-nano', and .*'gpt-4.1-mini'; put them into a corpus of their",
        reason(result),
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("warehouse:sesame@host", "the corpus's url holds no SQLAlchemy URL; write postgresql"),
        ("env:NOT_THERE", "environment variable NOT_THERE is not set: put the database's"),
        ("sqlite:///nowhere.db", "sqlite:///nowhere.db: there is no such file; check the corpus's"),
        ("oracl://user:sesame@host/db", "oracl://host/db: its driver is not installed"),
    ],
)
def test_a_database_that_cannot_be_asked_is_named_without_its_password(world, url, said):
    corpus = ba.SqlCorpus(url=url, query="SELECT id, word FROM words ORDER BY id", item_id="id")
    world.declare(world.inference(corpus))

    result = world.run("requests", "batches", partition="all")

    assert said in reason(result)
    assert "sesame" not in reason(result)


# At the provider


def test_a_wrong_key_fails_the_run_with_what_the_provider_said(world):
    wrong = ba.OpenAIResource(api_key="sk-wrong-0123456789", base_url=world.sandbox.base_url)
    world.declare(world.inference(world.corpus(a=2)), openai=wrong)

    result = world.run("requests", "batches", partition="a")

    assert "401" in reason(result)
    assert "sk-wrong-0123456789" not in reason(result)


def test_a_provider_that_cannot_be_reached_fails_the_run_with_its_address(world, closed_port):
    nobody = ba.OpenAIResource(
        api_key="sk-test", base_url=f"http://127.0.0.1:{closed_port}/v1", max_retries=0
    )
    world.declare(world.inference(world.corpus(a=2)), openai=nobody)

    result = world.run("requests", "batches", partition="a")

    assert f"127.0.0.1:{closed_port}" in reason(result)


# In the deployment


def test_an_unknown_deployment_is_refused_with_those_there_are(monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "prod")

    with pytest.raises(DeclarationError, match="'prod'; it can be local, production, sandbox"):
        chosen_deployment()


@pytest.mark.parametrize("missing", ["BATCH_ASSETS_LEDGER_URL", "BATCH_ASSETS_FILES_ROOT"])
def test_a_missing_variable_of_the_deployment_is_named_by_the_run(world, monkeypatch, missing):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "production")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("BATCH_ASSETS_LEDGER_URL", world.ledger_url)
    monkeypatch.setenv("BATCH_ASSETS_FILES_ROOT", str(world.folder / "files"))
    monkeypatch.delenv(missing)
    world.declare(world.inference(world.corpus(a=2)), **chosen_deployment().resources)

    with pytest.raises(dg.DagsterInvalidConfigError, match=f'"{missing}" which is not set'):
        world.run("requests", partition="a")
