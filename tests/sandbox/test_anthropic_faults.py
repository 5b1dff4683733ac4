"""The sandbox's faults in Anthropic's words: one script misbehaves on every wire."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from batch_assets.sandbox import (
    AccountRefusal,
    Answer,
    CancelledOutside,
    DuplicateLine,
    EmptyFileIds,
    Expires,
    FailsValidation,
    ForeignLine,
    HalfLine,
    HttpError,
    ItemError,
    LateFiles,
    LineError,
    LostReply,
    LyingCounts,
    MalformedLine,
    MissingLine,
    NullResponse,
    QueueFull,
    RateLimited,
    Refusal,
    ServerError,
    StatusWord,
    StringBody,
    Stuck,
    TruncatedAnswer,
    TruncatedDownload,
    ZeroStatus,
)


@pytest.fixture(scope="module")
def anthropic_client(served) -> Iterator[anthropic.Anthropic]:
    url = f"{served[0].origin}/anthropic"
    with anthropic.Anthropic(api_key="sk-ant-test", base_url=url, max_retries=0) as client:
        yield client


@pytest.fixture
def batches(sandbox, anthropic_client):
    return anthropic_client.messages.batches


@pytest.fixture
def submit(batches) -> Callable[[int], Any]:
    def create(count: int = 1) -> Any:
        params = {
            "model": "claude-haiku-4-5",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "Word: oak"}],
        }
        requests = [{"custom_id": f"r-{number}", "params": params} for number in range(count)]
        return batches.create(requests=requests)

    return create


@pytest.fixture
def lines_of(batches, clock) -> Callable[[Any], list[bytes]]:
    """The lines of a batch's results, once it has ended."""

    def read(batch: Any) -> list[bytes]:
        clock.advance(1_000)
        with batches.with_streaming_response.results(batch.id) as reply:
            return b"".join(reply.iter_bytes()).splitlines()

    return read


@pytest.fixture
def result_under(faults, submit, lines_of) -> Callable[[Any], Any]:
    """The result of one request with a fault."""

    def make(fault: Any) -> Any:
        faults.items(fault)
        [line] = lines_of(submit())
        return json.loads(line)["result"]

    return make


def test_the_model_says_what_the_script_says(result_under):
    said = result_under(Answer(text="Oh."))["message"]

    assert (said["content"][0]["text"], said["stop_reason"]) == ("Oh.", "end_turn")


def test_a_refusal_is_a_stop_reason(result_under):
    said = result_under(Refusal(text="I won't."))["message"]

    assert (said["stop_reason"], said["content"]) == ("refusal", [])
    assert said["stop_details"]["explanation"] == "I won't."


def test_a_truncated_answer_stops_at_the_most_tokens(result_under):
    said = result_under(TruncatedAnswer())["message"]

    assert (said["stop_reason"], said["content"][0]["text"]) == ("max_tokens", "In short:")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (ItemError(400), "invalid_request_error"),
        (ItemError(404), "not_found_error"),
        (ItemError(413), "request_too_large"),
        (ItemError(429), "rate_limit_error"),
        (ItemError(429, code="insufficient_quota"), "billing_error"),
        (ItemError(500), "api_error"),
        (ItemError(504), "timeout_error"),
        (ItemError(529), "overloaded_error"),
        (ItemError(500, code="overloaded_error"), "overloaded_error"),
        (LineError(code="odd"), "api_error"),
        (LineError(code="overloaded_error"), "overloaded_error"),
    ],
)
def test_an_error_of_a_request_has_anthropics_type(result_under, fault, kind):
    result = result_under(fault)

    assert result["type"] == "errored"
    assert (result["error"]["type"], result["error"]["error"]["type"]) == ("error", kind)


@pytest.mark.parametrize(
    ("code", "kind"), [("batch_expired", "expired"), ("batch_cancelled", "canceled")]
)
def test_a_request_that_never_ran_has_a_type_of_its_own(result_under, code, kind):
    assert result_under(LineError(code=code)) == {"type": kind}


def test_a_result_may_be_null_or_without_a_message(result_under, faults):
    assert result_under(NullResponse()) is None
    faults.clear()
    assert result_under(ZeroStatus()) == {"type": "succeeded", "message": None}


def test_a_message_may_come_as_text(result_under):
    message = result_under(StringBody())["message"]

    assert json.loads(message)["content"][0]["text"] == "In short: Word: oak"


