"""What the endpoint `messages` makes of the lines of Anthropic's results."""

import json
from typing import Any

import pytest
from answer_lines import TEXT, VALUE, an_endpoint, encoded, verdict
from factories import Kind

from batch_assets.domain.outcome import Failure, Outcome
from batch_assets.prompt import Labels, OutputType
from batch_assets.prompt.answers import UNREADABLE
from batch_assets.prompt.ready import ReadyRequests

ENDPOINT = an_endpoint("messages", model="claude-haiku-4-5", output=OutputType(Kind))
TEXTS = an_endpoint("messages", model="claude-haiku-4-5")
USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 200,
    "cache_read_input_tokens": 3_000,
    "output_tokens": 40,
    "output_tokens_details": {"thinking_tokens": 15},
    "service_tier": "batch",
}


def a_text(text: str = TEXT) -> dict[str, Any]:
    return {"type": "text", "text": text, "citations": None}


def a_result(custom_id: str = "set-0-0123456789abcdef", **message: Any) -> dict[str, Any]:
    """A line of a request that was answered; keywords are the message's."""
    facts = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [a_text()],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": USAGE,
    }
    return {"custom_id": custom_id, "result": {"type": "succeeded", "message": facts | message}}


def an_error(kind: str, message: str = "No.") -> dict[str, Any]:
    """A line of a request that was refused."""
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return {"custom_id": "set-0", "result": {"type": "errored", "error": error}}


def judged(line: Any, endpoint: Any = ENDPOINT) -> Any:
    return verdict(line, endpoint)


def test_an_answer_of_the_output_type_is_ok():
    found = judged(a_result())

    assert (found.outcome, found.output, found.answer) == (Outcome.OK, VALUE, TEXT)
    assert (found.model, found.finish_reason) == ("claude-haiku-4-5-20251001", "end_turn")
    assert found.executions == 1


def test_the_line_is_the_requests_whose_id_it_has():
    [line] = ENDPOINT.read_lines(encoded(a_result("set-7-0123456789abcdef")))

    assert line.custom_id == "set-7-0123456789abcdef"
    assert line.is_completed


def test_input_tokens_are_what_was_read_with_what_the_cache_had_and_got():
    """Row 50: ours count all of the prompt, and what came from the cache as a part of it."""
    found = judged(a_result())

    assert (found.input_tokens, found.cached_tokens) == (3_210, 3_000)
    assert (found.output_tokens, found.reasoning_tokens) == (40, 15)


def test_without_a_cache_the_input_is_what_it_says():
    found = judged(a_result(usage={"input_tokens": 10, "output_tokens": 4}))

    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (10, None, 4)


def test_texts_of_an_answer_belong_together_and_thoughts_do_not():
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": "x"},
        {"type": "redacted_thinking", "data": "x"},
        a_text(TEXT[:10]),
        a_text(TEXT[10:]),
    ]

    assert judged(a_result(content=content)).output == VALUE


@pytest.mark.parametrize("stop_reason", ["tool_use", "end_turn"])
def test_the_input_of_the_tool_that_had_to_be_called_is_the_answer(stop_reason):
    call = {"type": "tool_use", "id": "toolu_1", "name": "Kind", "input": VALUE}
    found = judged(a_result(content=[a_text("I call it."), call], stop_reason=stop_reason))

    assert (found.outcome, found.output) == (Outcome.OK, VALUE)
    assert json.loads(found.answer) == VALUE


def test_labels_are_read_as_labels():
    endpoint = an_endpoint("messages", output=Labels("tree", "animal"))

    assert judged(a_result(content=[a_text('{"label":"tree"}')]), endpoint).output == "tree"


def test_a_text_is_an_answer_as_it_is():
    assert judged(a_result(content=[a_text("An oak.")]), TEXTS).output == "An oak."


@pytest.mark.parametrize(
    ("stop_reason", "outcome", "words"),
    [
        ("max_tokens", Outcome.TRUNCATED, "token limit"),
        ("model_context_window_exceeded", Outcome.TRUNCATED, "context window"),
        ("pause_turn", Outcome.TRUNCATED, "paused"),
        ("refusal", Outcome.REFUSED, "declined by the provider's classifiers"),
    ],
)
def test_an_answer_that_stops_early_is_none(stop_reason, outcome, words):
    found = judged(a_result(stop_reason=stop_reason), TEXTS)

    assert (found.outcome, found.output, found.finish_reason) == (outcome, None, stop_reason)
    assert words in found.error_message
    assert found.answer == TEXT


