"""The live lane over HTTP, through the real SDK: what it sends, waits for, and gives up."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lane_world import SleptTime, a_lane

from batch_assets.domain.errors import (
    AccountRefused,
    CapacityRefused,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.lane import Ask, Carrying
from batch_assets.resources.live import LiveLane

CHAT = "/v1/chat/completions"
ROUTE = f"POST {CHAT}"


class Work(Carrying):
    """Some requests, and the lines that came for them."""

    def __init__(self, count: int = 1, *, stops_after: int | None = None) -> None:
        self._count = count
        self._stops_after = stops_after
        self._lock = threading.Lock()
        self.lines: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.failed = 0

    def asks(self) -> Iterator[Ask]:
        for number in range(self._count):
            body = b'{"model":"m","messages":[{"role":"user","content":"Question %d"}]}' % number
            yield Ask(custom_id=f"r-{number}", body=body, line=body + b"\n")

    def answered(self, line: bytes, *, failed: bool = False) -> None:
        with self._lock:
            self.raw.append(line)
            self.lines.append(json.loads(line))
            self.failed += failed

    def goes_on(self) -> bool:
        return self._stops_after is None or len(self.lines) < self._stops_after


@pytest.fixture
def time() -> SleptTime:
    return SleptTime()


@pytest.fixture
def lane_at(time: SleptTime) -> Iterator[Callable[..., LiveLane]]:
    """Makes lanes; keywords are a_lane's."""
    made: list[LiveLane] = []

    def make(base_url: str, **over: Any) -> LiveLane:
        made.append(a_lane(base_url, **{"time": time, "timeout_seconds": 5.0, **over}))
        return made[-1]

    yield make
    for lane in made:
        lane.close()


def answer(server, **over: object) -> bytes:
    """A completion."""
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    message = {"role": "assistant", "content": "Yes."}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return server.answer({"id": "c-1", "choices": choices, "usage": usage}, **over)


def carried(lane: LiveLane, work: Work) -> Work:
    lane.carry_out(work, endpoint=CHAT)
    return work


def test_the_body_of_a_line_is_sent_byte_for_byte_to_its_url(server, lane_at) -> None:
    server.on(ROUTE, answer(server))

    carried(lane_at(server.base_url), Work())

    [call] = server.calls
    assert call.route == ROUTE
    assert call.body == b'{"model":"m","messages":[{"role":"user","content":"Question 0"}]}'
    assert call.headers["content-type"] == "application/json"
    assert call.headers["authorization"] == "Bearer sk-test-0123456789"


def test_an_answer_stands_in_its_line_as_it_came(server, lane_at) -> None:
    body = b'{"choices":[],  "n":1.50,"text":"\\u00e9 \xc3\xa9"}'
    server.on(ROUTE, server.answer(body, x_request_id="req-7"))

    work = carried(lane_at(server.base_url), Work())

    [raw] = work.raw
    assert body in raw
    assert work.lines[0]["custom_id"] == "r-0"
    assert work.lines[0]["response"]["request_id"] == "req-7"
    assert work.lines[0]["error"] is None


def test_an_answer_of_several_lines_becomes_one(server, lane_at) -> None:
    server.on(ROUTE, server.answer(b'{\r\n  "choices": [],\n  "text": "a\\nb"\n}\n'))

    work = carried(lane_at(server.base_url), Work())

    [raw] = work.raw
    assert raw.count(b"\n") == 1
    assert work.lines[0]["response"]["body"] == {"choices": [], "text": "a\nb"}


@pytest.mark.parametrize("status", [500, 502, 503, 529, 408, 409])
def test_what_passes_is_tried_again(server, lane_at, status: int) -> None:
    server.on(ROUTE, server.refusal(status), server.refusal(status), answer(server))

    work = carried(lane_at(server.base_url, max_retries=2), Work())

    assert server.count(ROUTE) == 3
    assert work.lines[0]["response"]["status_code"] == 200


@pytest.mark.parametrize("status", [400, 413, 422, 501])
def test_what_stays_is_tried_once(server, lane_at, status: int) -> None:
    server.on(ROUTE, server.refusal(status, code="bad", message="Too long."))

    work = carried(lane_at(server.base_url), Work())

    assert server.count(ROUTE) == 1
    response = work.lines[0]["response"]
    assert (response["status_code"], response["body"]["error"]["code"]) == (status, "bad")
    assert work.failed == 1


def test_a_request_that_keeps_failing_has_a_line_with_its_status(server, lane_at) -> None:
    server.on(ROUTE, server.refusal(503, message="Overloaded."))

    work = carried(lane_at(server.base_url, max_retries=2), Work(2))

    assert server.count(ROUTE) == 2 * 3
    assert [line["response"]["status_code"] for line in work.lines] == [503, 503]


def test_failures_are_waited_for_longer_each_time(server, lane_at, time: SleptTime) -> None:
    server.on(ROUTE, server.refusal(500), server.refusal(500), answer(server))

    carried(lane_at(server.base_url, max_retries=2), Work())

    # One second, then two, each spread by a quarter.
    assert 0.75 * 3 <= time.now() <= 1.25 * 3 + 1


def test_a_full_server_is_left_alone_for_as_long_as_it_asks(
    server, lane_at, time: SleptTime
) -> None:
    full = server.refusal(429, code="rate_limit_exceeded", retry_after_ms="", retry_after="7")
    server.on(ROUTE, full, answer(server))

    work = carried(lane_at(server.base_url), Work())

    assert work.lines[0]["response"]["status_code"] == 200
    assert 7 <= time.now() < 8


