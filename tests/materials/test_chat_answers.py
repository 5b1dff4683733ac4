"""The verdict on each line a provider returns."""

import json

import pytest
from answer_lines import (
    CHAT,
    TEXT,
    VALUE,
    a_choice,
    a_failed_line,
    a_line,
    an_unrun_line,
    encoded,
    verdict,
)

from batch_assets.domain.outcome import Failure, Outcome
from batch_assets.prompt.answers import Verdict


def test_a_valid_answer_comes_with_its_value_and_all_that_is_known_of_it():
    """Row 48: cached and reasoning tokens are kept."""
    assert verdict(a_line()) == Verdict(
        outcome=Outcome.OK,
        failure=None,
        error_code=None,
        error_message=None,
        answer=TEXT,
        output=VALUE,
        model="gpt-5-mini-2026",
        finish_reason="stop",
        input_tokens=100,
        cached_tokens=80,
        output_tokens=20,
        reasoning_tokens=15,
        executions=1,
    )


@pytest.mark.parametrize(
    ("choice", "outcome", "message"),
    [
        (a_choice("plant"), Outcome.INVALID, "answer: Invalid JSON"),
        (a_choice('{"label": "plant"'), Outcome.INVALID, "answer: Invalid JSON"),
        (a_choice('{"label": "stone"}'), Outcome.INVALID, "label: Input should be"),
        (a_choice(""), Outcome.INVALID, "answer: Invalid JSON"),
        (a_choice(None), Outcome.INVALID, "the answer has no content"),
        (a_choice(None, finish="tool_calls"), Outcome.INVALID, "the answer has no content"),
        ({}, Outcome.INVALID, "the answer has no content"),
        ({"message": None}, Outcome.INVALID, "the answer has no content"),
        (a_choice(None, refusal="I cannot."), Outcome.REFUSED, "I cannot."),
        (a_choice(TEXT, finish="content_filter"), Outcome.REFUSED, "stopped by the provider's"),
        (a_choice(TEXT, finish="length"), Outcome.TRUNCATED, "the answer stops at the token lim"),
        (a_choice('{"lab', finish="length"), Outcome.TRUNCATED, "the answer stops at the token"),
    ],
)
def test_an_answer_that_is_not_as_asked_keeps_its_text_and_its_cost(choice, outcome, message):
    found = verdict(a_line(choices=[choice]))

    assert (found.outcome, found.output, found.input_tokens) == (outcome, None, 100)
    assert found.error_message is not None
    assert found.error_message.startswith(message)
    assert found.answer == (choice.get("message") or {}).get("content")
    assert (found.failure, found.executions) == (Failure(outcome.value), 1)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (0, Failure.SERVER_ERROR),
        (408, Failure.TIMEOUT),
        (429, Failure.RATE_LIMITED),
        (500, Failure.SERVER_ERROR),
        (529, Failure.SERVER_ERROR),
        (400, Failure.REJECTED),
        (401, Failure.ACCOUNT),
    ],
)
def test_an_error_of_the_endpoint_is_judged_by_its_status(status, failure):
    """Row 15: lines say status 0 where the counts say completed; the line is believed."""
    found = verdict(a_failed_line(status))

    assert (found.outcome, found.failure) == (Outcome.ERRORED, failure)
    assert (found.error_code, found.error_message) == (str(status), "No.")
    assert (found.executions, found.input_tokens) == (0, None)


def test_an_error_keeps_the_providers_code():
    found = verdict(a_failed_line(400, code="context_length_exceeded"))

    assert (found.failure, found.error_code) == (Failure.REJECTED, "context_length_exceeded")


@pytest.mark.parametrize("error", [{"code": "insufficient_quota"}, {"type": "insufficient_quota"}])
def test_an_account_without_credit_is_the_accounts_trouble(error):
    """Row 57: thousands of rows fail in one go, and none of them is to blame."""
    found = verdict(a_failed_line(429, **error))

    assert (found.outcome, found.failure) == (Outcome.ERRORED, Failure.ACCOUNT)
    assert found.error_code == "insufficient_quota"


