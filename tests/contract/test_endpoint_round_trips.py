"""Each endpoint over the real SDK and HTTP: rows in, a batch of the sandbox's, typed values out."""

import base64
import json
from typing import Any

import numpy as np
import openai
import pyarrow as pa
import pytest
from factories import Kind

from batch_assets.domain.outcome import Outcome
from batch_assets.prompt import OutputType, Prompt
from batch_assets.prompt.answers import Verdict
from batch_assets.prompt.endpoints import Endpoint, compile_endpoint
from batch_assets.prompt.output import JsonMode, TextOutput
from batch_assets.sandbox import NotJson, Refusal, ScriptedSandbox, TruncatedAnswer

WORDS = ["a deciduous tree", "a wading bird", "I will kill you"]
SMALL = "text-embedding-3-small"


@pytest.fixture
def judged(batch_sandbox: ScriptedSandbox) -> Any:
    """The verdicts on a batch of the words, in their order."""

    def run(endpoint: Endpoint, words: list[Any] = WORDS) -> list[Verdict]:
        rows = pa.RecordBatch.from_pydict({"word": words})
        lines = [
            endpoint.line(f"r-{number}", body)
            for number, body in enumerate(endpoint.bodies(rows, str))
        ]
        with openai.OpenAI(api_key="any", base_url=batch_sandbox.base_url, max_retries=0) as client:
            file = client.files.create(file=("in.jsonl", b"".join(lines)), purpose="batch")
            batch = client.batches.create(
                input_file_id=file.id,
                endpoint=endpoint.url,  # type: ignore[arg-type]
                completion_window="24h",
            )
            batch_sandbox.clock.advance(30)
            batch = client.batches.retrieve(batch.id)
            assert batch.errors is None, batch.errors
            ids = [each for each in (batch.output_file_id, batch.error_file_id) if each]
            content = b"".join(client.files.content(each).read() for each in ids)
        found = endpoint.read_lines(content)
        found.sort(key=lambda line: line.custom_id or "")
        return [endpoint.judge(line) for line in found]

    return run


def compiled(name: str, **declared: Any) -> Endpoint:
    facts: dict[str, Any] = {
        "model": "m",
        "prompt": Prompt(user="JSON, please: {{ word }}"),
        "output": TextOutput(),
        "settings": {},
    }
    return compile_endpoint(name, **facts | declared)


def column(endpoint: Endpoint, verdicts: list[Verdict]) -> list[Any]:
    """The values as the results have them; every item is ok."""
    assert {verdict.outcome for verdict in verdicts} == {Outcome.OK}, verdicts
    values: list[Any] = pa.array([v.output for v in verdicts], endpoint.arrow_type).to_pylist()
    return values


TEXTS = [
    ("chat", {"prompt": Prompt(user="{{ word }}", system="Be brief.")}),
    ("responses", {"prompt": Prompt(user="{{ word }}", system="Be brief.")}),
    ("completions", {"prompt": Prompt(field="word"), "settings": {"max_tokens": 50}}),
]


@pytest.mark.parametrize(("name", "declared"), TEXTS)
def test_free_text_comes_back_with_its_tokens(judged, name, declared):
    endpoint = compiled(name, **declared)

    verdicts = judged(endpoint)

    assert column(endpoint, verdicts) == [f"In short: {word}" for word in WORDS]
    assert all(verdict.input_tokens and verdict.output_tokens for verdict in verdicts)


@pytest.mark.parametrize("name", ["chat", "responses"])
def test_a_typed_output_comes_back_typed(judged, name):
    endpoint = compiled(name, output=OutputType(Kind))

    labels = [value["label"] for value in column(endpoint, judged(endpoint))]

    assert labels[:2] == ["plant", "animal"]


@pytest.mark.parametrize("name", ["chat", "responses"])
def test_json_mode_comes_back_as_json(judged, name):
    endpoint = compiled(name, output=JsonMode())

    values = [json.loads(text) for text in column(endpoint, judged(endpoint))]

    assert values[0] == {"summary": f"JSON, please: {WORDS[0]}"}


