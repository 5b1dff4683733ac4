"""Result lines that are not as they should be, and what the judge counts."""

import json

import pytest

from batch_assets.sandbox import (
    Answer,
    DuplicateLine,
    ForeignLine,
    HalfLine,
    ItemError,
    LineError,
    MalformedLine,
    MissingLine,
    NullResponse,
    StringBody,
    ZeroStatus,
)


@pytest.fixture
def result(client, submit, finish, some_requests, lines_of):
    """Three requests, r0 to r2, of which the script hits r1."""

    class Result:
        def __init__(self):
            self.batch = finish(submit(some_requests(3)))
            self.bytes = client.files.content(self.batch.output_file_id).read()
            self.errors = lines_of(self.batch.error_file_id)

        @property
        def output(self):
            return [json.loads(line) for line in self.bytes.split(b"\n")[:-1]]

        def of(self, custom_id):
            return [line for line in self.output if line["custom_id"] == custom_id]

        def counts(self):
            counts = self.batch.request_counts
            return counts.completed, counts.failed

    return Result


@pytest.fixture
def executed(sandbox):
    return sandbox.state.executed_custom_ids


def test_a_missing_line_was_executed_and_counted_as_completed(faults, result, executed):
    faults.items(MissingLine(), custom_id="r1")
    found = result()
    assert sorted(line["custom_id"] for line in found.output) == ["r0", "r2"]
    assert (found.errors, found.counts()) == ([], (3, 0))
    assert executed() == {"r0": 1, "r1": 1, "r2": 1}


def test_a_file_whose_lines_are_all_missing_is_empty(faults, result):
    faults.items(MissingLine())
    assert result().bytes == b""


def test_a_duplicate_line_comes_twice_and_was_executed_once(faults, result, executed):
    faults.items(DuplicateLine(), custom_id="r1")
    found = result()
    first, second = found.of("r1")
    assert first == second
    assert (len(found.output), found.counts()) == (4, (3, 0))
    assert executed()["r1"] == 1


def test_a_duplicate_line_may_have_another_answer(faults, result):
    faults.items(DuplicateLine("Something else"), custom_id="r1")
    texts = [
        line["response"]["body"]["choices"][0]["message"]["content"] for line in result().of("r1")
    ]
    assert texts == ["In short: Word: oak 1", "Something else"]


def test_a_foreign_line_stands_beside_the_items_own(faults, result, executed):
    faults.items(ForeignLine("nobody"), custom_id="r1")
    found = result()
    assert len(found.of("nobody")) == len(found.of("r1")) == 1
    assert "nobody" not in executed()


def test_a_foreign_line_may_take_the_items_place(faults, result, executed):
    faults.items(ForeignLine("nobody", in_place=True), custom_id="r1")
    found = result()
    assert (len(found.of("nobody")), found.of("r1")) == (1, [])
    assert executed()["r1"] == 1


def test_a_half_line_is_the_end_of_the_file(faults, result, executed):
    faults.items(HalfLine(), custom_id="r1")
    found = result()
    *whole, half = found.bytes.split(b"\n")
    assert {json.loads(line)["custom_id"] for line in whole} == {"r0", "r2"}
    assert half.startswith(b'{"id":"batch_req_')
    with pytest.raises(json.JSONDecodeError):
        json.loads(half)
    assert executed()["r1"] == 1


def test_several_half_lines_do_not_run_together(faults, result):
    faults.items(HalfLine())
    lines = result().bytes.split(b"\n")
    assert [line.startswith(b'{"id":') for line in lines] == [True] * 3


def test_a_malformed_line_is_no_json(faults, result, executed):
    faults.items(MalformedLine("<html>"), custom_id="r1")
    assert b"<html>\n" in result().bytes
    assert executed()["r1"] == 1


def test_a_body_may_be_a_string_that_holds_an_object(faults, result, executed):
    faults.items(StringBody(), custom_id="r1")
    [line] = result().of("r1")
    assert isinstance(line["response"]["body"], str)
    assert json.loads(line["response"]["body"])["object"] == "chat.completion"
    assert executed()["r1"] == 1


@pytest.mark.parametrize("times", [0, 1])
def test_a_line_may_have_neither_response_nor_error(faults, result, executed, times):
    faults.items(NullResponse(executed=bool(times)), custom_id="r1")
    found = result()
    [line] = found.of("r1")
    assert (line["response"], line["error"]) == (None, None)
    assert (executed().get("r1", 0), found.counts()) == (times, (3, 0))


@pytest.mark.parametrize("times", [0, 1])
def test_a_status_of_zero_is_counted_as_completed(faults, result, executed, times):
    faults.items(ZeroStatus(executed=bool(times)), custom_id="r1")
    found = result()
    [line] = found.of("r1")
    assert (line["response"]["status_code"], line["response"]["body"]) == (0, None)
    assert (executed().get("r1", 0), found.counts()) == (times, (3, 0))


@pytest.mark.parametrize(
    ("fault", "type", "code"),
    [
        (ItemError(500), "server_error", "server_error"),
        (ItemError(429), "tokens", "rate_limit_exceeded"),
        (ItemError(400), "invalid_request_error", "invalid_value"),
        (ItemError(503, code="overloaded"), "server_error", "overloaded"),
        (ItemError(429, code="insufficient_quota"), "insufficient_quota", "insufficient_quota"),
        (
            ItemError(400, code="billing_hard_limit_reached"),
            "invalid_request_error",
            "billing_hard_limit_reached",
        ),
    ],
    ids=lambda value: f"{value.status}-{value.code}" if isinstance(value, ItemError) else "",
)
def test_an_error_line_has_a_status_and_was_not_executed(
    faults, result, executed, fault, type, code
):
    faults.items(fault, custom_id="r1")
    found = result()
    [line] = found.errors
    error = line["response"]["body"]["error"]
    assert (line["custom_id"], line["response"]["status_code"]) == ("r1", fault.status)
    assert (error["type"], error["code"], line["error"]) == (type, code, None)
    assert error["message"]
    assert (executed(), found.counts()) == ({"r0": 1, "r2": 1}, (2, 1))


def test_an_error_line_may_have_no_response(faults, result, executed):
    faults.items(LineError("batch_expired", "Too late."), custom_id="r1")
    found = result()
    [line] = found.errors
    assert line["response"] is None
    assert line["error"] == {"code": "batch_expired", "message": "Too late."}
    assert (executed(), found.counts()) == ({"r0": 1, "r2": 1}, (2, 1))


def test_only_errors_leave_no_output_file(faults, submit, finish, some_requests):
    faults.items(ItemError(500))
    batch = finish(submit(some_requests(3)))
    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert batch.error_file_id


def test_a_request_the_endpoint_refuses_is_refused_whatever_the_script(faults, ask):
    faults.items(Answer("anything"))
    assert ask(creativity=1)["response"]["status_code"] == 400
