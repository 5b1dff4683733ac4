"""Every profile, end to end through OpenAI's SDK, against the sandbox's wire of that server."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import msgspec
import pytest

from batch_assets.domain.errors import BatchUnknown, ReplyLost, RequestRefused
from batch_assets.domain.provider import KEY_METADATA, Phase, Upload
from batch_assets.resources.compatible import PROFILES, CompatibleResource
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import LostReply, ManualClock, RunningSandbox, ScriptedFaults
from batch_assets.sandbox import running_sandbox as started

ENDPOINT = "/v1/chat/completions"
KEY = "0123456789abcdef" * 2
OTHER_KEY = "fedcba9876543210" * 2

#: Where the sandbox speaks as each server, as a user would give it.
ADDRESSES = {
    "openai": {"base_url": "/v1"},
    "azure": {"base_url": "/azure/openai/v1"},
    "azure-2024-10-21": {"base_url": "/azure/openai"},
    "groq": {"base_url": "/groq/openai/v1"},
    "together": {"base_url": "/together/v1"},
    "deepinfra": {"base_url": "/deepinfra/v1/openai"},
    "doubleword": {"base_url": "/doubleword/v1"},
    "xerotier": {"base_url": "/xerotier/{slug}/v1", "slug": "proj_1/my-endpoint"},
    "novita": {"base_url": "/novita/openai/v1"},
}


@dataclass
class World:
    """One server: who answers, who asks, and the time that they share."""

    sandbox: RunningSandbox
    clock: ManualClock
    faults: ScriptedFaults
    provider: OpenAIProvider

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def polled(self, *ids: str) -> dict[str, Any]:
        return {batch.id: batch for batch in self.provider.poll(ids, since=self.now)}

    def read(self, file_id: str | None) -> list[dict[str, Any]]:
        assert file_id is not None
        sink = io.BytesIO()
        self.provider.download(file_id, sink)
        return [json.loads(line) for line in sink.getvalue().splitlines()]


@pytest.fixture
def faults() -> ScriptedFaults:
    return ScriptedFaults()


@pytest.fixture
def sandbox(clock: ManualClock, faults: ScriptedFaults) -> Iterator[RunningSandbox]:
    with started(clock=clock, faults=faults, latency=100.0) as running:
        yield running


@pytest.fixture
def world_of(
    sandbox: RunningSandbox, clock: ManualClock, faults: ScriptedFaults
) -> Iterator[Callable[..., World]]:
    """The world of a profile; keywords are the resource's."""
    made: list[OpenAIProvider] = []

    def make(profile: str, **fields: Any) -> World:
        address = ADDRESSES[profile] | fields
        address["base_url"] = sandbox.origin + address["base_url"]
        settings = {"api_key": "sk-somebody", "timeout_seconds": 5.0, "max_retries": 0} | address
        resource = CompatibleResource(profile=profile, **settings)
        provider = resource.provider(wait=clock.advance)
        made.append(provider)
        return World(sandbox, clock, faults, provider)

    yield make
    for provider in made:
        provider.close()


@pytest.fixture(params=ADDRESSES)
def world(request: pytest.FixtureRequest, world_of: Callable[..., World]) -> World:
    return world_of(request.param)


@pytest.fixture
def anybody(world_of: Callable[..., World]) -> Callable[..., World]:
    """A server with the oddities of the sandbox's own choosing, and a profile to match."""

    def make(overrides: dict[str, Any], **oddities: Any) -> World:
        world = world_of("openai", base_url="/compatible/v1", overrides=overrides)
        world.sandbox.state.change_settings({"compatible": oddities})
        return world

    return make


def test_every_profile_has_a_wire_of_the_sandbox():
    assert set(ADDRESSES) == set(PROFILES)


