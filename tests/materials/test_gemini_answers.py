"""The verdict on each line of a Gemini batch's output file."""

import json
from typing import Any

import pytest
from answer_lines import OUTPUT, TEXT, VALUE, an_endpoint, encoded
from google.genai.types import BlockedReason, FinishReason

from batch_assets.domain.outcome import Failure, Outcome
from batch_assets.prompt.answers import Verdict

GEMINI = an_endpoint("generate_content", model="gemini-2.5-flash", output=OUTPUT)
USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 80,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 15,
    "totalTokenCount": 135,
}


def a_candidate(*parts: Any, finish: str | None = "STOP", **over: Any) -> Any:
    content = {"parts": [p if isinstance(p, dict) else {"text": p} for p in parts or (TEXT,)]}
    return {"content": content | {"role": "model"}, "finishReason": finish, "index": 0} | over


def a_line(key: str = "r-0", **response: Any) -> Any:
    facts = {"candidates": [a_candidate()], "usageMetadata": USAGE, "modelVersion": "g-2.5-001"}
    return {"key": key, "response": facts | response}


def verdict(line: Any) -> Verdict:
    [read] = GEMINI.read_lines(line if isinstance(line, bytes) else encoded(line))
    return GEMINI.judge(read)


def test_a_valid_answer_comes_with_its_value_and_all_that_is_known_of_it():
    assert verdict(a_line()) == Verdict(
        outcome=Outcome.OK,
        failure=None,
        answer=TEXT,
        output=VALUE,
        model="g-2.5-001",
        finish_reason="STOP",
        input_tokens=100,
        cached_tokens=80,
        output_tokens=35,
        reasoning_tokens=15,
        executions=1,
    )


def test_the_models_thoughts_are_no_part_of_the_answer():
    thought = {"text": "Let me think.", "thought": True, "thoughtSignature": "x"}

    assert verdict(a_line(candidates=[a_candidate(thought, TEXT[:5], TEXT[5:])])).answer == TEXT


def test_log_probabilities_are_kept_as_they_came():
    told = {"chosenCandidates": [{"token": "a", "logProbability": -0.5}]}

    found = verdict(a_line(candidates=[a_candidate(logprobsResult=told)]))

    assert json.loads(found.logprobs) == told


REFUSED = {
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "ESCALATION", "PUP_LIMITED_DISABLED",
    "MODEL_ARMOR",
}  # fmt: skip
OUTCOMES = {"STOP": Outcome.OK, "FINISH_REASON_UNSPECIFIED": Outcome.OK}
OUTCOMES |= dict.fromkeys(REFUSED, Outcome.REFUSED)
OUTCOMES |= dict.fromkeys(("MAX_TOKENS", "CONTINUATION"), Outcome.TRUNCATED)


@pytest.mark.parametrize("reason", [reason.value for reason in FinishReason])
def test_every_reason_to_stop_has_an_outcome_and_is_kept(reason):
    found = verdict(a_line(candidates=[a_candidate(finish=reason)]))

    assert found.outcome is OUTCOMES.get(reason, Outcome.INVALID)
    assert found.finish_reason == reason
    assert found.executions == 1


def test_a_refusal_says_what_the_provider_said():
    candidate = {"finishReason": "SPII", "finishMessage": "It names a person."}

    found = verdict(a_line(candidates=[candidate]))

    assert found.outcome is Outcome.REFUSED
    assert found.error_message == "the model stopped (SPII): It names a person."


@pytest.mark.parametrize("reason", [reason.value for reason in BlockedReason])
def test_a_prompt_that_was_blocked_is_refused(reason):
    feedback = {"blockReason": reason, "blockReasonMessage": "No."}
    usage = {"promptTokenCount": 9}

    found = verdict(
        {"key": "r-0", "response": {"promptFeedback": feedback, "usageMetadata": usage}}
    )

    assert (found.outcome, found.failure) == (Outcome.REFUSED, Failure.REFUSED)
    assert found.error_message == f"the prompt was blocked ({reason}): No."
    assert (found.finish_reason, found.input_tokens, found.executions) == (reason, 9, 0)


@pytest.mark.parametrize(
    ("response", "outcome", "message"),
    [
        ({"candidates": []}, Outcome.INVALID, "the answer has no candidates"),
        ({"candidates": [a_candidate("oak")]}, Outcome.INVALID, "answer: Invalid JSON"),
        ({"candidates": [{"finishReason": "STOP"}]}, Outcome.INVALID, "the answer has no content"),
        ({"candidates": [a_candidate({"functionCall": {}})]}, Outcome.INVALID, "no content"),
        (
            {"candidates": [a_candidate(finish="OTHER")]},
            Outcome.INVALID,
            "the model stopped (OTHER)",
        ),
    ],
)
def test_an_answer_that_is_not_of_the_type_is_invalid(response, outcome, message):
    found = verdict(a_line(**response))

    assert found.outcome is outcome
    assert message in found.error_message


