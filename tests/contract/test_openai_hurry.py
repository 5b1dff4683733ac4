"""A caller that cannot wait, as a sensor's tick, is kept waiting by nothing the provider does."""

import io
from datetime import UTC, datetime

import pytest

from batch_assets.domain.errors import CapacityRefused, ProviderUnavailable
from batch_assets.domain.provider import Provider
from batch_assets.sandbox import ManualClock

ENDPOINT = "/v1/chat/completions"
LIST = "GET /v1/batches"


@pytest.fixture
def provider(border, provider_at) -> Provider:
    return provider_at(border.base_url)


@pytest.fixture
def since(clock: ManualClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


def test_a_caller_in_a_hurry_does_not_wait_for_a_silent_provider(server, provider_at, since):
    server.on(LIST, server.answer({"object": "list", "data": [], "has_more": False}), None)
    provider = provider_at(server.base_url, timeout_seconds=250.0)
    provider.find("k-1", since=since)  # the SDK's import and the first connection take a while

    with provider.within(2), pytest.raises(ProviderUnavailable, match="ReadTimeout"):
        provider.find("k-1", since=since)

    assert server.count(LIST) == 2


def test_a_caller_in_a_hurry_does_not_wait_for_the_time_that_the_provider_asks_for(
    server, provider_at, since
):
    server.on(LIST, server.refusal(429, retry_after_ms="100000"))
    provider = provider_at(server.base_url)

    with provider.within(60), pytest.raises(CapacityRefused):
        provider.find("k-1", since=since)

    assert server.count(LIST) == 1


def test_after_its_time_a_caller_in_a_hurry_calls_nobody(border, provider, since, a_shard):
    with provider.within(60), provider.within(0):
        for call in (
            lambda: provider.find("k-1", since=since),
            lambda: list(provider.poll({"batch-1"}, since=since)),
            lambda: list(provider.uploads(since=since)),
            lambda: provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1"),
            lambda: provider.delete_upload("file-1"),
            lambda: provider.download("file-1", io.BytesIO()),
            lambda: provider.cancel("batch-1"),
        ):
            with pytest.raises(ProviderUnavailable, match="the time for it is over"):
                call()

    assert border.calls == []


def test_who_was_in_a_hurry_has_time_again(provider, since, border):
    with provider.within(0), pytest.raises(ProviderUnavailable):
        provider.find("k-1", since=since)

    border.on(LIST, border.refusal(503), border.otherwise)

    assert provider.find("k-1", since=since) is None


def test_a_hurry_inside_another_ends_with_the_outer_one(provider, since):
    with provider.within(0), provider.within(60), pytest.raises(ProviderUnavailable):
        provider.find("k-1", since=since)