def test_a_batch_goes_from_its_shard_to_its_answers(world: World, a_shard):
    batch = world.provider.submit(a_shard(3), endpoint=ENDPOINT, key=KEY)
    assert batch.phase is Phase.OPEN

    world.clock.advance(100)
    ended = world.polled(batch.id)[batch.id]
    answers = world.read(ended.output_file_id)

    assert (ended.phase, ended.problems) == (Phase.ENDED, ())
    assert {answer["custom_id"] for answer in answers} == {"r-0", "r-1", "r-2"}


def test_a_batch_is_found_though_its_reply_was_lost(world: World, a_shard):
    since = world.now
    world.faults.calls("batches.create", LostReply())

    with pytest.raises(ReplyLost):
        world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)

    found = world.provider.find(KEY, since=since)
    assert found is not None
    assert world.provider.find(OTHER_KEY, since=since) is None
    assert list(world.polled(found.id)) == [found.id]


def test_an_upload_is_known_by_its_key_and_can_be_deleted(world: World, a_shard):
    since = world.now
    batch = world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)
    assert list(world.provider.uploads(since=since)) == [Upload(id=batch.input_file_id, key=KEY)]

    world.provider.delete_upload(batch.input_file_id)
    world.provider.delete_upload(batch.input_file_id)

    assert list(world.provider.uploads(since=since)) == []


def test_a_cancelled_batch_ends_and_keeps_what_was_answered(world: World, a_shard):
    batch = world.provider.submit(a_shard(10), endpoint=ENDPOINT, key=KEY)
    world.clock.advance(50)

    assert world.provider.cancel(batch.id).phase is Phase.OPEN
    world.clock.advance(5)
    ended = world.polled(batch.id)[batch.id]

    assert ended.phase is Phase.ENDED
    lines = world.read(ended.output_file_id) + world.read(ended.error_file_id)
    assert len(lines) == 10


def test_a_batch_that_is_not_known_is_named_after_the_others(world: World, a_shard):
    batch = world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)
    seen = []

    with pytest.raises(BatchUnknown, match="batch_gone"):
        seen.extend(world.provider.poll([batch.id, "batch_gone"], since=world.now))

    assert [each.id for each in seen] == [batch.id]


def test_a_failed_validation_says_why(world: World, a_shard):
    batch = world.provider.submit(a_shard(1, body={"messages": []}), endpoint=ENDPOINT, key=KEY)
    world.clock.advance(100)

    ended = world.polled(batch.id)[batch.id]

    assert ended.phase is Phase.ENDED
    assert [problem.message for problem in ended.problems] == ["Model parameter is required."]


def test_a_wrong_key_is_said_by_the_name_of_its_variable(world_of, a_shard):
    world = world_of("groq", api_key=dg.EnvVar("GROQ_API_KEY"))

    assert "GROQ_API_KEY" in (world.provider.lacks or "")


def test_only_documented_endpoints_are_taken(world_of):
    groq, xerotier, anybody = (world_of(name) for name in ("groq", "xerotier", "openai"))

    assert [each.provider.takes("/v1/responses") for each in (groq, xerotier, anybody)] == [
        False,
        True,
        True,
    ]


def test_azure_makes_no_batch_of_a_file_that_is_still_read(world_of, a_shard):
    world = world_of("azure")
    begun = world.clock.now()

    world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)

    assert world.clock.now() - begun == 10


def test_azures_older_api_spells_endpoints_without_their_version(world_of, a_shard):
    world = world_of("azure-2024-10-21")

    batch = world.provider.submit(a_shard(1), endpoint=ENDPOINT, key=KEY)

    [line] = world.read(batch.input_file_id)
    assert line["url"] == "/chat/completions"


def test_azures_older_api_is_told_its_version_and_gets_the_key_in_a_header_of_its_own(
    server, a_shard
):
    resource = CompatibleResource(
        profile="azure-2024-10-21", api_key="sk-somebody", base_url=server.base_url, max_retries=0
    )

    with pytest.raises(RequestRefused):
        resource.provider().submit(a_shard(), endpoint=ENDPOINT, key=KEY)

    upload = server.calls[0]
    assert (upload.query, upload.headers["api-key"]) == ("api-version=2024-10-21", "sk-somebody")
    assert "authorization" not in upload.headers


