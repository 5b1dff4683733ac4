"""Batches over each endpoint: answered in the shapes of the API, and refused where it refuses."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from openai.types import Completion, CreateEmbeddingResponse, ImagesResponse
from openai.types import ModerationCreateResponse as Moderated
from openai.types.responses import Response

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
MODERATIONS = "/v1/moderations"
COMPLETIONS = "/v1/completions"
IMAGES = "/v1/images/generations"

BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "oak"}]},
    RESPONSES: {"model": "gpt-5-mini", "input": "oak"},
    EMBEDDINGS: {"model": "text-embedding-3-small", "input": "oak"},
    MODERATIONS: {"model": "omni-moderation-latest", "input": "oak"},
    COMPLETIONS: {"model": "gpt-3.5-turbo-instruct", "prompt": "oak"},
    IMAGES: {"model": "gpt-image-2", "prompt": "oak"},
}


def a_line(url: str, custom_id: str = "r1", **body: Any) -> dict[str, Any]:
    facts = {"custom_id": custom_id, "method": "POST", "url": url}
    return facts | {"body": BODIES[url] | body}


@pytest.fixture
def run(client, upload, finish):
    """A finished batch of lines of one endpoint."""

    def make(url: str, lines: list[dict[str, Any]]):
        file = upload(lines)
        created = client.batches.create(
            input_file_id=file.id, endpoint=url, completion_window="24h"
        )
        return finish(created)

    return make


@pytest.fixture
def answer(run, lines_of):
    """The body of the answer to one request."""

    def make(url: str, **body: Any) -> dict[str, Any]:
        batch = run(url, [a_line(url, **body)])
        assert batch.errors is None, batch.errors
        [line] = lines_of(batch.output_file_id) + lines_of(batch.error_file_id)
        return line["response"]["body"]

    return make


@pytest.fixture
def refused(answer):
    """The error of a request that is not answered."""

    def make(url: str, **body: Any) -> tuple[str | None, str | None]:
        error = answer(url, **body)["error"]
        return error["code"], error["param"]

    return make


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (RESPONSES, Response),
        (EMBEDDINGS, CreateEmbeddingResponse),
        (MODERATIONS, Moderated),
        (COMPLETIONS, Completion),
        (IMAGES, ImagesResponse),
    ],
)
def test_an_answer_has_the_shape_of_the_sdks_type(answer, url, kind):
    body = answer(url)

    assert kind.model_validate(body, strict=True).to_dict() == body


@pytest.mark.parametrize("url", BODIES)
def test_a_batch_of_one_endpoint_takes_no_line_of_another(run, url):
    other = next(each for each in BODIES if each != url)

    [error] = run(url, [a_line(other)]).errors.data

    assert (error.code, error.param) == ("invalid_url", "url")


@pytest.mark.parametrize("url", BODIES)
def test_an_unknown_parameter_is_refused(refused, url):
    assert refused(url, temprature=1) == ("unknown_parameter", "temprature")


@pytest.mark.parametrize(
    ("url", "input_tokens", "output_tokens"),
    [
        (RESPONSES, 1 + 4, 4),
        (EMBEDDINGS, 1, 0),
        (MODERATIONS, 0, 0),
        (COMPLETIONS, 1, 4),
        (IMAGES, 1, 272),
    ],
)
def test_the_tokens_of_the_answers_are_the_batchs(run, url, input_tokens, output_tokens):
    """`oak` is one token, a message four more, and `In short: oak` four."""
    usage = run(url, [a_line(url)]).usage

    assert (usage.input_tokens, usage.output_tokens) == (input_tokens, output_tokens)


@pytest.mark.parametrize(
    ("url", "field"),
    [(RESPONSES, "input"), (EMBEDDINGS, "input"), (COMPLETIONS, "prompt"), (IMAGES, "prompt")],
)
def test_a_body_without_its_text_fails_the_batch(run, url, field):
    [error] = run(url, [a_line(url, **{field: None})]).errors.data

    assert (error.code, error.param) == ("invalid_request", f"body.{field}")


# Responses


def test_a_response_says_what_is_asked_last(answer):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "oak"}]},
    ]

    body = answer(RESPONSES, input=messages)

    assert Response.model_validate(body).output_text == "In short: oak"


def test_a_response_of_a_schema_is_a_document_of_it(answer):
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": ["animal", "plant"]}},
        "required": ["label"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "name": "kind", "strict": True, "schema": schema}

    body = answer(RESPONSES, input="a deciduous tree", text={"format": wanted})

    assert json.loads(Response.model_validate(body).output_text) == {"label": "plant"}


def test_a_response_at_the_token_limit_is_incomplete(answer):
    body = answer(RESPONSES, input="a rather long text " * 20, max_output_tokens=16)

    assert (body["status"], body["output"][0]["status"]) == ("incomplete", "incomplete")
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert body["usage"]["output_tokens"] == 16


def test_log_probabilities_come_where_they_are_included(answer):
    [message] = answer(RESPONSES, include=["message.output_text.logprobs"])["output"]

    logprobs = message["content"][0]["logprobs"]
    assert "".join(each["token"] for each in logprobs) == "In short: oak"


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"max_output_tokens": 15}, "integer_below_min_value", "max_output_tokens"),
        ({"temperature": 2.5}, "decimal_above_max_value", "temperature"),
        ({"input": 7}, "invalid_type", "input"),
        ({"input": []}, "empty_array", "input"),
        ({"input": [{"role": "tool", "content": "x"}]}, "invalid_value", "input[0].role"),
        ({"instructions": 7}, "invalid_type", "instructions"),
        ({"text": {"format": {"type": "xml"}}}, "invalid_value", "text.format.type"),
        ({"text": {"format": {"type": "json_object"}}}, None, "input"),
        (
            {"text": {"format": {"type": "json_schema"}}},
            "missing_required_parameter",
            "text.format.name",
        ),
        (
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "a",
                        "strict": True,
                        "schema": {"type": "object"},
                    }
                }
            },
            "invalid_json_schema",
            "text.format.schema",
        ),
    ],
    ids=str,
)
def test_a_response_is_refused_as_the_api_refuses(refused, change, code, param):
    assert refused(RESPONSES, **change) == (code, param)


# Embeddings


@pytest.mark.parametrize(
    ("change", "length"),
    [
        ({}, 1536),
        ({"model": "text-embedding-3-large"}, 3072),
        ({"dimensions": 256}, 256),
    ],
    ids=str,
)
def test_a_vector_has_the_models_length_or_the_asked_one(answer, change, length):
    [found] = answer(EMBEDDINGS, **change)["data"]

    assert len(found["embedding"]) == length
    assert math.hypot(*found["embedding"]) == pytest.approx(1, abs=1e-5)


def test_a_vector_in_base64_is_the_same_vector(answer):
    [floats] = answer(EMBEDDINGS)["data"]
    [text] = answer(EMBEDDINGS, encoding_format="base64")["data"]

    decoded = np.frombuffer(base64.b64decode(text["embedding"]), "<f4")
    assert np.array_equal(decoded, np.array(floats["embedding"], "<f4"))


def test_texts_of_common_words_are_nearer_than_others(answer):
    texts = ["a tall oak tree", "a small oak tree", "invoices of last year"]
    first, near, far = (each["embedding"] for each in answer(EMBEDDINGS, input=texts)["data"])

    assert np.dot(first, near) > 0.5 > np.dot(first, far)


@pytest.mark.parametrize(("count", "status"), [(2048, 1), (2049, 0)])
def test_a_request_embeds_2048_texts_at_most(run, count, status):
    line = a_line(EMBEDDINGS, input=["oak"] * count, dimensions=1)

    assert run(EMBEDDINGS, [line]).request_counts.completed == status


def test_a_batch_embeds_50_000_texts_at_most(run):
    lines = [a_line(EMBEDDINGS, f"r{n}", input=["oak"] * 2_000, dimensions=1) for n in range(26)]

    assert run(EMBEDDINGS, lines[:25]).request_counts.completed == 25
    [error] = run(EMBEDDINGS, lines).errors.data
    assert (error.code, error.line) == ("too_many_inputs", None)


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"input": ""}, None, None),
        ({"input": ["oak", ""]}, None, None),
        ({"input": {"text": "oak"}}, "invalid_type", "input"),
        ({"input": ["oak", 3]}, "invalid_type", "input"),
        ({"input": "x" * 4 * 8_193}, None, None),
        ({"input": ["x" * 4 * 8_000] * 38}, "max_tokens_per_request", "input"),
        ({"dimensions": 0}, "integer_below_min_value", "dimensions"),
        ({"dimensions": 1537}, "integer_above_max_value", "dimensions"),
        ({"dimensions": 5, "model": "text-embedding-ada-002"}, None, "dimensions"),
        ({"encoding_format": "hex"}, "invalid_value", "encoding_format"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_embedding_is_refused_as_the_api_refuses(refused, change, code, param):
    assert refused(EMBEDDINGS, **change) == (code, param)


# Moderations


def test_a_text_is_flagged_by_its_words(answer):
    harmless, violent = answer(MODERATIONS, input=["an oak", "I will kill you"])["results"]

    assert (harmless["flagged"], violent["flagged"]) == (False, True)
    assert [name for name, found in violent["categories"].items() if found] == ["violence"]
    assert violent["category_scores"]["violence"] > 0.5 > harmless["category_scores"]["violence"]


def test_the_parts_of_one_input_get_one_finding(answer):
    parts = [
        {"type": "text", "text": "kill"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]

    [found] = answer(MODERATIONS, input=parts)["results"]

    assert found["flagged"]


def test_a_moderation_needs_no_model(run):
    request = a_line(MODERATIONS)
    del request["body"]["model"]

    batch = run(MODERATIONS, [request])

    assert (batch.request_counts.completed, batch.model) == (1, "omni-moderation-latest")


# Completions


def test_a_completion_stops_at_16_tokens_unless_told_otherwise(answer):
    text = "a rather long text " * 20
    [short] = answer(COMPLETIONS, prompt=text)["choices"]
    [whole] = answer(COMPLETIONS, prompt=text, max_tokens=100)["choices"]

    assert (len(short["text"]), short["finish_reason"]) == (64, "length")
    assert whole["finish_reason"] == "stop"


def test_a_completion_has_a_choice_for_each_prompt(answer):
    choices = answer(COMPLETIONS, prompt=["oak", "elm"], logprobs=0)["choices"]

    assert [choice["text"] for choice in choices] == ["In short: oak", "In short: elm"]
    assert choices[0]["logprobs"]["tokens"] == ["In s", "hort", ": oa", "k"]


# Images


def test_an_image_is_a_png(answer):
    data = answer(IMAGES, n=2)["data"]

    pictures = [base64.b64decode(image["b64_json"]) for image in data]
    assert len(set(pictures)) == 2
    assert all(picture.startswith(b"\x89PNG\r\n") for picture in pictures)


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"n": 11}, "integer_above_max_value", "n"),
        ({"prompt": ["oak"]}, "invalid_type", "prompt"),
        ({"response_format": "url"}, "unknown_parameter", "response_format"),
        ({"output_format": "bmp"}, "invalid_value", "output_format"),
    ],
    ids=str,
)
def test_an_image_is_refused_as_the_api_refuses(refused, change, code, param):
    assert refused(IMAGES, **change) == (code, param)