LOGPROBS = [
    ("chat", {"logprobs": True}),
    ("responses", {"include": ["message.output_text.logprobs"]}),
    ("completions", {"logprobs": 1, "max_tokens": 50}),
]


@pytest.mark.parametrize(("name", "settings"), LOGPROBS)
def test_log_probabilities_come_where_they_were_asked_for(judged, name, settings):
    asked, unasked = compiled(name, settings=settings), compiled(name)

    assert all(json.loads(verdict.logprobs) for verdict in judged(asked))
    assert {verdict.logprobs for verdict in judged(unasked)} == {None}


@pytest.mark.parametrize("name", ["chat", "responses"])
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Refusal("No."), Outcome.REFUSED),
        (TruncatedAnswer(), Outcome.TRUNCATED),
        (NotJson(), Outcome.INVALID),
    ],
    ids=lambda value: str(value).partition("(")[0],
)
def test_what_goes_wrong_with_one_item_is_told_of_it_alone(
    judged, batch_sandbox, name, fault, outcome
):
    batch_sandbox.faults.items(fault, custom_id="r-1")

    verdicts = judged(compiled(name, output=OutputType(Kind)))

    assert [verdict.outcome for verdict in verdicts] == [Outcome.OK, outcome, Outcome.OK]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("chat", {"max_tokens": 1}), ("responses", {"max_output_tokens": 16}), ("completions", {})],
)
def test_an_answer_at_the_token_limit_is_truncated(judged, name, settings):
    long = ["a rather long text " * 20]

    [verdict] = judged(compiled(name, settings=settings), long)

    assert (verdict.outcome, verdict.executions) == (Outcome.TRUNCATED, 1)


@pytest.mark.parametrize("form", ["float", "base64"])
def test_vectors_come_back_as_lists_of_a_fixed_size(judged, form):
    settings = {"encoding_format": form, "dimensions": 16}
    endpoint = compiled("embeddings", model=SMALL, settings=settings)

    vectors = column(endpoint, judged(endpoint))

    assert endpoint.arrow_type == pa.list_(pa.float32(), 16)
    assert [np.linalg.norm(vector) for vector in vectors] == pytest.approx([1, 1, 1], abs=1e-5)
    assert len({tuple(vector) for vector in vectors}) == 3


def test_several_texts_of_an_item_get_as_many_vectors(judged):
    endpoint = compiled(
        "embeddings",
        model=SMALL,
        prompt=Prompt(field="word"),
        settings={"several_inputs": True, "dimensions": 4},
    )

    vectors = column(endpoint, judged(endpoint, [["oak", "elm"], ["oak"]]))

    assert [len(each) for each in vectors] == [2, 1]
    assert vectors[0][0] == vectors[1][0] != vectors[0][1]


def test_findings_come_back_as_structs(judged):
    endpoint = compiled("moderations")

    findings = column(endpoint, judged(endpoint))

    assert [finding["flagged"] for finding in findings] == [False, False, True]
    assert findings[2]["categories"]["violence"] is True


def test_images_come_back_as_they_are(judged):
    endpoint = compiled("images", settings={"n": 2})

    images = [json.loads(text) for text in column(endpoint, judged(endpoint))]

    assert [len(each) for each in images] == [2, 2, 2]
    assert base64.b64decode(images[0][0]["b64_json"]).startswith(b"\x89PNG")


def test_what_only_the_server_knows_reaches_it(judged):
    """The sandbox refuses it, as OpenAI would: it was sent unchecked."""
    endpoint = compiled("chat", settings={"extra_body": {"guided_choice": ["a"]}})

    assert {(verdict.outcome, verdict.error_code) for verdict in judged(endpoint)} == {
        (Outcome.ERRORED, "unknown_parameter")
    }
