"""Batches are looked up where they stand in the provider's list, the first wanted first."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from batch_assets.domain.errors import BatchUnknown, OutOfTime
from batch_assets.domain.provider import Provider, ProviderBatch
from batch_assets.resources import search
from batch_assets.resources.openai import client
from batch_assets.sandbox import ManualClock

LIST = "GET /v1/batches"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Three batches to a page."""
    for module in (client, search):
        monkeypatch.setattr(module, "PAGE", 3)


@pytest.fixture
def provider(border, provider_at) -> Provider:
    return provider_at(border.base_url, max_retries=0)


@pytest.fixture
def since(clock: ManualClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


@pytest.fixture
def nine(many_batches, clock) -> list[str]:
    """Nine batches, newest first, a minute between two of them."""
    made = []
    for _ in range(9):
        made += many_batches(1)
        clock.advance(60)
    return made[::-1]


def asked(border) -> list[str]:
    return [f"{call.route}?{call.query}" if call.query else call.route for call in border.calls]


def test_the_oldest_is_found_by_the_page_that_it_ends(provider, nine, since, border):
    found = [batch.id for batch in provider.poll(nine[-1:], since=since, among=nine)]

    assert found == nine[-1:]
    assert asked(border) == [f"{LIST}?after={nine[-2]}&limit=3"]


def test_what_else_of_ours_comes_by_is_handed_out(provider, nine, since, border):
    wanted = [nine[5], nine[3]]

    found = [batch.id for batch in provider.poll(wanted, since=since, among=nine)]

    assert found == nine[3:6]
    assert asked(border) == [f"{LIST}?after={nine[2]}&limit=3"]


def test_all_are_asked_about_by_no_more_pages_than_they_fill(provider, nine, since, border):
    found = [batch.id for batch in provider.poll(nine[::-1], since=since, among=nine)]

    assert found == [*nine[6:], *nine[3:6], *nine[:3]]
    assert len(border.calls) == 3


def test_the_newest_is_on_the_first_page(provider, nine, since, border):
    [found, *_] = provider.poll(nine[:1], since=since, among=nine)

    assert found.id == nine[0]
    assert asked(border) == [f"{LIST}?limit=3"]


def test_batches_of_others_between_ours_take_a_further_page_while_that_pays(
    provider, nine, since, border
):
    ours = [nine[0], nine[1], nine[3], nine[4], nine[6]]

    found = {batch.id for batch in provider.poll(ours[::-1], since=since, among=ours)}

    assert found == set(ours)
    assert len(border.calls) <= 3


def test_a_list_full_of_others_is_left_for_single_questions(
    provider, nine, many_batches, since, border
):
    newer = many_batches(6)
    border.calls.clear()

    found = [batch.id for batch in provider.poll(nine[:1], since=since, among=nine[:1])]

    assert found == nine[:1]
    assert len(newer) == 6
    assert asked(border) == [f"{LIST}?limit=3", f"{LIST}/{nine[0]}"]


def test_a_list_in_another_order_is_no_reason_to_ask_for_pages_without_end(
    provider, nine, since, border
):
    shuffled = [nine[8], nine[0], nine[7], nine[1], nine[6], nine[2], nine[5], nine[3], nine[4]]

    found = {batch.id for batch in provider.poll(shuffled, since=since, among=shuffled)}

    assert found == set(nine)
    assert len(border.calls) <= 2 * len(nine)


def test_a_neighbour_that_the_provider_does_not_know_any_more_is_no_way_in(
    provider, nine, since, border
):
    among = ["batch_gone", *nine[4:]]

    found = {batch.id for batch in provider.poll(nine[4:5], since=since, among=among)}

    assert found == {nine[4]}
    assert asked(border) == [f"{LIST}?after=batch_gone&limit=3", f"{LIST}/{nine[4]}"]


def until(kind: type[Exception], batches: Iterator[ProviderBatch]) -> tuple[list[str], Any]:
    """The ids handed out before the error, and the error."""
    found: list[str] = []
    try:
        found.extend(batch.id for batch in batches)
    except kind as error:
        return found, error
    raise AssertionError(f"no {kind.__name__} after {found}")


def test_a_search_ends_where_the_calls_are_used_up(provider, nine, since, border):
    with provider.within(60, calls=2), pytest.raises(OutOfTime):
        list(provider.poll(nine[::-1], since=since, among=nine))

    assert len(border.calls) == 2


def test_what_the_provider_does_not_know_is_named_after_all_others(provider, nine, since):
    among = [*nine[:2], "batch_gone", *nine[2:]]

    found, error = until(
        BatchUnknown, provider.poll(["batch_gone", *nine], since=since, among=among)
    )

    assert set(found) == set(nine)
    assert error.ids == {"batch_gone"}


def test_what_the_provider_does_not_know_is_named_even_where_the_calls_are_used_up(
    provider, nine, since
):
    polled = provider.poll(["batch_gone", nine[8]], since=since, among=["batch_gone", *nine])

    with provider.within(60, calls=2):
        _, error = until(BatchUnknown, polled)

    assert error.ids == {"batch_gone"}