def test_groq_takes_windows_of_a_day_to_a_week(world_of, a_shard):
    world = world_of("groq", completion_window="3d")

    assert world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY).phase is Phase.OPEN


def test_groq_lists_all_at_once(world_of, a_shard):
    world = world_of("groq")
    since = world.now
    ids = [
        world.provider.submit(a_shard(1), endpoint=ENDPOINT, key=f"{number:032x}").id
        for number in range(3)
    ]

    assert set(world.polled(*ids)) == set(ids)
    found = world.provider.find(f"{0:032x}", since=since)
    assert found is not None
    assert found.id == ids[0]


def test_togethers_uploads_differ_though_their_shards_are_equal(world_of, a_shard):
    """Together answers a file that it has with 409, and our batch would be of another's file."""
    world = world_of("together")
    shard = a_shard(1)

    first = world.provider.submit(shard, endpoint=ENDPOINT, key=KEY)
    second = world.provider.submit(shard, endpoint=ENDPOINT, key=OTHER_KEY)

    assert first.input_file_id != second.input_file_id
    assert world.read(first.input_file_id) == world.read(second.input_file_id)
    assert [line["custom_id"] for line in world.read(second.input_file_id)] == ["r-0"]


@pytest.mark.parametrize("end", ["\n", "", "\r\n"])
def test_togethers_requests_are_those_of_the_file_however_its_line_ends(world_of, tmp_path, end):
    world = world_of("together")
    shard = tmp_path / "one.jsonl"
    body = {"model": "m", "messages": [{"role": "user", "content": '"custom_id":"x"'}]}
    line = {"custom_id": "0011-42", "method": "POST", "url": ENDPOINT, "body": body}
    shard.write_bytes(msgspec.json.encode(line) + end.encode())

    batch = world.provider.submit(shard, endpoint=ENDPOINT, key=KEY)

    assert world.read(batch.input_file_id) == [line]


def test_together_reports_no_counts(world_of, a_shard):
    world = world_of("together")
    batch = world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)
    world.clock.advance(100)

    ended = world.polled(batch.id)[batch.id]

    assert (ended.status, ended.total, ended.completed, ended.key) == (
        "COMPLETED",
        None,
        None,
        None,
    )


def a_batch(number: int, created_at: float, **over: Any) -> dict[str, Any]:
    ids = {"id": f"batch_{number}", "object": "batch", "input_file_id": f"file-{number}"}
    return {**ids, "status": "in_progress", "created_at": int(created_at), **over}


@pytest.mark.parametrize(("profile", "pages"), [("xerotier", 2), ("deepinfra", 1)])
def test_only_a_list_in_order_is_left_where_it_reaches_back_far_enough(
    server, clock, profile, pages
):
    """In no order, that one page is old says nothing of the next."""
    now = clock.now()
    old = [a_batch(number, now - number * 10_800, metadata={"a": "b"}) for number in range(3)]
    wanted = a_batch(9, now, metadata={KEY_METADATA: KEY})
    listed = "GET /v1/batches"
    page = {"object": "list", "has_more": True}
    server.on(
        listed,
        server.answer({**page, "data": old}),
        server.answer({**page, "data": [wanted], "has_more": False}),
    )
    server.on("GET /v1/files", server.answer({"object": "list", "data": [], "has_more": False}))
    resource = CompatibleResource(profile=profile, api_key="sk-me", base_url=server.base_url)

    found = resource.provider().find(KEY, since=datetime.fromtimestamp(now, UTC))

    assert server.count(listed) == pages
    assert (found is not None) == (pages == 2)


def test_a_list_in_no_order_asks_about_the_longest_waiting_first(world_of, a_shard):
    world = world_of("xerotier")
    ids = [
        world.provider.submit(a_shard(1), endpoint=ENDPOINT, key=f"{number:032x}").id
        for number in range(5)
    ]

    asked = [
        batch.id
        for batch in world.provider.poll(ids, since=world.now - timedelta(hours=1), among=ids[::-1])
    ]

    assert asked[0] == ids[0]
    assert set(asked) == set(ids)