@pytest.mark.parametrize(
    ("error", "failure", "code"),
    [
        # Numbers of google.rpc.Code (python-genai#1341, #2693).
        ({"code": 13, "message": "x"}, Failure.SERVER_ERROR, "INTERNAL"),
        ({"code": 3, "message": "x"}, Failure.REJECTED, "INVALID_ARGUMENT"),
        ({"code": 8, "message": "x"}, Failure.RATE_LIMITED, "RESOURCE_EXHAUSTED"),
        ({"code": 14, "message": "x"}, Failure.SERVER_ERROR, "UNAVAILABLE"),
        ({"code": 4, "message": "x"}, Failure.SERVER_ERROR, "DEADLINE_EXCEEDED"),
        ({"code": 7, "message": "x"}, Failure.ACCOUNT, "PERMISSION_DENIED"),
        ({"code": 16, "message": "x"}, Failure.ACCOUNT, "UNAUTHENTICATED"),
        ({"code": 10, "message": "x"}, Failure.TIMEOUT, "ABORTED"),
        ({"code": 12, "message": "x"}, Failure.REJECTED, "UNIMPLEMENTED"),
        # HTTP statuses, as other servers write them.
        (
            {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"},
            Failure.RATE_LIMITED,
            "RESOURCE_EXHAUSTED",
        ),
        ({"code": 503, "message": "x"}, Failure.SERVER_ERROR, "503"),
        ({"status": "UNAVAILABLE", "message": "x"}, Failure.SERVER_ERROR, "UNAVAILABLE"),
        ({"code": "INTERNAL", "message": "x"}, Failure.SERVER_ERROR, "INTERNAL"),
        ({"code": 99, "message": "x"}, Failure.REJECTED, None),
    ],
)
def test_an_error_means_what_its_number_or_name_means(error, failure, code):
    for line in ({"key": "r-0", "error": error}, {"key": "r-0", "response": {"error": error}}):
        found = verdict(line)

        assert (found.outcome, found.failure) == (Outcome.ERRORED, failure)
        assert (found.error_code, found.error_message) == (code, "x")
        assert found.executions == 0


def test_a_request_that_was_cancelled_never_ran():
    found = verdict({"key": "r-0", "error": {"code": 1, "message": "x"}})

    assert (found.outcome, found.failure) == (Outcome.CANCELLED, Failure.CANCELLED)


@pytest.mark.parametrize(
    ("status", "failure", "message"),
    [
        (
            'Bad Request: {"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}',
            Failure.REJECTED,
            "No.",
        ),
        ('{"code": 8, "message": "Slow."}', Failure.RATE_LIMITED, "Slow."),
        ("It broke.", Failure.REJECTED, "It broke."),
        ("It {broke.", Failure.REJECTED, "It {broke."),
        ({"code": 13, "message": "x"}, Failure.SERVER_ERROR, "x"),
    ],
)
def test_vertex_ai_tells_an_error_as_the_status_of_the_line(status, failure, message):
    found = verdict({"status": status, "request": {}, "response": {}, "key": "r-0"})

    assert (found.outcome, found.failure) == (Outcome.ERRORED, failure)
    assert found.error_message == message


def test_an_empty_status_is_none():
    line = {"status": "", "processed_time": "t", "request": {"contents": []}} | a_line()

    assert verdict(line).outcome is Outcome.OK


WHOLE = json.dumps(a_line()).encode()


@pytest.mark.parametrize(
    "line",
    [
        WHOLE.replace(b'"promptTokenCount": 100', b'"promptTokenCount": "100"'),
        WHOLE.replace(b'"index": 0', b'"index": 1e400'),
        json.dumps(a_line() | {"response": json.dumps(a_line()["response"])}).encode(),
    ],
)
def test_an_odd_line_keeps_its_answer(line):
    found = verdict(line + b"\n")

    assert (found.outcome, found.answer, found.input_tokens) == (Outcome.OK, TEXT, 100)


def test_counts_that_cannot_be_read_cost_no_answer():
    found = verdict(a_line(usageMetadata={"promptTokenCount": -5}))

    assert (found.outcome, found.input_tokens, found.executions) == (Outcome.OK, None, 1)


def test_half_a_character_costs_no_answer():
    line = WHOLE.replace(b'\\"oak\\"', b'\\"oak\\ud83d\\"')

    assert verdict(line + b"\n").output["words"] == ["oak�"]


@pytest.mark.parametrize(
    ("line", "custom_id"),
    [
        (b'{"key": "r-0", "response": {"candidates": 5}}', "r-0"),
        (b'{"key": "r-0", "response": [1]}', "r-0"),
        (WHOLE[:-20], None),
        (b"upstream connect error", None),
        (b"\xff\xfe", None),
        (b"[1]", None),
        (b'{"key": 5}', None),
    ],
)
def test_a_damaged_line_is_nobodys_answer_and_spoils_no_other(line, custom_id):
    first, damaged, last = GEMINI.read_lines(b"\n".join([WHOLE, line, WHOLE]) + b"\n")

    assert (first.custom_id, last.custom_id) == ("r-0", "r-0")
    assert damaged.custom_id == custom_id
    assert GEMINI.judge(damaged).error_code == "unreadable_line"
    assert GEMINI.judge(first).outcome is Outcome.OK


def test_a_line_with_neither_answer_nor_error_says_so():
    assert verdict({"key": "r-0"}).error_message == "the line has neither an answer nor an error"
