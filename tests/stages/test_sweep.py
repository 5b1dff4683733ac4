"""An uploaded file whose batch was never created is found and deleted, and no other file is.

Row 23 of complaints.md: a failed creation orphans the uploaded, billed file.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from openai import OpenAI
from stage_world import LIMITS, Reply, World, edited, lost, refusal, whole

from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import ProviderUnavailable, RequestRefused
from batch_assets.domain.provider import ProviderBatch
from batch_assets.domain.shard import Limits
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import RunningSandbox
from batch_assets.stages import sweep as sweeping
from batch_assets.stages.sweep import sweep

POST_FILES, POST_BATCHES = r"POST /v1/files$", r"POST /v1/batches$"
LIST_FILES, DELETE_FILE = r"GET /v1/files\?", r"DELETE /v1/files/"
ONE_ROW = Limits(requests=1, bytes=10**6)


class Dying(OpenAIProvider):
    """Stops as a killed process does, between the upload and the creation."""

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        self._client.upload(shard, name=f"{key}.jsonl", call="uploading", key=key)
        raise KeyboardInterrupt


@pytest.fixture
def uploaded(sandbox: RunningSandbox) -> Callable[[], set[str]]:
    """Ids of the request files that the provider has."""

    def ids() -> set[str]:
        with OpenAI(api_key="anybody", base_url=sandbox.base_url) as client:
            return {file.id for file in client.files.list(purpose="batch")}

    return ids


def in_use(world: World) -> set[str | None]:
    """The files that batches were created from."""
    return {batch.input_file_id for batch in world.batches if batch.provider_id is not None}


def upload(sandbox: RunningSandbox, name: str) -> str:
    """What somebody else uploads to the account."""
    with OpenAI(api_key="somebody", base_url=sandbox.base_url) as client:
        return client.files.create(file=(name, b"{}\n"), purpose="batch").id


def done_but_failed(reply: Reply) -> bytes:
    """The provider has the file and says otherwise; the SDK tries again at once."""
    return (
        b"HTTP/1.1 503 Unavailable\r\nretry-after-ms: 1\r\ncontent-length: 0\r\n"
        b"connection: close\r\n\r\n"
    )


def an_hour_later(world: World) -> int:
    """The next sweep."""
    world.clock.advance(3_600)
    return sweep(world.deployment)


@pytest.fixture
def after_a_death(a_world, sandbox) -> World:
    """A partition whose process died between the upload and the creation."""
    dying = Dying(
        api_key="sk-test-0123456789",
        limits=LIMITS,
        budget=Budget(),
        timeout_seconds=10.0,
        max_retries=0,
        account="openai",
        base_url=sandbox.base_url,
    )
    with pytest.raises(KeyboardInterrupt):
        a_world(3, via=dying).submit()
    dying.close()
    return a_world(3)


def test_a_file_whose_batch_is_in_doubt_is_kept(after_a_death, uploaded):
    assert sweep(after_a_death.deployment) == 0
    assert len(uploaded()) == 1


def test_the_file_of_a_process_that_died_is_deleted_once_its_batch_has_another(
    after_a_death, uploaded
):
    world = after_a_death
    world.lease_over()
    assert world.submit().sent == 1
    assert len(uploaded()) == 2

    assert sweep(world.deployment) == 1

    assert uploaded() == in_use(world)
    assert world.executions["batches_created"] == 1


def test_a_refused_creation_leaves_no_file(a_world, script, uploaded):
    script.replies["batches.create"] = [refusal(400)]
    world = a_world(3)

    with pytest.raises(RequestRefused):
        world.submit()

    assert uploaded() == set()


def test_a_file_that_could_not_be_deleted_at_once_is_deleted_by_the_sweep(
    a_world, script, uploaded
):
    script.replies["batches.create"] = [refusal(429)]
    script.replies["files.delete"] = [refusal(500)]
    world = a_world(3)
    assert world.submit().sent == 0
    assert (world.states, len(uploaded())) == (["planned"], 1)

    assert sweep(world.deployment) == 1

    assert uploaded() == set()


def test_the_file_of_an_offer_that_was_given_up_is_deleted(a_world, script, uploaded):
    script.replies["batches.create"] = [refusal(400)]
    script.replies["files.delete"] = [refusal(500)]
    world = a_world(3)
    with pytest.raises(RequestRefused):
        world.submit()
    assert (world.states, len(uploaded())) == (["abandoned"], 1)

    assert sweep(world.deployment) == 1

    assert uploaded() == set()


def test_an_upload_whose_reply_was_lost_is_deleted(a_world, border, provider_at, uploaded):
    border.change(POST_FILES, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    with pytest.raises(ProviderUnavailable):
        world.submit()
    assert (world.states, len(uploaded())) == (["planned"], 1)

    assert sweep(world.deployment) == 1

    assert uploaded() == set()
    assert world.executions["batches_created"] == 0


def test_of_a_file_that_the_sdk_uploaded_twice_the_one_in_use_is_kept(
    a_world, border, provider_at, uploaded
):
    border.change(POST_FILES, done_but_failed, whole)
    world = a_world(3, via=provider_at(border.base_url, max_retries=1))
    world.submit()
    assert len(uploaded()) == 2

    assert sweep(world.deployment) == 1

    assert uploaded() == in_use(world)


def test_a_file_that_is_being_offered_is_kept(a_world, border, provider_at, uploaded):
    def sweep_meanwhile(reply: Reply) -> bytes:
        swept.append(sweep(world.deployment))
        return reply.sent()

    swept: list[int] = []
    border.change(POST_BATCHES, sweep_meanwhile)
    world = a_world(3, via=provider_at(border.base_url))

    world.submit()

    assert swept == [0]
    assert uploaded() == in_use(world)


def test_the_file_of_a_batch_is_kept_whatever_becomes_of_it(a_world, uploaded):
    world = a_world(3)
    world.submit()
    assert an_hour_later(world) == 0
    world.poll()
    assert an_hour_later(world) == 0
    world.collect()

    assert an_hour_later(world) == 0
    assert world.states == ["collected"]
    assert uploaded() == in_use(world)


def test_the_file_of_a_batch_whose_provider_does_not_name_it_is_kept(
    a_world, border, provider_at, uploaded
):
    border.change(POST_BATCHES, edited(lambda body: body.replace(b"input_file_id", b"input")))
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    assert world.batch.input_file_id is None

    assert sweep(world.deployment) == 0
    assert len(uploaded()) == 1


@pytest.mark.parametrize("name", [f"{'0f' * 16}.jsonl", "notes.jsonl", f"{'0f' * 16}-1.jsonl"])
def test_the_files_of_others_are_kept(a_world, sandbox, uploaded, name):
    """The first could be another ledger's: its key is one that this ledger does not know."""
    world = a_world(3)
    world.submit()
    other = upload(sandbox, name)

    assert sweep(world.deployment) == 0
    assert other in uploaded()


