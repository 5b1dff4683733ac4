"""A batch whose reply was lost is told by the custom_ids of its results, and never guessed."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anthropic
import dagster as dg
import pytest

from batch_assets.domain.errors import ProviderUnavailable, ReplyLost, RequestRefused
from batch_assets.domain.provider import Phase, Provider
from batch_assets.resources.anthropic import AnthropicResource
from batch_assets.sandbox import ManualClock

KEY = "0123456789abcdef" * 2
OTHER_KEY = "fedcba9876543210" * 2
PERSONS_KEY = "0" * 8 + "1" * 24
CREATE = "POST /anthropic/v1/messages/batches"


@pytest.fixture
def provider(border) -> Iterator[Provider]:
    base_url = border.base_url.removesuffix("/v1") + "/anthropic"
    resource = AnthropicResource(api_key="sk-ant-0123456789", timeout_seconds=5, base_url=base_url)
    provider = resource.create_resource(dg.build_init_resource_context())
    yield provider
    provider.close()


@pytest.fixture
def since(clock: ManualClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


def requests_of(count: int) -> list[dict[str, object]]:
    params = {
        "model": "claude-haiku-4-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Word: oak"}],
    }
    return [{"custom_id": f"set-{number}", "params": params} for number in range(count)]


@pytest.fixture
def submit(provider, tmp_path: Path) -> Callable[..., str]:
    """The id of a batch offered under a key."""

    def offer(key: str = KEY, count: int = 3) -> str:
        path = tmp_path / f"{key}.jsonl"
        lines = [json.dumps(line, separators=(",", ":")) for line in requests_of(count)]
        path.write_text("".join(f"{line}\n" for line in lines))
        return provider.submit(path, endpoint="/v1/messages", key=key).id

    return offer


@pytest.fixture
def lose(submit, border) -> Callable[..., None]:
    """Offers a batch whose reply is lost."""

    def offer(**over: object) -> None:
        forward = border.otherwise

        def create_and_hang_up(call):
            forward(call)
            return b""

        border.on(CREATE, create_and_hang_up)
        with pytest.raises(ReplyLost):
            submit(**over)
        border.on(CREATE, forward)

    return offer


@pytest.fixture
def somebody_elses(sandbox) -> Callable[[int], str]:
    def create(count: int = 3) -> str:
        url = f"{sandbox.origin}/anthropic"
        with anthropic.Anthropic(api_key="another-user", base_url=url) as client:
            return client.messages.batches.create(requests=requests_of(count)).id

    return create


def test_a_lost_batch_cannot_be_told_before_it_has_ended(provider, lose, clock, since):
    lose()
    clock.advance(50)

    with pytest.raises(ProviderUnavailable, match=r"it may be msgbatch_.* once it has ended"):
        provider.find(KEY, since=since, requests=3)


def test_a_lost_batch_is_known_by_its_results_once_it_has_ended(provider, lose, clock, since):
    lose()
    clock.advance(100)

    found = provider.find(KEY, since=since, requests=3)

    assert found is not None
    assert (found.phase, found.key) == (Phase.ENDED, KEY)
    assert found.output_file_id == found.id


def test_a_batch_with_another_mark_is_another_one(provider, submit, clock, since):
    submit(OTHER_KEY)
    clock.advance(100)

    assert provider.find(KEY, since=since, requests=3) is None


def test_a_batch_of_somebody_who_puts_no_mark_is_another_one(
    provider, somebody_elses, clock, since
):
    somebody_elses(3)
    clock.advance(100)

    assert provider.find(KEY, since=since, requests=3) is None


def test_open_batches_with_other_counts_are_no_candidates(provider, somebody_elses, since):
    somebody_elses(2)

    assert provider.find(KEY, since=since, requests=3) is None


def test_open_batches_that_are_known_to_be_others_are_no_candidates(provider, submit, since):
    known = submit(OTHER_KEY)

    assert provider.find(KEY, since=since, requests=3, besides={known}) is None


def test_batches_from_before_the_offer_are_no_candidates(provider, somebody_elses, clock, since):
    somebody_elses(3)
    clock.advance(2 * 3_600)

    assert provider.find(KEY, since=since + timedelta(hours=2), requests=3) is None


def test_the_batch_is_found_while_others_like_it_are_open(
    provider, submit, somebody_elses, clock, since
):
    batch_id = submit()
    clock.advance(100)
    somebody_elses(3)

    found = provider.find(KEY, since=since, requests=3)

    assert found is not None
    assert found.id == batch_id


def test_where_nobody_knows_the_count_every_batch_is_a_candidate(provider, lose, clock, since):
    lose(count=7)
    clock.advance(100)

    assert provider.find(KEY, since=since) is not None


def test_a_damaged_first_result_hides_no_batch(provider, submit, border, clock, since):
    batch_id = submit()
    clock.advance(100)
    lines = [
        b"upstream connect error\n",
        b'{"custom_id":"foreign-1","result":{"type":"expired"}}\n',
        f'{{"custom_id":"set-2-{KEY[:16]}","result":{{"type":"expired"}}}}\n'.encode(),
    ]
    route = f"GET /anthropic/v1/messages/batches/{batch_id}/results"
    border.on(route, border.answer(b"".join(lines)))

    assert provider.find(KEY, since=since, requests=3) is not None


def test_results_that_cannot_be_read_tell_nothing(provider, submit, border, clock, since):
    batch_id = submit()
    clock.advance(100)
    route = f"GET /anthropic/v1/messages/batches/{batch_id}/results"
    border.on(route, border.answer(b"<html>gateway</html>", content_type="text/html"))

    with pytest.raises(ProviderUnavailable, match="no result can be read"):
        provider.find(KEY, since=since, requests=3)


def test_archived_results_can_never_tell_and_a_person_decides(provider, lose, clock, since):
    lose()
    clock.advance(30 * 24 * 3_600)

    with pytest.raises(RequestRefused, match="decide by hand"):
        provider.find(KEY, since=since, requests=3)


def test_of_long_results_the_beginning_is_read_alone(server, clock, since):
    batch = {
        "id": "msgbatch_1",
        "processing_status": "ended",
        "created_at": since.isoformat(),
        "results_url": f"{server.base_url}/results",
    }
    line = json.dumps({"custom_id": f"set-0-{KEY[:16]}", "padding": "x" * 1_000}).encode() + b"\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"
    server.on("GET /v1/messages/batches", server.answer({"data": [batch], "has_more": False}))
    server.on("GET /v1/messages/batches/msgbatch_1", server.answer(batch))
    server.on("GET /v1/results", head + line * 40)
    resource = AnthropicResource(
        api_key="sk-ant-0123456789", base_url=server.base_url.removesuffix("/v1")
    )
    provider = resource.create_resource(dg.build_init_resource_context())

    assert provider.find(KEY, since=since) is not None


@pytest.fixture
def create(provider, tmp_path: Path) -> Callable[..., str]:
    """The id of a batch that a person created."""

    def made(count: int = 3) -> str:
        path = tmp_path / "own.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in requests_of(count)))
        asked = {"endpoint": "/v1/messages", "key": PERSONS_KEY, "metadata": {}}
        return provider.create(path, **asked).id

    return made


@pytest.mark.parametrize("seconds", [0, 100, 30 * 24 * 3_600], ids=["open", "ended", "archived"])
def test_a_persons_batch_may_be_any_with_as_many_requests_whatever_its_state(
    provider, create, clock, since, seconds
):
    batch_id = create()
    clock.advance(seconds)

    with pytest.raises(RequestRefused, match=rf"it may be {batch_id} .*, or none"):
        provider.find(PERSONS_KEY, since=since, requests=3)


def test_where_no_batch_can_be_a_persons_there_is_none(provider, create, submit, since):
    known = submit()
    create(count=2)

    assert provider.find(PERSONS_KEY, since=since, requests=3, besides={known}) is None


def test_a_batch_of_ours_is_waited_for_while_a_persons_like_it_is_open(
    provider, create, clock, since
):
    """Never taken for ours, and none said to be there before that is known."""
    create()
    with pytest.raises(ProviderUnavailable, match="it may be msgbatch_"):
        provider.find(KEY, since=since, requests=3)
    clock.advance(100)

    assert provider.find(KEY, since=since, requests=3) is None