def test_lines_may_be_missing_twice_foreign_or_none(faults, submit, lines_of):
    faults.items(MissingLine(), custom_id="r-0")
    faults.items(DuplicateLine(other="Elm."), custom_id="r-1")
    faults.items(ForeignLine(), custom_id="r-2")
    faults.items(MalformedLine(), custom_id="r-3")
    lines = lines_of(submit(4))

    ids = sorted(json.loads(line)["custom_id"] for line in lines if line.startswith(b"{"))
    assert ids == ["foreign-1", "r-1", "r-1", "r-2"]
    assert len(lines) == 5


def test_half_a_line_ends_the_results(faults, submit, lines_of):
    faults.items(HalfLine(), custom_id="r-0")
    faults.items(ItemError(500), custom_id="r-1")
    lines = lines_of(submit(3))

    assert len(lines) == 3
    assert [json.loads(line)["custom_id"] for line in lines[:2]] == ["r-1", "r-2"]
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(lines[2])


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (HttpError(status=400), 400, "invalid_request_error"),
        (HttpError(status=413), 413, "request_too_large"),
        (HttpError(status=529), 529, "overloaded_error"),
        (HttpError(status=429, type="rate_limit_error"), 429, "rate_limit_error"),
        (RateLimited(), 429, "rate_limit_error"),
        (ServerError(status=503), 503, "api_error"),
        (AccountRefusal("invalid_key"), 401, "authentication_error"),
        (AccountRefusal("forbidden"), 403, "permission_error"),
        (AccountRefusal("insufficient_quota"), 402, "billing_error"),
        (AccountRefusal("billing_hard_limit"), 402, "billing_error"),
    ],
)
def test_a_call_is_refused_in_anthropics_shape(faults, submit, fault, status, kind):
    faults.calls("batches.create", fault)

    with pytest.raises(anthropic.APIStatusError) as refused:
        submit()

    assert (refused.value.status_code, refused.value.type) == (status, kind)
    assert refused.value.request_id.startswith("req_")


def test_a_rate_limit_says_when_to_come_again(faults, submit):
    faults.calls("batches.create", RateLimited(retry_after=7))

    with pytest.raises(anthropic.RateLimitError) as refused:
        submit()
    assert refused.value.response.headers["retry-after"] == "7"


def test_a_lost_reply_leaves_a_batch(faults, batches, submit):
    faults.calls("batches.create", LostReply())

    with pytest.raises(anthropic.APIConnectionError):
        submit()
    assert len(list(batches.list())) == 1


def test_a_truncated_download_breaks_off(faults, submit, lines_of):
    faults.calls("files.content", TruncatedDownload())

    with pytest.raises(httpx2.RemoteProtocolError):
        lines_of(submit(3))


def under(faults: Any, submit: Any, batches: Any, clock: Any, fault: Any, seconds: float) -> Any:
    faults.batches(fault)
    batch = submit(4)
    clock.advance(seconds)
    return batches.retrieve(batch.id)


def counts(batch: Any) -> dict[str, int]:
    return {name: count for name, count in batch.request_counts.to_dict().items() if count}


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        (Expires(at=0.5), "ended", {"succeeded": 2, "expired": 2}),
        (CancelledOutside(at=0.5), "ended", {"succeeded": 2, "canceled": 2}),
        (Stuck(), "in_progress", {"processing": 4}),
        (StatusWord(word="pondering", instead_of="completed"), "pondering", {"processing": 4}),
        (LyingCounts(completed=1, failed=1), "ended", {"succeeded": 1, "errored": 3}),
    ],
)
def test_a_batch_misbehaves_in_anthropics_words(
    faults, submit, batches, clock, fault, status, told
):
    batch = under(faults, submit, batches, clock, fault, 1_100)

    assert (batch.processing_status, counts(batch)) == (status, told)


@pytest.mark.parametrize("fault", [LateFiles(), EmptyFileIds()])
def test_results_may_be_late_and_are_never_an_empty_address(faults, submit, batches, clock, fault):
    batch = under(faults, submit, batches, clock, fault, 1_000)

    assert batch.processing_status == "ended"
    assert (batch.results_url is None) == isinstance(fault, LateFiles)


def test_a_batch_that_fails_as_a_whole_ends_with_an_error_for_each_request(
    faults, submit, batches, lines_of
):
    """Anthropic has no failed batches."""
    faults.batches(FailsValidation(message="No."))
    batch = submit(2)

    errors = [json.loads(line)["result"]["error"]["error"] for line in lines_of(batch)]

    assert batches.retrieve(batch.id).processing_status == "ended"
    assert errors == [{"type": "invalid_request_error", "message": "No."}] * 2


def test_a_full_queue_is_a_rate_limit(faults, submit):
    faults.batches(QueueFull())

    with pytest.raises(anthropic.RateLimitError) as refused:
        submit()
    assert refused.value.type == "rate_limit_error"