def test_a_wait_that_the_server_asks_for_uses_up_no_try(server, lane_at) -> None:
    full = server.refusal(429, code="rate_limit_exceeded", retry_after_ms="2000")
    server.on(ROUTE, *[full] * 20, answer(server))

    work = carried(lane_at(server.base_url, max_retries=0), Work())

    assert server.count(ROUTE) == 21
    assert work.failed == 0


def test_a_server_that_stays_full_ends_a_request_as_rate_limited(
    server, lane_at, time: SleptTime
) -> None:
    server.on(ROUTE, server.refusal(429, code="rate_limit_exceeded", retry_after_ms="90000"))

    work = carried(lane_at(server.base_url), Work())

    assert work.lines[0]["response"]["status_code"] == 429
    assert time.now() <= 600


def test_a_server_that_asks_for_hours_is_left_to_a_later_run(server, lane_at) -> None:
    full = server.refusal(429, code="rate_limit_exceeded", retry_after_ms="", retry_after="7200")
    server.on(ROUTE, full)
    work = Work(5)

    with pytest.raises(CapacityRefused, match="7,200 seconds"):
        carried(lane_at(server.base_url), work)

    assert (work.lines, server.count(ROUTE)) == ([], 1)


def test_one_refusal_for_the_rate_has_all_wait(server, lane_at, time: SleptTime) -> None:
    """Eight ask at once; after the refusals fewer do, and every request has its answer."""
    full = server.refusal(429, code="rate_limit_exceeded", retry_after_ms="5000")
    server.on(ROUTE, *[full] * 8, answer(server))

    work = carried(lane_at(server.base_url, concurrency=8), Work(40))

    assert len(work.lines) == 40
    assert server.count(ROUTE) <= 40 + 8
    assert time.now() >= 5


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "invalid_api_key"), (402, None), (403, None), (429, "insufficient_quota")],
)
def test_a_refused_account_stops_all_and_makes_no_line(
    server, lane_at, status: int, code: str | None
) -> None:
    server.on(ROUTE, answer(server), answer(server), server.refusal(status, code=code))
    work = Work(50)

    with pytest.raises(AccountRefused):
        carried(lane_at(server.base_url, concurrency=4), work)

    assert len(work.lines) == 2
    assert server.count(ROUTE) <= 2 + 4


def test_the_key_is_in_no_error(server, lane_at) -> None:
    key = "sk-secret-0123456789"
    server.on(ROUTE, server.refusal(401, message=f"Incorrect API key provided: {key}"))

    with pytest.raises(AccountRefused) as refused:
        carried(lane_at(server.base_url, api_key=key), Work())

    assert key not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_server_without_the_endpoint_is_a_mistake_and_no_answer(server, lane_at) -> None:
    work = Work(50)

    with pytest.raises(RequestRefused, match="base_url or the model"):
        carried(lane_at(server.base_url), work)

    assert (work.lines, len(server.calls)) == ([], 1)


def test_a_404_beside_answers_is_a_requests_own(server, lane_at) -> None:
    server.on(ROUTE, answer(server), server.refusal(404, code="no_such_file"), answer(server))

    work = carried(lane_at(server.base_url), Work(3))

    assert [line["response"]["status_code"] for line in work.lines] == [200, 404, 200]


def test_a_server_that_is_not_there_makes_no_line(lane_at, closed_port: int) -> None:
    work = Work(3)

    with pytest.raises(ProviderUnreachable, match="check the network"):
        carried(lane_at(f"http://127.0.0.1:{closed_port}/v1", max_retries=1), work)

    assert work.lines == []


def test_a_lost_answer_is_asked_for_again_and_then_a_timeout(server, lane_at) -> None:
    server.on(ROUTE, b"")

    work = carried(lane_at(server.base_url, max_retries=1), Work())

    assert server.count(ROUTE) == 2
    assert work.lines[0]["response"] is None
    assert work.lines[0]["error"]["code"] == "request_timeout"


def test_silence_is_a_lost_answer(server, lane_at) -> None:
    server.on(ROUTE, None)

    work = carried(lane_at(server.base_url, max_retries=0, timeout_seconds=0.3), Work())

    assert work.lines[0]["error"]["code"] == "request_timeout"


def test_a_gateways_page_is_tried_again_and_kept_as_text(server, lane_at) -> None:
    page = b"<html>\n<h1>Bad gateway</h1></html>"
    server.on(ROUTE, server.answer(page, content_type="text/html"))

    work = carried(lane_at(server.base_url, max_retries=1), Work())

    assert server.count(ROUTE) == 2
    assert work.lines[0]["response"]["body"] == page.decode()


def test_nothing_is_sent_once_it_may_not_go_on(server, lane_at) -> None:
    server.on(ROUTE, answer(server))

    work = carried(lane_at(server.base_url), Work(10, stops_after=3))

    assert (len(work.lines), server.count(ROUTE)) == (3, 3)


def test_a_rate_of_requests_is_kept(server, lane_at, time: SleptTime) -> None:
    server.on(ROUTE, answer(server))

    carried(lane_at(server.base_url, requests_per_minute=60), Work(66))

    # Six at once, then one a second.
    assert 58 <= time.now() <= 62


def test_a_rate_of_tokens_is_kept_by_what_the_server_counts(
    server, lane_at, time: SleptTime
) -> None:
    """Ten tokens each, of which sixteen are thought before the answer is there."""
    server.on(ROUTE, answer(server))

    carried(lane_at(server.base_url, tokens_per_minute=600), Work(66))

    assert 55 <= time.now() <= 65


def test_organization_and_project_of_the_environment_are_not_used(
    server, lane_at, monkeypatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-other")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-other")
    server.on(ROUTE, answer(server))

    carried(lane_at(server.base_url), Work())

    assert {"openai-organization", "openai-project"}.isdisjoint(server.calls[0].headers)
