"""Servers that others wrote and that speak OpenAI's files and batches, and our whole platform.

docs/howto/servers.md lists what they do otherwise than OpenAI.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from factories import Kind
from independent_figures import measured
from independent_partition import MODEL, REQUESTS, Partition, failing, words
from independent_servers import Running, free_port, ogx
from stage_world import lost, whole

from batch_assets.domain.control import Scope
from batch_assets.resources.compatible import CompatibleResource
from batch_assets.resources.live import LiveResource
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.stages.control import cancel, offer_again
from batch_assets.stages.counts import LineCounts
from batch_assets.stages.poll import poll
from batch_assets.stages.recover import LISTED_AFTER, recover

pytestmark = pytest.mark.independent

#: What a user declares of each server, as docs/howto/servers.md says.
DECLARED: dict[str, dict[str, Any]] = {
    "aimock": {
        "max_bytes_per_batch": 10_000_000,
        "overrides": {
            "listing": "stale",
            "endpoints": [
                "/v1/responses",
                "/v1/chat/completions",
                "/v1/embeddings",
                "/v1/completions",
            ],
        },
    },
    "ogx": {
        "overrides": {
            "endpoints": ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"],
        },
    },
}

PartitionOf = Callable[..., Partition]


@pytest.fixture(params=DECLARED)
def server(request: pytest.FixtureRequest) -> Running:
    running: Running = request.getfixturevalue(f"{request.param}_server")
    return running


def provider_of(server: Running, *, via: str | None = None, **fields: Any) -> OpenAIProvider:
    """What the declaration of a user becomes."""
    declared = {**DECLARED[server.name.split()[0]], **fields}
    url = f"{via or server.origin}/v1"
    return CompatibleResource(api_key="sk-0123456789", base_url=url, **declared).create_resource(
        None
    )


@pytest.mark.parametrize("per_batch", [16, 500, REQUESTS])
def test_each_of_2000_requests_has_its_answer(server, partition: PartitionOf, per_batch):
    """Of 125 batches there is more than a page."""
    made = partition(provider_of(server, max_requests_per_batch=per_batch), words(), model=MODEL)

    with measured(f"{REQUESTS:,} requests in batches of {per_batch}", server):
        sent = made.submit().sent
        found = made.finish()

    assert sent == REQUESTS // per_batch
    assert made.ends() == {("ok", None, 1): REQUESTS}
    assert found.summary.executions == REQUESTS
    assert found.lines == LineCounts()


def test_each_failure_of_a_model_is_the_items_own(ogx_server, aimock_server, partition):
    """What ogx says it executed is what its model's journal has."""
    made = partition(provider_of(ogx_server), failing(), model=MODEL, output=Kind)
    answered = {"path": "/v1/chat/completions", "status": 200}
    before = aimock_server.requests_seen(**answered)

    with measured(f"{REQUESTS:,} requests, 170 of which fail, in two waves", ogx_server):
        made.submit()
        found = made.finish()

    assert made.ends() == {
        ("ok", None, 1): 1_830,
        ("errored", "429", 2): 20,
        ("errored", "500", 2): 20,
        ("errored", "400", 1): 50,
        ("truncated", None, 1): 50,
        ("invalid", None, 2): 30,
    }
    assert found.summary.executions == 1_830 + 50 + 2 * 30
    assert aimock_server.requests_seen(**answered) - before == found.summary.executions


def test_a_batch_whose_creation_got_no_reply_is_found_and_not_bought_again(
    server, partition, border
):
    between = border(server)
    between.change(r"POST /v1/batches$", lost, whole)
    via = between.base_url.removesuffix("/v1")
    made = partition(provider_of(server, via=via), words(20), model=MODEL)
    batches = len(server.get("/v1/batches?limit=100")["data"])

    assert made.submit().sent == 0
    made.clock.skip(LISTED_AFTER + timedelta(minutes=1))
    assert recover(made.deployment) == 1
    made.finish()

    assert made.ends() == {("ok", None, 1): 20}
    assert between.calls.count("POST /v1/batches") == 1
    assert batches in (100, len(server.get("/v1/batches?limit=100")["data"]) - 1)


