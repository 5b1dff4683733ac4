"""What Anthropic's adapter promises beyond the port, through the real SDK against the sandbox."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anthropic
import dagster as dg
import pytest

from batch_assets.domain.errors import (
    AccountRefused,
    ArtifactError,
    CorpusError,
    OutOfTime,
    ProviderUnavailable,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.provider import Phase, Provider, ProviderBatch
from batch_assets.domain.request import mark_of
from batch_assets.resources.anthropic import AnthropicProvider, AnthropicResource
from batch_assets.sandbox import ManualClock

KEY = "0123456789abcdef" * 2
MARK = "-0123456789abcdef"
BATCHES = "/anthropic/v1/messages/batches"
CREATE, LIST = f"POST {BATCHES}", f"GET {BATCHES}"


def a_line(number: int, **params: Any) -> str:
    """One line of a shard, as the endpoint `messages` writes it."""
    body = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": f"Q{number}"}]}
    line = {"custom_id": f"set-{number}", "params": {**body, "max_tokens": 100, **params}}
    return json.dumps(line, separators=(",", ":")) + "\n"


@pytest.fixture
def write_shard(tmp_path: Path) -> Callable[..., Path]:
    def write(requests: int = 3, **params: Any) -> Path:
        path = tmp_path / "shard.jsonl"
        path.write_text("".join(a_line(number, **params) for number in range(requests)))
        return path

    return write


def a_provider(address: str, **fields: Any) -> AnthropicProvider:
    chosen = {"api_key": "sk-ant-api03-0123456789", "timeout_seconds": 5.0, **fields}
    base_url = f"{address.removesuffix('/v1')}/anthropic"
    resource = AnthropicResource(**chosen, base_url=base_url)
    return resource.create_resource(dg.build_init_resource_context())


@pytest.fixture
def provider(border) -> Iterator[Provider]:
    provider = a_provider(border.base_url)
    yield provider
    provider.close()


@pytest.fixture
def since(clock: ManualClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


@pytest.fixture
def submitted(provider, write_shard) -> Callable[..., ProviderBatch]:
    def submit(key: str = KEY, **shard: Any) -> ProviderBatch:
        return provider.submit(write_shard(**shard), endpoint="/v1/messages", key=key)

    return submit


@pytest.fixture
def others(sandbox) -> Callable[..., list[str]]:
    """Creates batches of somebody else's in the account."""

    def create(count: int, requests: int = 1) -> list[str]:
        url = f"{sandbox.origin}/anthropic"
        lines = [json.loads(a_line(number)) for number in range(requests)]
        with anthropic.Anthropic(api_key="another-user", base_url=url) as client:
            return [client.messages.batches.create(requests=lines).id for _ in range(count)]

    return create


def results(provider: Provider, file_id: str) -> list[dict[str, Any]]:
    sink = io.BytesIO()
    provider.download(file_id, sink)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_a_batch_is_created_by_one_call_that_brings_its_requests(submitted, border, since):
    batch = submitted(requests=3)

    assert [call.route for call in border.calls] == [CREATE]
    assert (batch.phase, batch.status, batch.key) == (Phase.OPEN, "in_progress", KEY)
    assert (batch.created_at, batch.total) == (since, 3)


def test_the_requests_arrive_as_they_are_with_the_mark_in_each_custom_id(
    submitted, border, tmp_path
):
    submitted(requests=3)

    lines = [json.loads(line) for line in (tmp_path / "shard.jsonl").read_text().splitlines()]
    marked = [{**line, "custom_id": line["custom_id"] + MARK} for line in lines]
    assert mark_of(KEY) == MARK
    assert json.loads(border.calls[0].body) == {"requests": marked}


def test_a_shard_of_several_blocks_arrives_whole(submitted, border):
    submitted(requests=50, system="x" * 20_000)

    body = border.calls[0].body
    assert len(body) > 3 * 256 * 1024
    assert int(border.calls[0].headers["content-length"]) == len(body)
    assert len(json.loads(body)["requests"]) == 50