def test_a_sweep_that_breaks_off_is_finished_by_the_next(a_world, border, provider_at, uploaded):
    border.change(POST_FILES, lost, lost, lost, whole)
    world = a_world(3, limits=ONE_ROW, via=provider_at(border.base_url))
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            world.submit()
    border.change(DELETE_FILE, whole, lost, whole)

    with pytest.raises(ProviderUnavailable):
        sweep(world.deployment)
    assert len(uploaded()) == 1

    assert an_hour_later(world) == 1
    assert uploaded() == set()


def test_a_file_that_the_provider_keeps_keeps_no_other_one(
    a_world, border, script, provider_at, uploaded
):
    border.change(POST_FILES, lost, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            world.submit()
    script.replies["files.delete"] = [refusal(400)]

    with pytest.raises(RequestRefused):
        sweep(world.deployment)

    assert len(uploaded()) == 1
    assert an_hour_later(world) == 1


def test_a_sweep_is_bounded_and_the_next_goes_on(
    a_world, border, provider_at, uploaded, monkeypatch
):
    monkeypatch.setattr(sweeping, "MOST", 2)
    border.change(POST_FILES, lost, lost, lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            world.submit()

    assert sweep(world.deployment) == 2
    assert an_hour_later(world) == 1
    assert uploaded() == set()


def test_an_account_is_swept_once_an_hour(a_world, border, provider_at):
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()

    for seconds in (0, 3_599, 1):
        world.clock.advance(seconds)
        sweep(world.deployment)

    assert sum(call.startswith("GET /v1/files?") for call in border.calls) == 2


def test_an_account_of_which_nothing_was_ever_planned_is_not_asked(a_world, border, provider_at):
    world = a_world(3, via=provider_at(border.base_url))

    assert sweep(world.deployment) == 0
    assert border.calls == []


def test_a_provider_without_a_list_of_files_has_nothing_to_sweep(a_world, script):
    world = a_world(3)
    world.submit()
    script.replies["files.list"] = [refusal(405)]

    assert sweep(world.deployment) == 0
