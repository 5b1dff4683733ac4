"""The verdict on each line of embeddings, moderations, completions and images."""

import base64
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from answer_lines import OUTPUT, an_answer, an_endpoint, encoded, verdict
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.outcome import Failure, Outcome
from batch_assets.prompt.answers import Verdict
from batch_assets.prompt.endpoints import Endpoint
from batch_assets.prompt.endpoints.catalogue import ENDPOINTS
from batch_assets.prompt.endpoints.moderations import CATEGORIES, FINDING

RESPONSES = an_endpoint("responses", output=OUTPUT)
EMBEDDINGS = an_endpoint("embeddings", model="m", dimensions=2)
SEVERAL = an_endpoint("embeddings", model="m", dimensions=2, several_inputs=True)
MODERATIONS = an_endpoint("moderations")
COMPLETIONS = an_endpoint("completions")
IMAGES = an_endpoint("images")


def stored(found: Verdict, endpoint: Endpoint) -> Any:
    """The output as the results' column has it."""
    [value] = pa.array([found.output], endpoint.arrow_type).to_pylist()
    return value


# Embeddings


def in_base64(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


def vectors(*embeddings: Any, **body: Any) -> Any:
    data = [{"index": i, "embedding": each} for i, each in enumerate(embeddings)]
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    return an_answer({"object": "list", "model": "m", "data": data, "usage": usage} | body)


@pytest.mark.parametrize("embedding", [[0.5, -1], in_base64(0.5, -1)])
def test_a_vector_is_a_list_of_32_bit_floats(embedding):
    found = verdict(vectors(embedding), EMBEDDINGS)

    assert (found.outcome, found.answer, found.input_tokens) == (Outcome.OK, None, 9)
    assert EMBEDDINGS.arrow_type == pa.list_(pa.float32(), 2)
    assert stored(found, EMBEDDINGS) == [0.5, -1.0]


def test_the_vectors_of_several_texts_come_in_the_order_of_the_texts():
    line = vectors(data=[{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}])

    assert stored(verdict(line, SEVERAL), SEVERAL) == [[1, 2], [3, 4]]


def test_vectors_whose_indices_were_left_out_come_as_they_stand():
    line = vectors(data=[{"embedding": [3, 4]}, {"embedding": [1, 2]}])

    assert stored(verdict(line, SEVERAL), SEVERAL) == [[3, 4], [1, 2]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (vectors([1, 2, 3]), "the vector has 3 numbers and not 2"),
        (vectors([]), "the vector has 0 numbers and not 2"),
        (vectors(None), "the answer has no vector"),
        (vectors([1e39, 0]), "the vector has numbers that are not finite"),
        (vectors(in_base64(float("nan"), 0)), "the vector has numbers that are not finite"),
        (vectors("AAAA"), "the vector is no base64 of 32-bit floats"),
        (vectors("%%%%"), "the vector is no base64 of 32-bit floats"),
        (vectors([1, 2], [3, 4]), "there are 2 vectors for one text"),
        (vectors(data=[{"index": 1, "embedding": [1, 2]}]), "the vectors' indices are [1]"),
        (vectors(data=[]), "the answer has no data"),
        (vectors(data=None), "the answer has no data"),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_a_vector_that_is_not_as_declared_is_invalid(line, message):
    found = verdict(line, EMBEDDINGS)

    assert (found.outcome, found.failure) == (Outcome.INVALID, Failure.INVALID)
    assert (found.error_message or "").startswith(message)
    assert found.output is None


# Moderations


def a_finding(*flagged: str, names: Any = CATEGORIES) -> dict[str, Any]:
    return {
        "flagged": bool(flagged),
        "categories": {name: name in flagged for name in names},
        "category_scores": {name: 0.75 if name in flagged else 0.25 for name in names},
        "category_applied_input_types": {name: ["text"] for name in names},
    }


def findings(*results: Any) -> Any:
    return an_answer({"id": "modr-1", "model": "omni", "results": list(results)})


def test_a_finding_is_a_struct_of_the_apis_own_names():
    found = verdict(findings(a_finding("violence")), MODERATIONS)

    assert (found.outcome, found.model, found.executions) == (Outcome.OK, "omni", 1)
    assert MODERATIONS.arrow_type == FINDING
    value = stored(found, MODERATIONS)
    assert value["flagged"] is True
    assert [name for name, is_so in value["categories"].items() if is_so] == ["violence"]
    assert value["category_scores"]["self-harm/intent"] == 0.25


def test_a_category_that_one_side_does_not_know_is_null_and_stands_in_the_answer():
    finding = a_finding("pii", names=("hate", "pii"))

    found = verdict(findings(finding), MODERATIONS)

    categories = stored(found, MODERATIONS)["categories"]
    assert (categories["hate"], categories["violence"]) == (False, None)
    assert json.loads(found.answer or "")["categories"] == {"hate": False, "pii": True}


def test_several_texts_get_a_list_of_findings():
    several = an_endpoint("moderations", several_inputs=True)

    found = verdict(findings(a_finding(), a_finding("hate")), several)

    assert [each["flagged"] for each in stored(found, several)] == [False, True]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (findings(), "the answer has no results"),
        (findings(a_finding(), a_finding()), "there are 2 findings for one text"),
    ],
)
def test_a_moderation_without_its_one_finding_is_invalid(line, message):
    found = verdict(line, MODERATIONS)

    assert (found.outcome, found.error_message) == (Outcome.INVALID, message)