def test_xerotier_takes_metadata_of_sixteen_kilobytes(world_of, a_shard):
    world = world_of("xerotier", metadata={"note": "x" * 16_000})

    assert world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY).key == KEY


def test_novitas_batches_are_known_by_the_names_of_their_files(world_of, a_shard):
    world = world_of("novita")
    since = world.now
    batch = world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)

    found = world.provider.find(KEY, since=since)

    assert (batch.key, found and found.id, found and found.status) == (
        None,
        batch.id,
        "VALIDATING",
    )


def test_progress_is_a_word_of_novitas(world_of, a_shard):
    world = world_of("novita")
    batch = world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)
    world.clock.advance(50)

    assert world.provider.cancel(batch.id).phase is Phase.OPEN
    other = world.provider.submit(a_shard(), endpoint=ENDPOINT, key=OTHER_KEY)
    world.clock.advance(50)
    running = world.polled(other.id)[other.id]
    assert (running.status, running.phase) == ("PROGRESS", Phase.OPEN)


@pytest.mark.parametrize(
    ("overrides", "oddities"),
    [
        ({}, {"times": "digits"}),
        ({}, {"times": "iso"}),
        ({}, {"errors": "list"}),
        ({}, {"errors": "text"}),
        ({}, {"counts": False, "usage": False}),
        ({}, {"text_bodies": True}),
        ({}, {"file_status": False}),
        ({}, {"metadata": "dropped"}),
        ({"metadata": None}, {"metadata": "refused"}),
        ({"listing": "any_order"}, {"listing": "shuffled"}),
        ({"listing": "whole"}, {"listing": "whole"}),
        ({"listing": "whole"}, {"listing": "array"}),
        ({"purpose": "batch-api"}, {"purpose": "batch-api"}),
        ({"upload_form": {"file_name": "{filename}"}}, {"names_file": True}),
        ({"marks_uploads": True}, {"equal_files": "refused"}),
        ({"waits_for_file": True}, {"pending_seconds": 3}),
        ({"drops_version": True}, {"versioned": False}),
        ({"batch_field": "data"}, {"created_in": "data"}),
        ({"has_file_list": False}, {"file_list": False}),
        ({"phases": {"DONE": "ended"}}, {"status_words": {"completed": "DONE"}}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_server_without_a_profile_goes_by_what_is_overridden(
    anybody, a_shard, overrides, oddities
):
    world = anybody(overrides, **oddities)
    since = world.now

    batch = world.provider.submit(a_shard(2), endpoint=ENDPOINT, key=KEY)
    world.clock.advance(100)
    ended = world.polled(batch.id)[batch.id]

    assert (ended.phase, ended.created_at >= since) == (Phase.ENDED, True)
    assert len(world.read(ended.output_file_id)) == 2
    found = world.provider.find(KEY, since=since)
    assert found is not None
    assert found.id == batch.id


def test_without_metadata_and_a_list_of_files_a_doubt_is_for_a_person(anybody, a_shard):
    world = anybody({"metadata": None, "has_file_list": False}, metadata="dropped", file_list=False)
    since = world.now
    world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)

    with pytest.raises(RequestRefused, match="look on the provider's own pages"):
        world.provider.find(KEY, since=since)


def test_a_file_that_is_never_read_is_given_up_and_taken_back(anybody, a_shard):
    world = anybody({"waits_for_file": True}, pending_seconds=10_000)
    since = world.now

    with pytest.raises(Exception, match="still reads it"):
        world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)

    assert list(world.provider.uploads(since=since)) == []


def test_a_larger_file_than_the_server_takes_is_refused_in_its_words(world_of, a_shard):
    world = world_of("deepinfra")
    world.sandbox.state.change_settings({"max_file_bytes": 100})

    with pytest.raises(RequestRefused, match=r"413.*too large"):
        world.provider.submit(a_shard(), endpoint=ENDPOINT, key=KEY)
