"""What the endpoint `messages` sends."""

import json
from typing import Any

import pyarrow as pa
import pytest
from answer_lines import an_endpoint
from anthropic import transform_schema
from anthropic_bodies import body_of
from factories import Kind
from golden_schemas import DECLARED, golden
from pydantic import BaseModel, Field

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import JsonSchemaOutput, Labels, OutputType, Prompt
from batch_assets.prompt.anthropic_schema import anthropic_schema
from batch_assets.prompt.endpoints.anthropic import MessagesEndpoint
from batch_assets.prompt.endpoints.catalogue import endpoint_named
from batch_assets.prompt.output import JsonMode
from batch_assets.prompt.packs import endpoint_of
from batch_assets.prompt.prompt import Example


def test_a_request_has_a_model_a_message_and_room_for_an_answer():
    assert body_of() == {
        "model": "claude-haiku-4-5",
        "messages": [{"role": "user", "content": "oak"}],
        "max_tokens": 4_096,
    }


def test_a_line_of_a_batch_file_has_the_id_and_the_params():
    endpoint = an_endpoint("messages")
    line = endpoint.line("set-0", b'{"model":"m"}')

    assert line == b'{"custom_id":"set-0","params":{"model":"m"}}\n'
    assert endpoint.envelope.read(line) == ("set-0", b'{"model":"m"}')


def test_the_endpoint_is_known_by_its_url_too():
    assert endpoint_named("/v1/messages") is endpoint_named("messages") is MessagesEndpoint


@pytest.mark.parametrize("name", ["max_tokens", "max_output_tokens"])
def test_the_most_tokens_have_two_names(name):
    assert body_of(**{name: 7})["max_tokens"] == 7


def test_the_system_message_is_a_block_of_its_own_field():
    body = body_of(Prompt(system="Be brief.", user="{{ word }}"))

    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    assert body["messages"] == [{"role": "user", "content": "oak"}]


def test_a_system_message_may_differ_from_row_to_row():
    prompt = Prompt(system="Answer in {{ language }}.", user="{{ word }}")
    body = body_of(prompt, row={"word": "oak", "language": "Dutch"})

    assert body["system"][0]["text"] == "Answer in Dutch."


@pytest.mark.parametrize(
    ("setting", "control"),
    [
        (True, {"type": "ephemeral"}),
        ("5m", {"type": "ephemeral", "ttl": "5m"}),
        ("1h", {"type": "ephemeral", "ttl": "1h"}),
    ],
)
def test_the_system_message_can_be_marked_for_the_cache(setting, control):
    body = body_of(Prompt(system="Be brief.", user="{{ word }}"), cache_prefix=setting)

    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": control}]


def test_with_examples_the_mark_stands_behind_the_last_of_them():
    examples = [Example(user="elm", assistant="tree"), Example(user="cow", assistant="animal")]
    prompt = Prompt(system="Be brief.", user="{{ word }}", examples=examples)
    body = body_of(prompt, cache_prefix=True)

    block = {"type": "text", "text": "animal", "cache_control": {"type": "ephemeral"}}
    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    assert body["messages"][1] == {"role": "assistant", "content": "tree"}
    assert body["messages"][3] == {"role": "assistant", "content": [block]}


def test_where_nothing_stands_before_the_item_there_is_nothing_to_cache():
    with pytest.raises(DeclarationError, match="neither a system message nor examples") as refused:
        body_of(cache_prefix=True)
    assert refused.value.setting == "prompt"


def test_an_output_type_is_the_format_of_the_answer():
    form = body_of(output=OutputType(Kind))["output_config"]["format"]

    assert form["type"] == "json_schema"
    assert list(form["schema"]["properties"]) == ["label", "words", "score"]
    assert form["schema"]["additionalProperties"] is False


def test_the_effort_stands_beside_the_format():
    body = body_of(output=OutputType(Kind), output_config={"effort": "low"})

    assert body["output_config"].keys() == {"effort", "format"}
    assert body_of(output_config={"effort": "low"})["output_config"] == {"effort": "low"}


class _Limits(BaseModel):
    score: int = Field(ge=1, le=3, description="How sure.")
    words: list[str] = Field(min_length=2)
    tags: list[str] = Field(min_length=1)


