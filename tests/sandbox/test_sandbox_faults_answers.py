"""What a model can say wrong. All of it was executed, and is paid for."""

import json

import pytest

from batch_assets.sandbox import (
    Answer,
    LineSeparators,
    NotJson,
    OffSchema,
    Refusal,
    TruncatedAnswer,
)

SCHEMA = {
    "type": "object",
    "properties": {"note": {"type": "string"}},
    "required": ["note"],
    "additionalProperties": False,
}
AS_JSON = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
}


@pytest.fixture
def choice_under(faults, ask):
    """What a model says to one request under a fault."""

    def make(fault, **body):
        faults.items(fault)
        return ask(**body)["response"]["body"]["choices"][0]

    return make


def test_a_refusal_stands_in_a_field_of_its_own(choice_under):
    choice = choice_under(Refusal("No."))
    assert (choice["message"]["content"], choice["message"]["refusal"]) == (None, "No.")
    assert choice["finish_reason"] == "stop"


def test_a_truncated_answer_ends_by_its_length(choice_under):
    choice = choice_under(TruncatedAnswer(), text="Word: oak", response_format=AS_JSON)
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == '{"note":"W'
    with pytest.raises(json.JSONDecodeError):
        json.loads(choice["message"]["content"])


def test_an_answer_may_be_no_json_though_it_was_asked_for(choice_under):
    choice = choice_under(NotJson(), response_format=AS_JSON)
    with pytest.raises(json.JSONDecodeError):
        json.loads(choice["message"]["content"])
    assert choice["finish_reason"] == "stop"


def test_an_answer_may_be_json_that_nobody_asked_for(choice_under):
    choice = choice_under(OffSchema(), response_format=AS_JSON)
    assert json.loads(choice["message"]["content"]) == {"unexpected": True}


def test_an_answer_can_be_any(choice_under):
    choice = choice_under(Answer("anything", finish_reason="content_filter"))
    assert choice["message"]["content"] == "anything"
    assert choice["finish_reason"] == "content_filter"


def test_line_separators_stand_in_the_file_as_they_are(faults, client, submit, finish, a_request):
    faults.items(LineSeparators())
    batch = finish(submit([a_request(text="Word: oak", response_format=AS_JSON)]))
    content = client.files.content(batch.output_file_id).read()
    assert content.decode().count("\u2028") == 1
    assert content.count(b"\n") == 1
    assert len(content.decode().splitlines()) == 2
    answer = json.loads(content)["response"]["body"]["choices"][0]["message"]["content"]
    assert json.loads(answer) == {"note": "Word:\u2028oak"}


@pytest.mark.parametrize(
    "fault",
    [Refusal(), TruncatedAnswer(), NotJson(), OffSchema(), Answer("a"), LineSeparators()],
    ids=lambda fault: type(fault).__name__,
)
def test_a_wrong_answer_was_executed_and_is_charged(
    faults, sandbox, submit, finish, a_request, fault
):
    faults.items(fault)
    batch = finish(submit([a_request("r1")]))
    assert sandbox.state.executions_of("r1") == 1
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 0)
    assert batch.usage.output_tokens > 0


def test_every_choice_of_a_request_is_wrong_alike(faults, ask):
    faults.items(Answer("a"))
    choices = ask(n=2)["response"]["body"]["choices"]
    assert [choice["message"]["content"] for choice in choices] == ["a", "a"]
