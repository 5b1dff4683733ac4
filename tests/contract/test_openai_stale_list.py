"""A server whose list shows each batch as it was when it was asked about alone, as aimock does."""

from datetime import UTC, datetime

import pytest

from batch_assets.domain.provider import Phase, Provider
from batch_assets.resources.compatible import CompatibleResource

ENDPOINT = "/v1/chat/completions"
KEY = "0123456789abcdef0123456789abcdef"
LIST = "GET /v1/batches"


@pytest.fixture
def provider(border) -> Provider:
    resource = CompatibleResource(
        api_key="sk-0123456789abcdef", base_url=border.base_url, overrides={"listing": "stale"}
    )
    return resource.create_resource(None)


@pytest.fixture
def since(clock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


def stale(border, clock) -> None:
    """The list answers as it does now, however the batches go on."""
    [call] = [call for call in border.calls if call.route == LIST]
    border.on(LIST, border.otherwise(call))
    clock.advance(100)


def test_its_batches_are_asked_about_one_by_one(provider, border, clock, since, a_shard):
    batch = provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)
    assert provider.find(KEY, since=since).status == "validating"
    stale(border, clock)

    [found] = provider.poll([batch.id], since=since, among=[batch.id])

    assert (found.phase, found.status) == (Phase.ENDED, "completed")


def test_its_list_still_says_whether_a_batch_exists(provider, border, clock, since, a_shard):
    provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)

    assert provider.find(KEY, since=since).key == KEY
    assert provider.find(KEY[::-1], since=since) is None