@pytest.mark.parametrize("stop_reason", ["end_turn", "stop_sequence"])
def test_an_answer_that_comes_to_its_end_is_one(stop_reason):
    assert judged(a_result(stop_reason=stop_reason)).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({"type": "refusal", "category": "bio", "explanation": None}, "(bio)"),
        ({"type": "refusal", "category": None, "explanation": "It is harmful."}, "It is harmful."),
    ],
)
def test_a_refusal_says_why(details, words):
    found = judged(a_result(content=[], stop_reason="refusal", stop_details=details))

    assert (found.outcome, found.failure) == (Outcome.REFUSED, Failure.REFUSED)
    assert words in found.error_message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "the answer has no content"),
        ([a_text("Sure! Here it is.")], "Invalid JSON"),
        ([a_text('{"unexpected":true}')], "Field required"),
    ],
)
def test_an_answer_that_is_none_of_the_type_is_invalid(content, words):
    found = judged(a_result(content=content))

    assert (found.outcome, found.executions) == (Outcome.INVALID, 1)
    assert words in found.error_message


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("invalid_request_error", Failure.REJECTED),
        ("not_found_error", Failure.REJECTED),
        ("request_too_large", Failure.REJECTED),
        ("rate_limit_error", Failure.RATE_LIMITED),
        ("timeout_error", Failure.TIMEOUT),
        ("api_error", Failure.SERVER_ERROR),
        ("overloaded_error", Failure.SERVER_ERROR),
        ("authentication_error", Failure.ACCOUNT),
        ("billing_error", Failure.ACCOUNT),
        ("permission_error", Failure.ACCOUNT),
        ("something_new", Failure.REJECTED),
    ],
)
def test_an_error_is_judged_by_its_type(kind, failure):
    found = judged(an_error(kind, "model: claude-x"))

    assert (found.outcome, found.failure) == (Outcome.ERRORED, failure)
    assert (found.error_code, found.error_message) == (kind, "model: claude-x")
    assert found.executions == 0


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        ("canceled", Outcome.CANCELLED, "the batch was canceled before this request ran"),
        ("expired", Outcome.EXPIRED, "the batch expired before this request ran"),
    ],
)
def test_a_request_that_never_ran_says_so(kind, outcome, words):
    found = judged({"custom_id": "set-0", "result": {"type": kind}})

    assert (found.outcome, found.error_code, found.error_message) == (outcome, kind, words)
    assert found.executions == 0


#: Lines that are not as the API describes them, and what they are taken for.
ODD = {
    "no result": ({"custom_id": "set-0"}, Outcome.INVALID),
    "a null result": ({"custom_id": "set-0", "result": None}, Outcome.INVALID),
    "no message": ({"custom_id": "set-0", "result": {"type": "succeeded"}}, Outcome.INVALID),
    "an unknown type": ({"custom_id": "set-0", "result": {"type": "odd"}}, Outcome.INVALID),
    "an error without more": ({"custom_id": "set-0", "result": {"type": "errored"}}, None),
    "a bare error": (
        {"custom_id": "s", "result": {"type": "errored", "error": {"type": "api_error"}}},
        None,
    ),
    "an error as text": ({"custom_id": "s", "result": {"type": "errored", "error": "No."}}, None),
    "usage that cannot be read": (a_result(usage={"input_tokens": -1}), Outcome.OK),
    "usage as text": (a_result(usage="some"), Outcome.OK),
    "the message as text": (
        {
            "custom_id": "set-0",
            "result": {"type": "succeeded", "message": json.dumps(a_result()["result"]["message"])},
        },
        Outcome.OK,
    ),
    "content of another type": (a_result(content="An oak."), Outcome.INVALID),
}


@pytest.mark.parametrize(("line", "outcome"), ODD.values(), ids=ODD)
def test_an_odd_line_is_taken_for_what_can_be_read_of_it(line, outcome):
    found = judged(line)

    assert found.outcome is (outcome or Outcome.ERRORED)
    assert found.error_message or outcome is Outcome.OK


def test_half_a_character_spoils_no_answer():
    line = encoded(a_result(content=[a_text("oak X")])).replace(b"X", b"\\ud83d")

    assert judged(line, TEXTS).output == "oak \ufffd"


@pytest.mark.parametrize(
    "damaged", [b"upstream connect error", b'{"custom_id":"set-1","result":', b"\xff\xfe", b"[1]"]
)
def test_a_damaged_line_spoils_no_other(damaged):
    lines = ENDPOINT.read_lines(encoded(a_result("a")) + damaged + b"\n" + encoded(a_result("b")))

    assert [line.custom_id for line in lines] == ["a", None, "b"]
    assert lines[1].is_unreadable
    assert [ENDPOINT.judge(line).outcome for line in lines] == [
        Outcome.OK,
        Outcome.INVALID,
        Outcome.OK,
    ]


def test_a_line_whose_rest_cannot_be_read_is_known_by_its_id():
    [line] = ENDPOINT.read_lines(b'{"custom_id":"set-1","result":{"type":7}}\n')

    assert line.custom_id == "set-1"
    assert judged(b'{"custom_id":"set-1","result":{"type":7}}\n').error_code == UNREADABLE


def test_answers_to_ready_made_requests_are_read_alike():
    ready = ReadyRequests.compiled(
        url="/v1/messages", model="claude-haiku-4-5", output=OutputType(Kind), settings={}
    )
    [line] = ready.read_lines(encoded(a_result()))

    assert ready.judge(line).output == VALUE
    assert ready.line("set-0", b"{}") == b'{"custom_id":"set-0","params":{}}\n'


def test_what_went_into_the_cache_is_told_by_how_long_it_stays_there():
    usage = USAGE | {
        "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50}
    }

    found = verdict(a_result(usage=usage), TEXTS)

    assert (found.cache_write_tokens, found.cache_write_1h_tokens) == (150, 50)
    assert found.input_tokens == 10 + 200 + 3_000


def test_what_went_into_the_cache_stays_there_for_minutes_unless_it_is_told():
    found = verdict(a_result(), TEXTS)

    assert (found.cache_write_tokens, found.cache_write_1h_tokens) == (200, None)
