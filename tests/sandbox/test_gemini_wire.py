"""Gemini's wire of the sandbox, through the real SDK and by plain HTTP."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import types
from google.genai.errors import ClientError, ServerError

from batch_assets.sandbox import (
    AccountRefusal,
    Answer,
    Expires,
    ItemError,
    MalformedLine,
    MissingLine,
    NullResponse,
    RateLimited,
    Refusal,
    StatusWord,
    StringBody,
    TruncatedAnswer,
)
from batch_assets.sandbox import ServerError as Broken

LATENCY = 1_000.0
MODEL = "gemini-2.5-flash"
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["plant", "animal"]}, "score": {"type": "integer"}},
    "required": ["label", "score"],
}


@pytest.fixture
def url(sandbox) -> str:
    return f"{sandbox.origin}/gemini"


@pytest.fixture
def gemini(url) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=url)
    with genai.Client(api_key="any", vertexai=False, http_options=options) as client:
        yield client


@pytest.fixture
def http(url) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{url}/v1beta", headers={"x-goog-api-key": "any"}) as client:
        yield client


def a_line(key: str = "r1", text: str = "Word: oak", **request: Any) -> Any:
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return {"key": key, "request": {"contents": contents} | request}


def encoded(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.fixture
def upload(gemini) -> Callable[..., types.File]:
    def make(content: bytes, name: str = "mine") -> types.File:
        config = types.UploadFileConfig(display_name=name, mime_type="jsonl")
        return gemini.files.upload(file=io.BytesIO(content), config=config)

    return make


@pytest.fixture
def submit(gemini, upload) -> Callable[..., types.BatchJob]:
    def make(*lines: Any) -> types.BatchJob:
        source = upload(encoded(*lines or (a_line(),))).name
        return gemini.batches.create(model=MODEL, src=source, config={"display_name": "mine"})

    return make


@pytest.fixture
def answered(gemini, submit, clock) -> Callable[..., list[bytes]]:
    """The lines of a batch that has ended."""

    def make(*lines: Any) -> list[bytes]:
        batch = submit(*lines)
        clock.advance(LATENCY)
        file = gemini.batches.get(name=batch.name).dest.file_name
        return gemini.files.download(file=file).splitlines()

    return make


def test_a_batch_goes_from_pending_over_running_to_its_answers(gemini, submit, clock):
    batch = submit(a_line("r1"), a_line("r2"))
    states = [batch.state.name]
    for _ in range(2):
        clock.advance(LATENCY / 2)
        states.append(gemini.batches.get(name=batch.name).state.name)

    assert states == ["JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]


def test_an_answer_has_its_key_its_text_and_its_counts(answered):
    [line] = map(json.loads, answered(a_line("r1")))

    parsed = types.GenerateContentResponse.model_validate(line["response"])
    assert line["key"] == "r1"
    assert parsed.text == "In short: Word: oak"
    assert parsed.model_version == MODEL
    counted = parsed.usage_metadata
    assert counted.total_token_count == counted.prompt_token_count + counted.candidates_token_count


def test_structured_answers_are_of_the_schema(answered):
    config = {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    [line] = map(json.loads, answered(a_line(generationConfig=config)))

    answer = json.loads(line["response"]["candidates"][0]["content"]["parts"][0]["text"])
    assert answer["label"] in ("plant", "animal")
    assert isinstance(answer["score"], int)


def test_a_model_that_thinks_shows_it_and_counts_it(answered):
    config = {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 100}}
    [line] = map(json.loads, answered(a_line(generationConfig=config)))

    thought, text = line["response"]["candidates"][0]["content"]["parts"]
    assert (thought["thought"], "thought" in text) == (True, False)
    assert line["response"]["usageMetadata"]["thoughtsTokenCount"] > 0


def test_an_answer_that_is_too_long_is_cut(answered):
    [line] = map(json.loads, answered(a_line(generationConfig={"maxOutputTokens": 2})))

    assert line["response"]["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_a_request_the_api_would_not_take_is_an_error_of_its_line(answered):
    [line] = map(json.loads, answered(a_line(messages=[])))

    assert (line["error"]["code"], line["error"]["status"]) == (3, "INVALID_ARGUMENT")
    assert 'Unknown name "messages"' in line["error"]["message"]


def test_a_line_that_is_no_json_fails_the_batch(http, gemini, upload, clock):
    batch = gemini.batches.create(model=MODEL, src=upload(b"no JSON\n").name)
    clock.advance(LATENCY)

    shown = http.get(f"/{batch.name}").json()

    assert shown["metadata"]["state"] == "BATCH_STATE_FAILED"
    assert shown["error"]["code"] == 3


def test_an_operation_has_counts_as_texts(http, submit, clock):
    batch = submit(a_line("r1"), a_line("r2", messages=[]))
    clock.advance(LATENCY)

    shown = http.get(f"/{batch.name}").json()

    assert shown["done"] is True
    assert shown["response"]["responsesFile"] == shown["metadata"]["output"]["responsesFile"]
    assert shown["metadata"]["batchStats"] == {
        "requestCount": "2",
        "successfulRequestCount": "1",
        "failedRequestCount": "1",
    }


def test_a_batch_has_48_hours(gemini, submit, sandbox, clock):
    sandbox.state.change_settings({"latency": 72 * 3_600.0})
    batch = submit()

    clock.advance(47 * 3_600)
    before = gemini.batches.get(name=batch.name).state.name
    clock.advance(3_600)
    after = gemini.batches.get(name=batch.name)

    assert (before, after.state.name) == ("JOB_STATE_RUNNING", "JOB_STATE_EXPIRED")
    assert after.dest is None


def test_a_file_is_kept_for_48_hours(gemini, upload, clock):
    file = upload(encoded(a_line()))
    clock.advance(48 * 3_600)

    with pytest.raises(ClientError, match="may not exist"):
        gemini.files.get(name=file.name)


def test_a_cancelled_batch_keeps_the_answers_it_has(gemini, submit, clock):
    batch = submit(*(a_line(f"r{number}") for number in range(10)))
    clock.advance(LATENCY / 2)
    gemini.batches.cancel(name=batch.name)
    clock.advance(LATENCY)

    ended = gemini.batches.get(name=batch.name)

    assert ended.state.name == "JOB_STATE_CANCELLED"
    assert 0 < len(gemini.files.download(file=ended.dest.file_name).splitlines()) < 10


def test_a_batch_that_has_ended_cannot_be_cancelled(gemini, submit, clock):
    batch = submit()
    clock.advance(LATENCY)

    with pytest.raises(ClientError, match="FAILED_PRECONDITION"):
        gemini.batches.cancel(name=batch.name)


def test_a_deleted_batch_is_gone(gemini, submit):
    batch = submit()
    gemini.batches.delete(name=batch.name)

    assert list(gemini.batches.list()) == []
    with pytest.raises(ClientError, match="NOT_FOUND"):
        gemini.batches.get(name=batch.name)


def test_batches_and_files_are_listed_by_pages_the_newest_first(gemini, submit):
    names = [submit().name for _ in range(5)]

    assert [batch.name for batch in gemini.batches.list(config={"page_size": 2})] == names[::-1]
    assert len(list(gemini.files.list(config={"page_size": 2}))) == 5


def test_other_wires_see_nothing_of_it(submit, upload, client):
    submit()

    assert list(client.files.list()) == []
    assert list(client.batches.list()) == []


def test_of_the_engines_own_files_nothing_is_seen(gemini, answered):
    answered(a_line())

    shown = {file.source.name: file.display_name for file in gemini.files.list()}

    assert shown == {"UPLOADED": "mine", "GENERATED": ""}


def test_an_upload_of_several_parts_is_put_together(gemini, upload, submit):
    """The SDK sends 8 MiB at a time."""
    big = encoded(*(a_line(f"r{number}", "x" * 1_000_000) for number in range(20)))

    assert upload(big).size_bytes == len(big)


def test_a_part_that_is_sent_again_takes_its_own_place(http, url):
    start = {"x-goog-upload-command": "start", "x-goog-api-key": "any"}
    begun = httpx2.post(f"{url}/upload/v1beta/files", headers=start, json={"file": {}})
    address = begun.headers["x-goog-upload-url"]
    for _ in range(2):
        part = {"x-goog-upload-command": "upload", "x-goog-upload-offset": "0"}
        httpx2.post(address, headers=part, content=b"abc").raise_for_status()
    last = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "3"}

    file = httpx2.post(address, headers=last, content=b"de").json()["file"]

    assert file["sizeBytes"] == "5"


def test_an_uploaded_file_cannot_be_downloaded(http, upload):
    reply = http.get(f"/{upload(b'x').name}:download", params={"alt": "media"})

    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_file_that_is_too_big_is_refused(sandbox, upload):
    sandbox.state.change_settings({"max_file_bytes": 10})

    with pytest.raises(ClientError, match="more than 10 bytes"):
        upload(b"x" * 11)


@pytest.mark.parametrize(
    ("key", "status", "name", "reason"),
    [
        ("", 403, "PERMISSION_DENIED", None),
        ("sk-wrong-1", 400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
    ],
)
def test_a_key_that_is_nobodys_is_refused_as_google_does(url, key, status, name, reason):
    reply = httpx2.get(f"{url}/v1beta/batches", headers={"x-goog-api-key": key})

    error = reply.json()["error"]
    assert (reply.status_code, error["status"]) == (status, name)
    assert [detail["reason"] for detail in error.get("details", [])] == ([reason] if reason else [])


def test_a_batch_of_inline_requests_is_not_taken(http):
    """Their answers are matched by place alone."""
    body = {"batch": {"inputConfig": {"requests": {"requests": []}}}}

    reply = http.post(f"/models/{MODEL}:batchGenerateContent", json=body)

    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_path_that_is_none_is_answered_in_googles_shape(http):
    assert http.get("/nothing").json()["error"]["status"] == "NOT_FOUND"


def test_one_script_of_faults_is_for_all_wires(faults, gemini, http):

    for fault in (RateLimited(), Broken(status=503), AccountRefusal(reason="insufficient_quota")):
        faults.calls("batches.list", fault)

    with pytest.raises(ClientError, match="429 RESOURCE_EXHAUSTED"):
        gemini.batches.list()
    with pytest.raises(ServerError, match="503 UNAVAILABLE"):
        gemini.batches.list()
    with pytest.raises(ClientError, match="BILLING_DISABLED"):
        gemini.batches.list()


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (Answer(text="Yes."), ("STOP", "Yes.")),
        (TruncatedAnswer(), ("MAX_TOKENS", "In short:")),
        (Refusal(text="No."), ("PROHIBITED_CONTENT", None)),
    ],
)
def test_what_goes_wrong_with_an_answer_is_told_in_geminis_words(faults, answered, fault, wanted):
    faults.items(fault)

    [line] = map(json.loads, answered(a_line()))

    [candidate] = line["response"]["candidates"]
    parts = candidate.get("content", {}).get("parts", [{"text": None}])
    assert (candidate["finishReason"], parts[0]["text"]) == wanted


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (MalformedLine(text="oops"), [b"oops"]),
        (MissingLine(), []),
        (NullResponse(), [b'{"key":"r1"}']),
        (
            ItemError(status=429, message="Slow."),
            [b'{"key":"r1","error":{"code":8,"message":"Slow.","status":"RESOURCE_EXHAUSTED"}}'],
        ),
    ],
)
def test_damaged_lines_pass_as_they_are(faults, answered, fault, wanted):
    faults.items(fault)

    assert answered(a_line()) == wanted


def test_a_response_may_come_as_a_text(faults, answered):
    faults.items(StringBody())

    [line] = map(json.loads, answered(a_line()))

    assert json.loads(line["response"])["candidates"]


@pytest.mark.parametrize(
    ("fault", "state", "has_answers"),
    [
        (Expires(at=0.5), "BATCH_STATE_EXPIRED", False),
        (
            StatusWord(word="BATCH_STATE_PARTIALLY_SUCCEEDED", instead_of="completed"),
            "BATCH_STATE_PARTIALLY_SUCCEEDED",
            True,
        ),
    ],
)
def test_a_batch_may_end_otherwise(faults, http, submit, clock, fault, state, has_answers):
    faults.batches(fault)
    batch = submit(a_line("r1"), a_line("r2"))
    clock.advance(LATENCY)

    metadata = http.get(f"/{batch.name}").json()["metadata"]

    assert (metadata["state"], "output" in metadata) == (state, has_answers)


def test_executed_requests_are_counted_by_their_keys(answered, sandbox):
    answered(a_line("r1"), a_line("r2", messages=[]))

    assert sandbox.state.executed_custom_ids() == {"r1": 1}


def test_models_are_listed(gemini):
    assert f"models/{MODEL}" in [model.name for model in gemini.models.list()]
