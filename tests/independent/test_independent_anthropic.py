"""A server that others wrote and that speaks Anthropic's message batches, and our platform."""

from datetime import timedelta
from threading import Event

import pytest
from factories import Kind
from independent_figures import measured
from independent_partition import MODEL, PAUSE, REQUESTS, failing, words
from independent_servers import Running
from stage_world import lost, whole

from batch_assets.domain.control import Scope
from batch_assets.resources.anthropic import AnthropicProvider, AnthropicResource
from batch_assets.stages.control import cancel
from batch_assets.stages.counts import LineCounts
from batch_assets.stages.recover import LISTED_AFTER, recover

pytestmark = pytest.mark.independent


def provider_of(server: Running) -> AnthropicProvider:
    """ogx takes 1,000 requests in a batch."""
    return AnthropicResource(
        api_key="sk-ant-0123456789", base_url=server.origin, max_requests_per_batch=1_000
    ).create_resource(None)


def until_ended(server: Running) -> None:
    """Only the results of a batch say whose it is."""
    while any(
        batch["processing_status"] != "ended"
        for batch in server.get("/v1/messages/batches?limit=100")["data"]
    ):
        Event().wait(PAUSE)


def test_each_of_2000_messages_has_its_answer(ogx_server, aimock_server, partition):
    made = partition(provider_of(ogx_server), words(), model=MODEL, endpoint="messages")
    answered = {"path": "/v1/chat/completions", "status": 200}
    before = aimock_server.requests_seen(**answered)

    with measured(f"{REQUESTS:,} message batch requests", ogx_server):
        sent = made.submit().sent
        found = made.finish()

    assert sent == 2
    assert made.ends() == {("ok", None, 1): REQUESTS}
    assert found.lines == LineCounts()
    assert aimock_server.requests_seen(**answered) - before == found.summary.executions == REQUESTS


def test_each_failure_of_a_model_is_the_items_own(ogx_server, aimock_server, partition):
    made = partition(
        provider_of(ogx_server), failing(), model=MODEL, endpoint="messages", output=Kind
    )
    answered = {"path": "/v1/chat/completions", "status": 200}
    before = aimock_server.requests_seen(**answered)

    with measured(f"{REQUESTS:,} messages, 170 of which fail, in two waves", ogx_server):
        made.submit()
        found = made.finish()

    assert made.ends() == {
        ("ok", None, 1): 1_830,
        ("errored", "api_error", 2): 40,
        ("errored", "api_error", 1): 50,
        ("truncated", None, 1): 50,
        ("invalid", None, 2): 30,
    }
    assert found.summary.executions == 1_830 + 50 + 2 * 30
    assert aimock_server.requests_seen(**answered) - before == found.summary.executions


def test_a_batch_whose_creation_got_no_reply_is_found_and_not_bought_again(
    ogx_server, partition, border
):
    between = border(ogx_server)
    between.change(r"POST /v1/messages/batches$", lost, whole)
    resource = AnthropicResource(
        api_key="sk-ant-0123456789", base_url=between.base_url.removesuffix("/v1")
    )
    made = partition(resource.create_resource(None), words(20), model=MODEL, endpoint="messages")

    assert made.submit().sent == 0
    made.clock.skip(LISTED_AFTER + timedelta(minutes=1))
    until_ended(ogx_server)
    assert recover(made.deployment) == 1
    made.finish()

    assert made.ends() == {("ok", None, 1): 20}
    assert between.calls.count("POST /v1/messages/batches") == 1


def test_a_cancelled_batch_keeps_what_was_answered_by_then(ogx_server, partition):
    made = partition(provider_of(ogx_server), words(), model=MODEL, endpoint="messages")
    made.submit()

    scope = Scope(inference=made.recipe.inference)
    cancel(made.deployment, scope, owner="me", reason="wrong", at_provider=True)
    made.finish()

    ends = made.ends()
    assert ends.total() == REQUESTS
    assert ends[("cancelled", "canceled", 0)] > 0
    assert ends.keys() <= {("cancelled", "canceled", 0), ("ok", None, 1)}
