"""Every kind of output, asked of a provider over HTTP by its own SDK in one batch."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from golden_schemas import DECLARED
from pydantic import BaseModel
from refused_outputs import REFUSED

from batch_assets.prompt import Labels, Output, output_of
from batch_assets.prompt.packed import PackedOutput

KINDS: dict[str, Any] = {
    "text": None,
    "json-object": "json_object",
    "label": Labels("animal", "plant"),
    "labels": Labels("animal", "plant", several=True),
}
OUTPUTS = {name: output_of(declared) for name, declared in {**DECLARED, **KINDS}.items()}
PACKS = {
    f"{name}-packed": PackedOutput(output)
    for name, output in OUTPUTS.items()
    if output.kind != "json_object"
}
#: What the provider refuses line by line; a schema of thousands of fields is tried elsewhere.
REFUSED_RAW = {
    name.replace(" ", "-"): case
    for name, case in REFUSED.items()
    if case.complaint and not name.startswith("too ")
}


@pytest.fixture
def client(batch_sandbox) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="any", base_url=batch_sandbox.base_url, max_retries=0) as client:
        yield client


def a_format(name: str, schema: Any) -> dict[str, Any]:
    json_schema = {"name": name, "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": json_schema}


def asked(output: Output) -> dict[str, Any]:
    if output.kind == "json_schema":
        return a_format(output.name, output.schema)
    return {"type": output.kind}


def answered(batch_sandbox, client, formats: dict[str, Any], prompt: str) -> dict[str, Any]:
    """Of each custom_id the body that came back, from the output or the error file."""
    messages = [{"role": "user", "content": prompt}]
    lines = [
        {
            "custom_id": name,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-5-mini", "messages": messages, "response_format": wanted},
        }
        for name, wanted in formats.items()
    ]
    sent = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("in.jsonl", sent), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch_sandbox.clock.advance(3_600)
    batch = client.batches.retrieve(batch.id)
    assert batch.status == "completed", batch.errors
    returned = [
        json.loads(line)
        for file_id in (batch.output_file_id, batch.error_file_id)
        if file_id
        for line in client.files.content(file_id).text.splitlines()
    ]
    return {line["custom_id"]: line["response"]["body"] for line in returned}


def test_every_output_and_every_pack_of_it_gets_valid_answers(batch_sandbox, client):
    outputs: dict[str, Output] = {**OUTPUTS, **PACKS}
    formats = {name: asked(output) for name, output in outputs.items()}

    bodies = answered(batch_sandbox, client, formats, "Word: oak. Answer in JSON.")

    assert set(bodies) == set(outputs)
    for name, output in outputs.items():
        assert "choices" in bodies[name], (name, bodies[name])
        assert output.parse(bodies[name]["choices"][0]["message"]["content"]) is not None


def test_what_we_refuse_would_have_been_refused_line_by_line(batch_sandbox, client):
    formats = {}
    for name, case in REFUSED_RAW.items():
        is_model = isinstance(case.declared, type) and issubclass(case.declared, BaseModel)
        schema = case.declared.model_json_schema() if is_model else case.declared
        formats[name] = a_format("refused", schema)

    bodies = answered(batch_sandbox, client, formats, "Word: oak.")

    assert {name: body["error"]["code"] for name, body in bodies.items()} == dict.fromkeys(
        REFUSED_RAW, "invalid_json_schema"
    )


def test_json_mode_is_refused_where_nobody_says_json(batch_sandbox, client):
    bodies = answered(batch_sandbox, client, {"a": {"type": "json_object"}}, "Word: oak.")

    assert "must contain the word 'json'" in bodies["a"]["error"]["message"]