@pytest.mark.parametrize(
    ("code", "outcome", "failure"),
    [
        ("batch_expired", Outcome.EXPIRED, Failure.EXPIRED),
        ("batch_cancelled", Outcome.CANCELLED, Failure.CANCELLED),
        ("request_timeout", Outcome.ERRORED, Failure.TIMEOUT),
        ("something_new", Outcome.ERRORED, Failure.REJECTED),
    ],
)
def test_a_request_without_a_reply_is_judged_by_its_code(code, outcome, failure):
    """Rows 8 and 12: what the error file says counts like what the output file says."""
    found = verdict(an_unrun_line(code))

    assert (found.outcome, found.failure, found.executions) == (outcome, failure, 0)
    assert (found.error_code, found.error_message) == (code, "Why.")


@pytest.mark.parametrize(
    ("message", "failure", "code"),
    [
        ("Error code: 429 - slow down", Failure.RATE_LIMITED, "429"),
        ("Error code: 500", Failure.SERVER_ERROR, "500"),
        ("Error code: 400 - {'error': {'code': 429}}", Failure.REJECTED, "400"),
        ("It said: Error code: 429", Failure.REJECTED, None),
        ("Error code: 4291", Failure.REJECTED, None),
    ],
)
def test_a_status_that_stands_in_the_words_of_the_official_sdk_is_read(message, failure, code):
    """Servers that call a model through that SDK pass on its words and nothing else."""
    line = {"custom_id": "r-0", "error": {"type": "request_failed", "message": message}}

    found = verdict(line)

    assert (found.outcome, found.failure) == (Outcome.ERRORED, failure)
    assert (found.error_code, found.error_message) == (code, message)


def test_a_status_that_is_told_says_more_than_a_code_for_everything():
    """ogx 1.5 calls every failure of a model's a server_error or an api_error."""
    line = an_unrun_line("server_error", "Error code: 400 - no such parameter")

    assert (verdict(line).failure, verdict(line).error_code) == (Failure.REJECTED, "server_error")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (a_line(choices=[]), "the answer has no choices"),
        (a_line(choices=None), "the answer has no choices"),
        (a_failed_line(200, message="upstream is gone"), "upstream is gone"),
        ({"custom_id": "r-0"}, "the line has neither an answer nor an error"),
        ({"custom_id": "r-0", "response": None, "error": None}, "the line has neither an answer"),
        ({"custom_id": "r-0", "response": {}, "error": {}}, "the line has neither an answer nor"),
        (an_unrun_line(None, None), "the line has neither an answer nor an error"),
    ],
)
def test_a_line_that_says_nothing_is_no_answer(line, message):
    found = verdict(line)

    assert (found.outcome, found.failure) == (Outcome.INVALID, Failure.INVALID)
    assert found.error_message is not None
    assert found.error_message.startswith(message)


@pytest.mark.parametrize("error", [None, {}, {"code": "", "message": ""}, {"code": None}])
def test_an_answer_beside_an_error_that_says_nothing_is_an_answer(error):
    assert verdict(a_line(error=error)).outcome is Outcome.OK


def test_an_answer_beside_an_error_is_none():
    found = verdict(a_line(error={"code": "server_error", "message": "lost"}))

    assert (found.outcome, found.error_code) == (Outcome.INVALID, "server_error")
    assert (found.executions, found.input_tokens) == (1, 100)


@pytest.mark.parametrize(("tokens", "executions"), [(20, 1), (0, 0), (None, 0)])
def test_what_the_model_wrote_was_paid_for_in_whatever_form_it_came(tokens, executions):
    found = verdict(a_line(choices=[], usage={"prompt_tokens": 9, "completion_tokens": tokens}))

    assert (found.outcome, found.executions) == (Outcome.INVALID, executions)
    assert (found.input_tokens, found.output_tokens) == (9, tokens)


