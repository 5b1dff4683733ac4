"""Ready-made requests beside an endpoint: their bodies go out untouched, their answers are read."""

import json

import pyarrow as pa
import pytest

from batch_assets.corpus.request_files import URLS
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.outcome import Outcome
from batch_assets.prompt import JsonMode, TextOutput
from batch_assets.prompt.endpoints.catalogue import ENDPOINTS
from batch_assets.prompt.ready import ReadyRequests

CHAT = "/v1/chat/completions"
BODY = '{"model" : "gpt-4.1-mini", "messages":[ ],"é":"\\u00e9\\/" }'


def ready(url: str = CHAT, model: str = "gpt-4.1-mini", **settings: object) -> ReadyRequests:
    return ReadyRequests.compiled(url=url, model=model, output=TextOutput(), settings=settings)


def rows(*bodies: str) -> pa.RecordBatch:
    return pa.record_batch([pa.array(bodies, pa.large_string())], names=["body"])


def test_a_body_is_sent_byte_for_byte_under_an_id_of_ours():
    requests = ready()

    (body,) = requests.bodies(rows(BODY), str)
    line = requests.line("set-0", body)

    assert body == BODY.encode()
    head = '{"custom_id":"set-0","method":"POST","url":"/v1/chat/completions","body":'
    assert line == f"{head}{BODY}}}\n".encode()


def test_answers_are_read_by_the_endpoint_of_the_url():
    answer = {"choices": [{"message": {"content": "an oak"}, "finish_reason": "stop"}]}
    response = {"status_code": 200, "body": answer}
    block = json.dumps({"custom_id": "set-0", "response": response}).encode() + b"\n"
    requests = ready()

    (line,) = requests.read_lines(block)
    verdict = requests.judge(line)

    assert (verdict.outcome, verdict.output) == (Outcome.OK, "an oak")
    assert requests.arrow_type == TextOutput().arrow_type


def test_the_inputs_of_an_embedding_are_counted_in_its_body():
    requests = ready("/v1/embeddings", "text-embedding-3-small", several_inputs=True)

    assert requests.inputs(b'{"model":"text-embedding-3-small","input":["a","b","c"]}') == 3


def test_a_setting_that_would_be_sent_is_refused():
    with pytest.raises(DeclarationError, match=r"'temperature' cannot be given: .* their bodies"):
        ready(temperature=0)


def test_the_shape_is_the_url_and_the_model():
    json_mode = ReadyRequests.compiled(
        url=CHAT, model="gpt-4.1-mini", output=JsonMode(), settings={}
    )

    assert ready().shape_digest == ready().shape_digest == json_mode.shape_digest
    assert len({ready().shape_digest, ready(model="o3").shape_digest}) == 2
    assert ready().shape_digest != ready("/v1/responses").shape_digest


def test_every_url_of_a_request_file_has_an_endpoint():
    assert set(URLS) == {endpoint.url for endpoint in ENDPOINTS.values()}