def test_betas_go_with_the_whole_batch(border, write_shard):
    provider = a_provider(border.base_url, betas=["output-300k-2026-03-24", "other-1"])

    provider.submit(write_shard(), endpoint="/v1/messages", key=KEY)

    assert border.calls[0].headers["anthropic-beta"] == "output-300k-2026-03-24,other-1"
    assert b"beta" not in border.calls[0].body


def test_the_workspace_goes_with_every_call(border, write_shard, since):
    provider = a_provider(border.base_url, workspace_id="wrkspc_1")

    batch = provider.submit(write_shard(), endpoint="/v1/messages", key=KEY)
    list(provider.poll([batch.id], since=since))

    assert {call.headers["anthropic-workspace-id"] for call in border.calls} == {"wrkspc_1"}
    assert len(border.calls) == 2


def test_no_counts_are_told_before_the_batch_has_ended(provider, submitted, clock, since):
    batch = submitted(requests=3)
    clock.advance(50)

    [polled] = provider.poll([batch.id], since=since)

    assert (polled.phase, polled.output_file_id) == (Phase.OPEN, None)
    assert (polled.completed, polled.failed, polled.total) == (None, None, 3)


def test_a_batch_that_has_ended_has_one_file_of_its_own_id(provider, submitted, clock, since):
    batch = submitted(requests=3)
    clock.advance(100)

    [ended] = provider.poll([batch.id], since=since)

    assert (ended.phase, ended.status) == (Phase.ENDED, "ended")
    assert (ended.output_file_id, ended.error_file_id) == (batch.id, None)
    assert (ended.completed, ended.failed, ended.total) == (3, 0, 3)
    found = results(provider, ended.output_file_id)
    assert {line["custom_id"] for line in found} == {f"set-{n}{MARK}" for n in range(3)}


def test_requests_that_the_api_finds_wrong_are_errors_of_their_own(
    provider, submitted, clock, since
):
    batch = submitted(requests=1, temperature=2)
    clock.advance(100)

    [ended] = provider.poll([batch.id], since=since)
    [line] = results(provider, batch.id)

    assert (ended.completed, ended.failed) == (0, 1)
    assert line["result"]["error"]["error"]["type"] == "invalid_request_error"


def test_an_expired_batch_has_ended_with_the_answers_it_has(
    provider, submitted, sandbox, clock, since
):
    sandbox.state.change_settings({"latency": 48 * 3_600.0})
    batch = submitted(requests=4)
    clock.advance(24 * 3_600)

    [ended] = provider.poll([batch.id], since=since)

    kinds = sorted(line["result"]["type"] for line in results(provider, batch.id))
    assert (ended.phase, ended.status) == (Phase.ENDED, "ended")
    assert kinds == ["expired", "expired", "succeeded", "succeeded"]
    assert (ended.completed, ended.failed, ended.total) == (2, 0, 4)


def test_a_cancelled_batch_is_open_until_the_provider_has_stopped(
    provider, submitted, clock, since
):
    batch = submitted()

    cancelling = provider.cancel(batch.id)
    clock.advance(60)
    [ended] = provider.poll([batch.id], since=since)

    assert (cancelling.phase, cancelling.status) == (Phase.OPEN, "canceling")
    assert (ended.phase, ended.status) == (Phase.ENDED, "ended")
    assert {line["result"]["type"] for line in results(provider, batch.id)} == {"canceled"}


def test_a_batch_whose_results_are_late_is_not_done_with(server, since):
    """Its requests would be asked again, and paid for twice."""
    batch = a_batch("msgbatch_1", since, processing_status="ended")
    server.on(f"{LIST}/msgbatch_1", server.answer(batch))
    server.on(LIST, server.answer({"data": [batch], "has_more": False}))
    provider = a_provider(server.base_url, max_retries=0)

    [polled] = provider.poll(["msgbatch_1"], since=since)

    assert (polled.phase, polled.status) == (Phase.OPEN, "ended")
    with pytest.raises(ProviderUnavailable, match="not there yet"):
        provider.download("msgbatch_1", io.BytesIO())


