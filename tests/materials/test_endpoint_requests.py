"""The body of each endpoint's request, byte for byte."""

import json
from typing import Any

import pyarrow as pa
import pytest
from answer_lines import OUTPUT, an_endpoint

from batch_assets.domain.errors import CorpusError
from batch_assets.prompt import Prompt
from batch_assets.prompt.endpoints import Endpoint
from batch_assets.prompt.endpoints.catalogue import ENDPOINTS
from batch_assets.prompt.output import JsonMode

WORD = Prompt(user="Word: {{ word }}")
FIELD = Prompt(field="word")
SMALL = "text-embedding-3-small"


def bodies(made: Endpoint, words: list[Any]) -> list[bytes]:
    rows = pa.RecordBatch.from_pydict({"word": words})
    return list(made.bodies(rows, lambda position: f"row {position}"))


def complaint(made: Endpoint, words: list[Any]) -> str:
    with pytest.raises(CorpusError) as refused:
        bodies(made, words)
    return refused.value.message


SCHEMA = json.dumps(OUTPUT.schema, separators=(",", ":"))


@pytest.mark.parametrize(
    ("name", "declared", "body"),
    [
        (
            "chat",
            {"prompt": Prompt(user="{{ word }}", system="s"), "seed": 1},
            '{"model":"m","messages":[{"role":"system","content":"s"},'
            '{"role":"user","content":"oak"}],"seed":1}',
        ),
        (
            "chat",
            {"output": OUTPUT, "temperature": 0.5, "seed": 1},
            '{"model":"m","messages":[{"role":"user","content":"Word: oak"}],'
            '"response_format":{"type":"json_schema","json_schema":{"name":"Kind","strict":true,'
            f'"schema":{SCHEMA}}}}},"seed":1,"temperature":0.5}}',
        ),
        (
            "responses",
            {"prompt": Prompt(user="{{ word }}", system="s")},
            '{"model":"m","input":[{"role":"system","content":"s"},'
            '{"role":"user","content":"oak"}]}',
        ),
        (
            "responses",
            {"output": OUTPUT, "text": {"verbosity": "low"}, "max_output_tokens": 99},
            '{"model":"m","input":[{"role":"user","content":"Word: oak"}],'
            '"text":{"verbosity":"low","format":{"type":"json_schema","name":"Kind","strict":true,'
            f'"schema":{SCHEMA}}}}},"max_output_tokens":99}}',
        ),
        (
            "responses",
            {"output": JsonMode(), "prompt": Prompt(user="JSON of {{ word }}")},
            '{"model":"m","input":[{"role":"user","content":"JSON of oak"}],'
            '"text":{"format":{"type":"json_object"}}}',
        ),
        (
            "embeddings",
            {"model": SMALL, "prompt": FIELD, "dimensions": 8},
            '{"model":"text-embedding-3-small","input":"oak","dimensions":8}',
        ),
        ("moderations", {"several_inputs": True}, '{"model":"m","input":"Word: oak"}'),
        ("completions", {"max_tokens": 9}, '{"model":"m","prompt":"Word: oak","max_tokens":9}'),
        ("images", {"size": "auto"}, '{"model":"m","prompt":"Word: oak","size":"auto"}'),
    ],
)
def test_a_body_holds_what_was_declared_and_nothing_else(name, declared, body):
    assert bodies(an_endpoint(name, **{"model": "m"} | declared), ["oak"]) == [body.encode()]


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_line_names_the_endpoint(name):
    made = an_endpoint(name, model=SMALL)
    [body] = bodies(made, ["oak"])

    assert json.loads(made.line("r-0", body)) == {
        "custom_id": "r-0",
        "method": "POST",
        "url": ENDPOINTS[name].url,
        "body": json.loads(body),
    }


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_constant_bytes_are_those_that_no_row_changes(name):
    made = an_endpoint(name, model=SMALL, prompt=FIELD)

    [body] = bodies(made, ["oak"])

    assert len(body) == made.constant_bytes + len('"oak"')


def test_equal_declarations_of_two_endpoints_have_different_shapes():
    digests = {an_endpoint(name, model=SMALL).shape_digest for name in ENDPOINTS}

    assert len(digests) == len(ENDPOINTS)


LISTS = [["oak", "elm"], ["ash"]]


@pytest.mark.parametrize("name", ["embeddings", "moderations"])
def test_several_texts_of_an_item_are_several_inputs(name):
    made = an_endpoint(name, model=SMALL, prompt=FIELD, several_inputs=True)

    assert [json.loads(body)["input"] for body in bodies(made, LISTS)] == LISTS


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("embeddings", "there is a list of 2 texts: declare the setting several_inputs"),
        ("moderations", "there is a list of 2 texts: declare the setting several_inputs"),
        ("completions", "the prompt is a list of texts and the endpoint takes one"),
        ("images", "the prompt is a list of texts and the endpoint takes one"),
    ],
)
def test_several_texts_where_one_is_declared_name_the_row(name, why):
    made = an_endpoint(name, model=SMALL, prompt=FIELD)

    assert complaint(made, LISTS).startswith(f"row 0: {why}")


def test_more_texts_than_a_request_takes_name_the_row():
    made = an_endpoint("embeddings", model=SMALL, prompt=FIELD, several_inputs=True)

    assert len(bodies(made, [["a"] * 2_048])) == 1
    assert complaint(made, [["a"], ["a"] * 2_049]).startswith("row 1: there are 2,049 texts")


@pytest.mark.parametrize("words", [["oak", ""], ["oak", "oak", ""]])
def test_an_empty_text_is_named_before_the_endpoint_refuses_it(words):
    made = an_endpoint("embeddings", model=SMALL, prompt=FIELD)

    assert complaint(made, words).startswith(f"row {len(words) - 1}: a text is empty")


@pytest.mark.parametrize(
    ("texts", "inputs"),
    [
        ('"oak"', 1),
        ('["oak"]', 1),
        ('["oak","elm"]', 2),
        ("[1,2,3]", 1),
        ("[[1,2],[3]]", 2),
        ("[]", 0),
        ("7", 0),
    ],
)
def test_each_text_is_an_embedding_input(texts, inputs):
    """Batches are limited in them; an array of tokens is one input."""
    made = an_endpoint("embeddings", model=SMALL)

    assert made.inputs(f'{{"model":"m","input":{texts},"dimensions":8}}'.encode()) == inputs


@pytest.mark.parametrize("name", sorted(ENDPOINTS.keys() - {"embeddings"}))
def test_elsewhere_nothing_counts_as_an_embedding_input(name):
    made = an_endpoint(name)

    assert [made.inputs(body) for body in bodies(made, ["oak"])] == [0]