def test_what_the_format_does_not_know_is_said_in_the_description():
    properties = body_of(output=OutputType(_Limits))["output_config"]["format"]["schema"][
        "properties"
    ]

    assert properties["score"] == {
        "title": "Score",
        "type": "integer",
        "description": "How sure.\n\n{maximum: 3, minimum: 1}",
    }
    assert properties["words"]["description"] == "{minItems: 2}"
    assert properties["tags"]["minItems"] == 1


def keywords_by_place(schema: Any, place: str = "") -> dict[str, Any]:
    """What a schema says at each place, without titles and words for people."""
    if isinstance(schema, list):
        return {
            at: value
            for number, part in enumerate(schema)
            for at, value in keywords_by_place(part, f"{place}/{number}").items()
        }
    if not isinstance(schema, dict):
        return {place: schema}
    return {
        at: value
        for name, part in schema.items()
        if name not in ("title", "description")
        for at, value in keywords_by_place(part, f"{place}/{name}").items()
    }


@pytest.mark.parametrize("name", ["plain", "documented", "constrained", "nested", "times"])
def test_a_schema_in_our_form_has_nothing_more_for_the_sdk_to_take_out(name):
    """`transform_schema` is the SDK's own way to what the API takes."""
    ours = anthropic_schema(golden(name), "Answer")
    theirs = keywords_by_place(transform_schema(ours))
    spared = {at for at in keywords_by_place(ours) if at not in theirs}

    # The SDK drops the type beside fixed values; the API takes it.
    assert {at.rsplit("/", 1)[-1] for at in spared} <= {"type"}


class _Tree(BaseModel):
    name: str
    children: list["_Tree"]


Wide = type(
    "Wide", (BaseModel,), {"__annotations__": {f"f{number}": str | None for number in range(17)}}
)


@pytest.mark.parametrize(
    ("kind", "complaint"), [(_Tree, "contains itself"), (Wide, "17 fields may be of several types")]
)
def test_a_schema_that_the_format_cannot_have_is_refused_with_the_way_out(kind, complaint):
    with pytest.raises(DeclarationError, match=complaint) as refused:
        body_of(output=OutputType(kind))

    assert "structured_output: tool" in refused.value.message
    assert refused.value.setting == "output"


@pytest.mark.parametrize("kind", [_Tree, Wide, Kind])
def test_as_a_tool_that_must_be_called_any_schema_goes(kind):
    output = OutputType(kind)
    body = body_of(output=output, structured_output="tool", output_config={"effort": "low"})

    [tool] = body["tools"]
    assert (tool["name"], tool["input_schema"]) == (output.name, output.schema)
    assert body["tool_choice"] == {
        "type": "tool",
        "name": output.name,
        "disable_parallel_tool_use": True,
    }
    assert body["output_config"] == {"effort": "low"}


def test_labels_are_asked_for_as_any_output_type():
    schema = body_of(output=Labels("tree", "animal"))["output_config"]["format"]["schema"]

    assert schema["properties"]["label"]["enum"] == ["tree", "animal"]


def test_a_text_is_asked_for_without_a_format():
    assert body_of(structured_output="tool").keys() == {"model", "messages", "max_tokens"}


def test_there_is_no_json_mode():
    with pytest.raises(DeclarationError, match="has no JSON mode"):
        body_of(Prompt(user="JSON of {{ word }}"), JsonMode())


def test_several_items_share_a_request():
    packs = endpoint_of(
        "messages",
        model="m",
        prompt=Prompt(system="Be brief.", user="{{ word }}"),
        output=OutputType(Kind),
        settings={"cache_prefix": "1h"},
        rows_per_request=3,
    )
    asks = list(enumerate(packs.asks(pa.RecordBatch.from_pydict({"word": ["oak", "elm"]}), str)))
    line = packs.line("set-0", asks)
    params = json.loads(line)["params"]

    assert packs.asks_in(line, 0) == asks
    assert params["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert list(params["output_config"]["format"]["schema"]["properties"]) == ["answers"]


def test_a_json_schema_goes_the_same_way():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}}
    body = body_of(output=JsonSchemaOutput({**schema, "required": ["n"]}))

    assert body["output_config"]["format"]["schema"]["properties"]["n"] == {
        "type": "integer",
        "description": "{minimum: 3}",
    }


def test_of_the_golden_schemas_only_those_that_contain_themselves_have_no_format():
    refused = set()
    for name in DECLARED:
        try:
            anthropic_schema(golden(name), name)
        except DeclarationError:
            refused.add(name)

    assert refused == {"chain", "reference-described-again", "root-again", "tree", "turns"}