def test_archived_results_are_gone_for_good(provider, submitted, clock, since):
    batch = submitted()
    clock.advance(30 * 24 * 3_600)

    [polled] = provider.poll([batch.id], since=since)

    assert (polled.phase, polled.output_file_id) == (Phase.ENDED, None)
    with pytest.raises(RequestRefused, match="archived"):
        provider.download(batch.id, io.BytesIO())


def test_a_thousand_batches_are_polled_by_one_call(server, since):
    ids = [f"msgbatch_{number}" for number in range(1_000)]
    batches = [a_batch(batch_id, since) for batch_id in ids]
    server.on(LIST, server.answer({"data": batches, "has_more": False}))

    polled = a_provider(server.base_url).poll(ids, since=since)

    assert [batch.id for batch in polled] == ids
    assert [call.query for call in server.calls] == ["limit=1000"]


def test_the_list_is_read_page_by_page_behind_the_last_batch(server, since):
    pages = [[a_batch(f"msgbatch_{page}", since)] for page in range(3)]
    server.on(
        LIST, *(server.answer({"data": page, "has_more": page != pages[-1]}) for page in pages)
    )

    list(a_provider(server.base_url).poll(["msgbatch_2"], since=since))

    assert [call.query for call in server.calls] == [
        "limit=1000",
        "after_id=msgbatch_0&limit=1000",
        "after_id=msgbatch_1&limit=1000",
    ]


def test_the_list_is_entered_where_the_batch_that_waits_longest_stands(server, since):
    """A caller that has time for one call is told of that one, and of what stands beside it."""
    known = [f"msgbatch_{number}" for number in range(300)]
    page = [a_batch(batch_id, since) for batch_id in known[250:]]
    server.on(LIST, server.answer({"data": page, "has_more": False}))
    provider = a_provider(server.base_url)

    with provider.within(60, calls=1):
        polled = provider.poll([known[250], known[0]], since=since, among=known)
        found = [next(polled).id for _ in range(50)]
        with pytest.raises(OutOfTime):
            next(polled)

    assert found == known[250:]
    assert server.calls[0].query == "after_id=msgbatch_249&limit=1000"


def test_an_ended_batch_can_be_deleted_twice(provider, submitted, clock, since):
    batch = submitted()
    clock.advance(100)

    provider.delete_remote(batch.id, [batch.id])
    provider.delete_remote(batch.id, [batch.id])

    with pytest.raises(RequestRefused, match=batch.id):
        list(provider.poll([batch.id], since=since))


def test_an_open_batch_is_not_deleted(provider, submitted):
    with pytest.raises(RequestRefused, match="processing"):
        provider.delete_remote(submitted().id, [])


def test_requests_of_another_endpoint_are_refused_before_anything_is_sent(
    provider, write_shard, border
):
    assert provider.takes("/v1/messages")
    assert not provider.takes("/v1/chat/completions")
    with pytest.raises(RequestRefused, match="declare the endpoint messages"):
        provider.submit(write_shard(), endpoint="/v1/chat/completions", key=KEY)
    assert border.calls == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        ('{"custom_id":"r-1","body":{}}\nno request\n', "line 2"),
        ('{"key":"r-1","request":{}}\n', "line 1: it is no request"),
        (f'{{"custom_id":"{"x" * 50}","params":{{}}}}\n', "line 1: the custom_id x"),
        ('{"custom_id":"a b","params":{}}\n', "is not of the pattern"),
    ],
)
def test_a_shard_of_another_make_is_refused_before_anything_is_sent(
    provider, border, tmp_path, content, complaint
):
    path = tmp_path / "odd.jsonl"
    path.write_text(content)

    with pytest.raises(ArtifactError, match=complaint):
        provider.submit(path, endpoint="/v1/messages", key=KEY)
    assert border.calls == []


def created(provider: Provider, path: Path) -> ProviderBatch:
    return provider.create(path, endpoint="/v1/messages", key="0" * 32, metadata={})


PARAMS = '{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"Q"}]}'