def test_a_cancelled_batch_ends_its_items_as_cancelled(server, partition):
    """Neither server writes a file for what it had answered by then."""
    made = partition(provider_of(server), words(), model=MODEL)
    made.submit()

    cancel(
        made.deployment,
        Scope(inference=made.recipe.inference),
        owner="me",
        reason="wrong",
        at_provider=True,
    )
    made.finish()

    assert made.ends() == {("cancelled", None, 0): REQUESTS}


def test_a_model_that_the_server_does_not_have_is_every_items_error(ogx_server, partition):
    made = partition(provider_of(ogx_server), words(), model="no-such-model")
    made.submit()

    made.finish()

    assert made.ends() == {("errored", "model_not_found", 1): REQUESTS}


def test_a_batch_that_a_restarted_server_forgot_to_carry_out_is_offered_again_by_a_person(
    installed, aimock_server, partition, tmp_path
):
    """ogx does not take up again what it was at when it was killed: such a batch never ends."""
    (home := tmp_path / "ogx").mkdir()
    port, model_url = free_port(), f"{aimock_server.origin}/v1"
    with ogx(installed, home, model_url, port=port) as killed:
        made = partition(provider_of(killed), words(), model=MODEL)
        made.submit()
        killed.process.kill()
    with ogx(installed, home, model_url, port=port):
        seen = [poll(made.deployment) for _ in range(5)]
        [batch] = made.ledger.batches()
        offer_again(made.ledger, batch.id, owner="me")
        made.finish()

    assert [each.open for each in seen] == [1] * 5
    assert batch.provider_status in ("validating", "in_progress")
    assert made.ends() == {("ok", None, 1): REQUESTS}


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        ("failed", {("errored", "mock_failure", 1): 20}),
        ("expired", {("expired", None, 2): 20}),
        ("cancelled", {("cancelled", None, 1): 20}),
    ],
)
def test_every_status_that_a_batch_can_end_in_is_an_outcome(
    aimock_server, partition, border, status, ends
):
    between = border(aimock_server, {"x-aimock-batch-outcome": status})
    via = between.base_url.removesuffix("/v1")
    made = partition(provider_of(aimock_server, via=via), words(20), model=MODEL)
    made.submit()

    made.finish()

    assert made.ends() == ends


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("chat", {"temperature": 0.5, "max_completion_tokens": 50}),
        ("responses", {"max_output_tokens": 50}),
        ("embeddings", {"vector_length": 3}),
        ("completions", {"max_tokens": 50}),
    ],
)
def test_every_endpoint_that_aimock_has_is_answered(aimock_server, partition, name, settings):
    made = partition(
        provider_of(aimock_server), words(20), model="m", endpoint=name, settings=settings
    )
    made.submit()

    made.finish()

    assert Counter(made.table()["outcome"].to_pylist()) == {"ok": 20}


def test_an_upload_of_ours_is_listed_by_its_key_and_deleted(server, partition):
    provider = provider_of(server)
    made = partition(provider, words(20), model=MODEL)
    made.submit()
    [batch] = made.ledger.batches()

    def listed() -> list[str]:
        return [upload.key for upload in provider.uploads(since=batch.created_at)]

    assert batch.key in listed()
    provider.delete_upload(batch.input_file_id)
    assert batch.key not in listed()


def test_requests_are_answered_one_by_one_where_there_is_no_batch_api(
    server, aimock_server, partition
):
    """ogx asks aimock's model, so that aimock's journal has the requests of both."""
    lane = LiveResource(api_key="sk-0123456789", base_url=f"{server.origin}/v1")
    asked = [word for word in failing() if not word.startswith(("busy", "broken", "odd"))]
    made = partition(lane.create_resource(None), asked, model=MODEL)
    answered = {"path": "/v1/chat/completions", "status": 200}
    before = aimock_server.requests_seen(**answered)

    with measured(f"{len(asked):,} requests one by one", server):
        made.submit()
        found = made.finish()

    assert made.ends() == {
        ("ok", None, 1): 1_830,
        ("truncated", None, 1): 50,
        ("errored", "400", 1): 50,
    }
    assert aimock_server.requests_seen(**answered) - before == found.summary.executions == 1_880
