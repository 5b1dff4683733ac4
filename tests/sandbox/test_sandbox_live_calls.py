"""The sandbox answers one request at once, by the rules and with the faults that batches have."""

import openai
import pytest
from openai.types import Batch

from batch_assets.sandbox import Answer, ItemError, MissingLine, RunningSandbox, ScriptedFaults

MESSAGES = [{"role": "user", "content": "Word: oak"}]


def ask(client: openai.OpenAI, text: str = "Word: oak"):
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(model="gpt-4.1-mini", messages=messages)


def test_a_live_call_is_answered_as_a_request_of_a_batch_is(client, sandbox, submit) -> None:
    live = ask(client)
    line = {"custom_id": "r", "method": "POST", "url": "/v1/chat/completions"}
    batch: Batch = submit([{**line, "body": {"model": "gpt-4.1-mini", "messages": MESSAGES}}])
    sandbox.clock.advance(1_000)
    output = client.batches.retrieve(batch.id).output_file_id

    assert live.choices[0].message.content in client.files.content(output).text
    assert live.usage.total_tokens > 0


def test_a_live_call_counts_as_an_execution(client, sandbox) -> None:
    ask(client)
    ask(client)

    body = {"messages": MESSAGES, "model": "gpt-4.1-mini"}
    assert sandbox.state.executions()["requests_executed"] == 2
    assert sandbox.state.executions_of_body(body) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.responses.create(model="m", input="oak").output_text,
        lambda client: client.completions.create(model="m", prompt="oak").choices[0].text,
        lambda client: client.embeddings.create(model="m", input="oak").data[0].embedding,
        lambda client: client.moderations.create(input="oak").results[0].categories,
        lambda client: client.images.generate(model="gpt-image-1", prompt="oak").data,
    ],
)
def test_every_endpoint_of_a_batch_answers_live(client, call) -> None:
    assert call(client)


def test_a_wrong_body_is_refused_and_no_execution(client, sandbox) -> None:
    with pytest.raises(openai.BadRequestError, match="Invalid 'temperature'"):
        client.chat.completions.create(model="m", messages=MESSAGES, temperature=7)

    assert sandbox.state.executions()["requests_executed"] == 0


def test_the_fault_of_an_item_is_that_of_its_live_call(client, faults: ScriptedFaults) -> None:
    faults.items(Answer("Certainly."), containing="oak")
    faults.items(ItemError(500), containing="elm")

    assert ask(client).choices[0].message.content == "Certainly."
    with pytest.raises(openai.InternalServerError):
        ask(client, "Word: elm")


def test_an_item_without_a_line_is_a_live_call_without_an_answer(
    client, sandbox: RunningSandbox, faults: ScriptedFaults
) -> None:
    faults.items(MissingLine())

    with pytest.raises(openai.APIConnectionError):
        ask(client)

    assert sandbox.state.executions()["requests_executed"] == 1


def test_calls_beyond_the_rate_are_told_how_long_to_wait(client, sandbox: RunningSandbox) -> None:
    sandbox.state.change_settings({"live_requests_per_minute": 2})
    ask(client)
    sandbox.clock.advance(20)
    ask(client)

    with pytest.raises(openai.RateLimitError) as refused:
        ask(client)
    sandbox.clock.advance(40)
    ask(client)

    assert refused.value.response.headers["retry-after"] == "40.000"
    assert sandbox.state.executions()["requests_executed"] == 3


def test_the_latency_of_a_live_call_takes_no_time_on_a_clock_that_others_move(
    client, sandbox: RunningSandbox
) -> None:
    """A thousand seconds pass for nobody."""
    sandbox.state.change_settings({"live_latency": 1_000.0})

    assert ask(client).choices


def test_an_endpoint_that_there_is_not_is_not_found(client) -> None:
    with pytest.raises(openai.NotFoundError):
        client.post("/no/such", cast_to=object, body={})