@pytest.mark.parametrize(
    "line",
    [
        f'{{"custom_id":"{"x" * 64}","params":{PARAMS}}}',
        f'{{ "params" : {PARAMS} , "custom_id" : "r-1" }}',
        f'{{"custom_id":"r\\u002d1","params":{PARAMS}}}',
    ],
    ids=["of 64 characters", "params first", "escaped"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=repr)
def test_a_persons_lines_go_out_as_they_are(provider, border, tmp_path, line, end):
    path = tmp_path / "own.jsonl"
    path.write_bytes(f"{line}{end}".encode())

    batch = created(provider, path)

    assert border.calls[0].body == f'{{"requests":[{line}]}}'.encode()
    assert (batch.total, batch.key) == (1, None)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"id":"r-2","params":{}}', "line 2: Object missing required field `custom_id`"),
        ('{"params":{},"custom_id":7}', "line 2: Expected `str`, got `int`"),
        ("", "line 2: Input data was truncated"),
        (f'{{"params":{{}},"custom_id":"{"x" * 65}"}}', "line 2: the custom_id 'xxx"),
        ('{"custom_id":"a b","params":{}}', "line 2: the custom_id 'a b' is not of the pattern"),
    ],
)
def test_a_line_of_a_persons_that_is_no_request_is_named_before_anything_is_sent(
    provider, border, tmp_path, line, complaint
):
    path = tmp_path / "own.jsonl"
    path.write_text(f'{{"custom_id":"r-1","params":{PARAMS}}}\n{line}\n')

    with pytest.raises(CorpusError, match=complaint) as told:
        created(provider, path)

    assert "own.jsonl" in told.value.message
    assert "prepare" not in told.value.message
    assert border.calls == []


def test_results_that_end_too_early_without_a_length_are_noticed(
    provider, submitted, border, clock, since
):
    batch = submitted(requests=4)
    clock.advance(100)
    route = f"{LIST}/{batch.id}/results"
    whole = json.dumps({"custom_id": "set-1", "result": {"type": "expired"}}).encode() + b"\n"
    cut = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + whole
    border.on(route, cut, border.otherwise)

    with pytest.raises(ProviderUnavailable, match="1 results came of 4"):
        provider.download(batch.id, io.BytesIO())
    assert len(results(provider, batch.id)) == 4


def test_results_that_lack_a_request_for_good_are_taken_as_they_are(
    provider, submitted, border, clock
):
    """What is missing is asked again; a batch that is never collected would cost all of it."""
    batch = submitted(requests=4)
    clock.advance(100)
    line = json.dumps({"custom_id": "set-1", "result": {"type": "expired"}}).encode() + b"\n"
    border.on(f"{LIST}/{batch.id}/results", border.answer(line))

    assert len(results(provider, batch.id)) == 1


def test_a_wrong_key_is_refused_with_the_way_out(sandbox, write_shard):
    provider = a_provider(sandbox.origin, api_key="sk-wrong-1234567890zyxw")

    with pytest.raises(AccountRefused, match=r"authentication_error.*ANTHROPIC_API_KEY") as refused:
        provider.submit(write_shard(), endpoint="/v1/messages", key=KEY)

    assert "zyxw" not in refused.value.message


def test_without_a_key_nobody_is_called(border, write_shard):
    provider = a_provider(border.base_url, api_key="")

    assert "ANTHROPIC_API_KEY" in str(provider.lacks)
    with pytest.raises(ProviderUnreachable, match="set the environment variable"):
        provider.submit(write_shard(), endpoint="/v1/messages", key=KEY)
    assert border.calls == []


def a_batch(batch_id: str, created_at: datetime, **over: Any) -> dict[str, Any]:
    """A batch as Anthropic describes it: in progress unless told otherwise."""
    counts = {"processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    return {
        "id": batch_id,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": counts,
        "created_at": created_at.isoformat(),
        "expires_at": (created_at + timedelta(days=1)).isoformat(),
        "ended_at": None,
        "cancel_initiated_at": None,
        "archived_at": None,
        "results_url": None,
    } | over