# Completions


def a_completion(**choice: Any) -> Any:
    facts = {"index": 0, "text": " an oak", "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 9, "completion_tokens": 3}
    return an_answer({"model": "m", "choices": [facts | choice], "usage": usage})


def test_a_completion_is_its_text():
    found = verdict(a_completion(), COMPLETIONS)

    assert (found.outcome, found.output, found.answer) == (Outcome.OK, " an oak", " an oak")
    assert (found.finish_reason, found.input_tokens, found.output_tokens) == ("stop", 9, 3)


@pytest.mark.parametrize(
    ("choice", "outcome"),
    [
        ({"finish_reason": "length"}, Outcome.TRUNCATED),
        ({"finish_reason": "content_filter"}, Outcome.REFUSED),
        ({"text": None}, Outcome.INVALID),
    ],
)
def test_a_completion_that_does_not_end_is_no_answer(choice, outcome):
    assert verdict(a_completion(**choice), COMPLETIONS).outcome is outcome


def test_the_log_probabilities_of_a_completion_are_kept_as_json():
    logprobs = {"tokens": ["oak"], "token_logprobs": [-0.5]}

    found = verdict(a_completion(logprobs=logprobs), COMPLETIONS)

    assert json.loads(found.logprobs or "") == logprobs


# Images


def pictures(*data: Any) -> Any:
    usage = {"input_tokens": 9, "output_tokens": 272, "total_tokens": 281}
    return an_answer({"created": 1, "data": list(data), "usage": usage})


def test_images_are_the_json_of_what_came():
    data = [{"b64_json": "aGk="}, {"url": "https://example.com/a.png", "revised_prompt": "b"}]

    found = verdict(pictures(*data), IMAGES)

    assert (found.outcome, found.answer, found.output_tokens) == (Outcome.OK, None, 272)
    assert json.loads(stored(found, IMAGES)) == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the answer has no data"),
        ([{"revised_prompt": "b"}], "an image has neither bytes nor a url"),
        ([{"b64_json": None, "url": ""}], "an image has neither bytes nor a url"),
    ],
)
def test_an_image_that_did_not_come_is_invalid(data, message):
    found = verdict(pictures(*data), IMAGES)

    assert (found.outcome, found.error_message) == (Outcome.INVALID, message)


# Every endpoint

ALL = [RESPONSES, EMBEDDINGS, SEVERAL, MODERATIONS, COMPLETIONS, IMAGES]


@pytest.mark.parametrize("endpoint", ALL, ids=lambda endpoint: endpoint.url)
def test_an_error_of_the_endpoint_is_judged_by_its_status(endpoint):
    error = {"error": {"message": "No.", "type": "t", "param": None, "code": None}}
    line = {"custom_id": "r-0", "response": {"status_code": 500, "body": error}, "error": None}

    found = verdict(line, endpoint)

    assert (found.outcome, found.failure) == (Outcome.ERRORED, Failure.SERVER_ERROR)
    assert (found.error_code, found.error_message) == ("500", "No.")


@pytest.mark.parametrize("endpoint", ALL, ids=lambda endpoint: endpoint.url)
def test_an_answer_of_another_endpoint_spoils_no_neighbour(endpoint):
    bodies = [{"data": 3}, {"output": "a"}, {"results": [{}]}, {"choices": "b"}]
    lines = [an_answer(body, custom_id=f"r-{at}") for at, body in enumerate(bodies)]

    found = endpoint.read_lines(encoded(*lines))

    assert [line.custom_id for line in found] == ["r-0", "r-1", "r-2", "r-3"]
    assert {endpoint.judge(line).outcome for line in found} == {Outcome.INVALID}


#: What answers are made of, so that random JSON comes close to them.
WIRE = (
    *("choices", "text", "finish_reason", "logprobs", "data", "embedding", "index", "b64_json"),
    *("output", "content", "type", "status", "incomplete_details", "reason", "results", "flagged"),
    *("categories", "category_scores", "usage", "input_tokens", "error", "code", "model"),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
parts = st.recursive(
    scalars, lambda part: st.lists(part) | st.dictionaries(st.sampled_from(WIRE), part)
)


@given(st.dictionaries(st.sampled_from(WIRE), parts))
def test_no_body_makes_judging_fail_or_gives_a_value_that_its_column_cannot_hold(body):
    for endpoint in ALL:
        found = verdict(an_answer(body), endpoint)
        assert (found.output is None) or found.outcome is Outcome.OK
        stored(found, endpoint)


def test_the_endpoints_that_are_known_are_these():
    assert [kind.url for kind in ENDPOINTS.values()] == [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/moderations",
        "/v1/completions",
        "/v1/images/generations",
    ]