def test_an_answer_whose_status_was_left_out_is_an_answer():
    assert verdict(a_line(status=None)).outcome is Outcome.OK


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": None},
        {"prompt_tokens": -1},
        {"prompt_tokens": 10**30},
        {"prompt_tokens": 0.5},
        {"prompt_tokens": "many"},
        {"prompt_tokens_details": []},
        "free",
        [],
    ],
    ids=str,
)
def test_an_answer_is_not_lost_for_the_want_of_its_token_counts(usage):
    """It was paid for, and no column could hold some of these numbers."""
    found = verdict(a_line(usage=usage))

    assert (found.outcome, found.output, found.input_tokens) == (Outcome.OK, VALUE, None)


def test_token_counts_in_another_form_are_read_all_the_same():
    found = verdict(a_line(usage={"prompt_tokens": 12.0, "completion_tokens": "7"}))

    assert (found.input_tokens, found.output_tokens) == (12, 7)


def test_log_probabilities_are_kept_as_json():
    tokens = [{"token": "oak", "logprob": -0.5, "bytes": [111, 97, 107], "top_logprobs": []}]
    choice = a_choice() | {"logprobs": {"content": tokens, "refusal": None}}

    found = verdict(a_line(choices=[choice]))

    assert found.outcome is Outcome.OK
    assert json.loads(found.logprobs or "") == choice["logprobs"]


def test_tokens_under_the_names_of_newer_endpoints_count_too():
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
    }

    found = verdict(a_line(usage=usage))

    counts = (found.input_tokens, found.cached_tokens, found.output_tokens, found.reasoning_tokens)
    assert counts == (9, 4, 7, 3)


def test_a_body_that_came_as_text_is_read():
    line = a_line()
    line["response"]["body"] = json.dumps(line["response"]["body"])

    assert verdict(line) == verdict(a_line())


@pytest.mark.parametrize("body", ["<html>502 Bad Gateway</html>", "", "null", "[1]", "[" * 9_999])
def test_a_page_of_a_proxy_is_an_error_and_no_answer(body):
    found = verdict({"custom_id": "r-0", "response": {"status_code": 502, "body": body}})

    assert (found.outcome, found.failure) == (Outcome.ERRORED, Failure.SERVER_ERROR)
    assert found.error_code == "502"


def test_an_error_in_one_word_is_kept():
    found = verdict({"custom_id": "r-0", "error": "overloaded"})

    assert (found.outcome, found.error_message) == (Outcome.ERRORED, "overloaded")


def test_a_code_that_is_a_number_is_its_text():
    assert verdict(a_failed_line(400, code=1_234)).error_code == "1234"


def test_a_long_error_is_cut():
    found = verdict(a_failed_line(500, message="x" * 10_000))

    assert found.error_message == "x" * 500 + "…"


def test_half_a_character_in_an_answer_does_not_lose_it():
    """A model that stops in the middle of a smile; no file could hold the half."""
    text = TEXT.replace("oak", "oak \ud83d")

    found = verdict(a_line(choices=[a_choice(text)]))

    assert (found.outcome, found.output) == (Outcome.OK, VALUE | {"words": ["oak \ufffd"]})
    assert found.answer == TEXT.replace("oak", "oak \ufffd")


def test_separators_of_lines_inside_a_line_do_not_end_it():
    content = json.dumps(VALUE | {"words": ["a\u2028b\u2029c\u0085d"]}, ensure_ascii=False)
    line = json.dumps(a_line(choices=[a_choice(content)]), ensure_ascii=False).encode()

    assert verdict(line + b"\n").output == VALUE | {"words": ["a\u2028b\u2029c\u0085d"]}


def test_the_last_of_two_equal_keys_counts():
    line = encoded(a_line("r-1")).replace(
        b'"custom_id": "r-1"', b'"custom_id": "r-0", "custom_id": "r-1"'
    )

    assert [found.custom_id for found in CHAT.read_lines(line)] == ["r-1"]


def test_an_integer_that_no_column_can_hold_is_an_invalid_answer():
    found = verdict(a_line(choices=[a_choice(json.dumps(VALUE | {"score": 10**30}))]))

    assert (found.outcome, found.error_message) == (
        Outcome.INVALID,
        f"score: {10**30} does not fit a 64-bit integer column",
    )
