"""The verdict on each line of the responses endpoint."""

import json
from typing import Any

import pytest
from answer_lines import OUTPUT, TEXT, VALUE, an_answer, an_endpoint, verdict

from batch_assets.domain.outcome import Failure, Outcome
from batch_assets.prompt.answers import Verdict

RESPONSES = an_endpoint("responses", output=OUTPUT)


def a_message(text: Any = TEXT, **item: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"type": "message", "role": "assistant", "content": content} | item


def a_reasoning(text: str = "Let me think.") -> dict[str, Any]:
    part = {"type": "reasoning_text", "text": text}
    return {"type": "reasoning", "summary": [], "content": [part]}


def a_response(**body: Any) -> Any:
    facts = {
        "object": "response",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "gpt-5-mini-2026",
        "output": [a_reasoning(), a_message()],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 80},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 15},
        },
    }
    return an_answer(facts | body)


def test_a_valid_response_comes_with_its_value_and_all_that_is_known_of_it():
    assert verdict(a_response(), RESPONSES) == Verdict(
        outcome=Outcome.OK,
        failure=None,
        answer=TEXT,
        output=VALUE,
        model="gpt-5-mini-2026",
        finish_reason="completed",
        input_tokens=100,
        cached_tokens=80,
        output_tokens=20,
        reasoning_tokens=15,
        executions=1,
    )


REFUSAL = a_message(content=[{"type": "refusal", "refusal": "I cannot."}])


@pytest.mark.parametrize(
    ("body", "outcome", "message", "finish_reason"),
    [
        ({"output": [REFUSAL]}, Outcome.REFUSED, "I cannot.", "completed"),
        ({"output": [a_message("oak")]}, Outcome.INVALID, "answer: Invalid JSON", "completed"),
        ({"output": [a_reasoning()]}, Outcome.INVALID, "the answer has no content", "completed"),
        ({"output": [a_message(content=[])]}, Outcome.INVALID, "the answer has no", "completed"),
        (
            {"output": [a_message(phase="commentary")]},
            Outcome.INVALID,
            "the answer has no content",
            "completed",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            Outcome.TRUNCATED,
            "the answer stops at the token limit",
            "max_output_tokens",
        ),
        (
            {
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
                "output": [],
            },
            Outcome.TRUNCATED,
            "the answer stops at the token limit",
            "max_output_tokens",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            Outcome.REFUSED,
            "stopped by the provider's content filter",
            "content_filter",
        ),
        ({"status": "incomplete"}, Outcome.TRUNCATED, "the answer stops", "incomplete"),
        ({"status": "in_progress"}, Outcome.TRUNCATED, "the answer stops", "in_progress"),
    ],
    ids=str,
)
def test_a_response_that_is_not_as_asked_keeps_its_cost(body, outcome, message, finish_reason):
    found = verdict(a_response(**body), RESPONSES)

    assert (found.outcome, found.failure) == (outcome, Failure(outcome.value))
    assert (found.error_message or "").startswith(message)
    assert (found.finish_reason, found.output) == (finish_reason, None)
    assert (found.executions, found.input_tokens) == (1, 100)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"code": "server_error", "message": "Sorry."}, Failure.SERVER_ERROR),
        ({"code": "rate_limit_exceeded", "message": "Sorry."}, Failure.RATE_LIMITED),
        ({"code": "invalid_prompt", "message": "Sorry."}, Failure.REJECTED),
        ({"code": "insufficient_quota", "message": "Sorry."}, Failure.ACCOUNT),
    ],
)
def test_a_response_that_failed_is_an_error_whatever_its_status(error, failure):
    """It comes with HTTP status 200 in the output file."""
    line = a_response(status="failed", error=error, output=[], usage=None)

    found = verdict(line, RESPONSES)

    assert (found.outcome, found.failure) == (Outcome.ERRORED, failure)
    assert (found.error_code, found.error_message) == (error["code"], "Sorry.")
    assert found.executions == 0


def test_the_parts_of_an_answer_are_one_text_and_what_was_said_before_is_none_of_it():
    half = len(TEXT) // 2
    output = [
        a_message("Let me see.", phase="commentary"),
        a_reasoning(),
        a_message(TEXT[:half], phase="final_answer"),
        a_message(TEXT[half:], phase="final_answer"),
    ]

    found = verdict(a_response(output=output), RESPONSES)

    assert (found.outcome, found.answer, found.output) == (Outcome.OK, TEXT, VALUE)


def test_a_response_of_a_compatible_server_may_leave_out_what_it_likes():
    found = verdict(an_answer({"output": [{"content": TEXT}]}), RESPONSES)

    assert (found.outcome, found.output) == (Outcome.OK, VALUE)


def test_the_log_probabilities_of_a_response_are_kept_as_json():
    message = a_message()
    message["content"][0]["logprobs"] = [{"token": "a", "logprob": -0.5}]

    found = verdict(a_response(output=[message]), RESPONSES)

    assert json.loads(found.logprobs or "") == [{"token": "a", "logprob": -0.5}]


def test_a_response_that_is_empty_is_no_answer():
    found = verdict(a_response(output=[]), RESPONSES)

    assert (found.outcome, found.error_message) == (Outcome.INVALID, "the answer has no output")
