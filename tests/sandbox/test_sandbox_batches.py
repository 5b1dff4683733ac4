"""The life of a batch, as OpenAI's Batch API shows it. LATENCY is split 10 % : 80 % : 10 %."""

import openai
import pytest

from batch_assets.sandbox import ManualClock

DAY = 24 * 3600


def times(batch):
    """The timestamps that are set, as seconds after creation."""
    names = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling")
    stamps = {name: getattr(batch, f"{name}_at") for name in (*names, "cancelled")}
    return {name: at - batch.created_at for name, at in stamps.items() if at is not None}


def counts(batch):
    return batch.request_counts.completed, batch.request_counts.failed, batch.request_counts.total


def test_a_new_batch_is_being_validated(submit, some_requests, clock: ManualClock):
    batch = submit(some_requests(2), metadata={"key": "value"})
    assert batch.status == "validating"
    assert batch.created_at == int(clock.now())
    assert batch.expires_at == batch.created_at + DAY
    assert (batch.model, batch.errors, batch.output_file_id, batch.usage) == (None,) * 4
    assert (counts(batch), times(batch)) == ((0, 0, 0), {})
    assert batch.metadata == {"key": "value"}


@pytest.mark.parametrize(
    ("after", "completed"), [(100, 0), (300, 2), (500, 5), (899, 9)], ids=lambda value: str(value)
)
def test_requests_are_completed_while_a_batch_is_in_progress(
    client, submit, some_requests, clock, after, completed
):
    batch = submit(some_requests(10))
    clock.advance(after)
    batch = client.batches.retrieve(batch.id)
    assert (batch.status, batch.model) == ("in_progress", "gpt-4.1-mini")
    assert counts(batch) == (completed, 0, 10)
    assert times(batch) == {"in_progress": 100}


def test_a_finalizing_batch_is_done_but_shows_no_file(client, submit, some_requests, clock):
    batch = submit(some_requests(10))
    clock.advance(950)
    batch = client.batches.retrieve(batch.id)
    assert batch.status == "finalizing"
    assert counts(batch) == (10, 0, 10)
    assert times(batch) == {"in_progress": 100, "finalizing": 900}
    assert (batch.output_file_id, batch.usage) == (None, None)


def test_a_completed_batch_has_its_output_and_its_usage(submit, finish, some_requests):
    batch = finish(submit(some_requests(10)))
    assert batch.status == "completed"
    assert times(batch) == {"in_progress": 100, "finalizing": 900, "completed": 1000}
    assert batch.output_file_id is not None
    assert batch.error_file_id is None
    assert batch.usage.total_tokens == batch.usage.input_tokens + batch.usage.output_tokens > 0
    assert batch.usage.input_tokens_details.cached_tokens == 0
    assert batch.usage.output_tokens_details.reasoning_tokens == 0


def test_failed_requests_are_counted_apart(submit, finish, a_request, some_requests):
    batch = finish(submit([*some_requests(2), a_request("bad", creativity=1)]))
    assert (batch.status, counts(batch)) == ("completed", (2, 1, 3))


def test_a_batch_whose_requests_all_fail_is_completed_without_output(submit, finish, a_request):
    batch = finish(submit([a_request(creativity=1)]))
    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert batch.error_file_id is not None
    assert batch.usage.total_tokens == 0


def test_progress_depends_on_the_time_and_not_on_how_often_one_asks(
    client, submit, some_requests, clock
):
    watched, unwatched = submit(some_requests(10)), submit(some_requests(10))
    for _ in range(10):
        clock.advance(100)
        client.batches.retrieve(watched.id)
    first, second = client.batches.retrieve(watched.id), client.batches.retrieve(unwatched.id)
    assert (first.status, times(first)) == (second.status, times(second))


def test_a_batch_slower_than_a_day_expires_with_what_it_has(
    sandbox, client, submit, some_requests, clock, lines_of
):
    sandbox.state.change_settings({"latency": 2.0 * DAY})
    batch = submit(some_requests(10))
    clock.advance(DAY)
    batch = client.batches.retrieve(batch.id)
    assert (batch.status, counts(batch)) == ("expired", (5, 0, 10))
    assert times(batch) == {"in_progress": DAY // 5, "expired": DAY}
    assert len(lines_of(batch.output_file_id)) == 5
    assert {
        (line["response"], line["error"]["code"]) for line in lines_of(batch.error_file_id)
    } == {(None, "batch_expired")}


def test_a_cancelled_batch_keeps_what_it_has(client, submit, some_requests, clock, lines_of):
    batch = submit(some_requests(10))
    clock.advance(500)
    batch = client.batches.cancel(batch.id)
    assert (batch.status, counts(batch)) == ("cancelling", (5, 0, 10))
    clock.advance(60)
    batch = client.batches.retrieve(batch.id)
    assert (batch.status, counts(batch)) == ("cancelled", (5, 0, 10))
    assert times(batch) == {"in_progress": 100, "cancelling": 500, "cancelled": 560}
    answered, left = lines_of(batch.output_file_id), lines_of(batch.error_file_id)
    assert {line["error"]["code"] for line in left} == {"batch_cancelled"}
    assert sorted(line["custom_id"] for line in answered + left) == [f"r{n}" for n in range(10)]


def test_a_batch_cancelled_before_it_began_has_no_output(client, submit, some_requests, clock):
    batch = client.batches.cancel(submit(some_requests(3)).id)
    clock.advance(60)
    batch = client.batches.retrieve(batch.id)
    assert (batch.status, batch.output_file_id) == ("cancelled", None)
    assert batch.error_file_id is not None


def test_cancelling_twice_changes_nothing(client, submit, some_requests, clock):
    batch = client.batches.cancel(submit(some_requests(1)).id)
    clock.advance(10)
    assert client.batches.cancel(batch.id).cancelling_at == batch.cancelling_at


def test_a_completed_batch_cannot_be_cancelled(client, submit, finish, some_requests):
    batch = finish(submit(some_requests(1)))
    with pytest.raises(openai.ConflictError, match="with status 'completed'"):
        client.batches.cancel(batch.id)


@pytest.mark.parametrize("call", ["retrieve", "cancel"])
def test_an_unknown_batch_is_not_found(client, call):
    with pytest.raises(openai.NotFoundError, match="No batch found with id 'batch_unknown'"):
        getattr(client.batches, call)("batch_unknown")


def test_batches_are_listed_newest_first_and_page_by_page(client, submit, some_requests):
    ids = [submit(some_requests(1)).id for _ in range(5)]
    page = client.batches.list(limit=2)
    assert [batch.id for batch in page.data] == [ids[4], ids[3]]
    assert page.has_more
    assert [batch.id for batch in client.batches.list(limit=2)] == ids[::-1]


def test_a_page_has_twenty_batches_unless_told_otherwise(client, upload, some_requests):
    file = upload(some_requests(1))
    for _ in range(21):
        client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    page = client.batches.list()
    assert (len(page.data), page.has_more) == (20, True)


def test_a_listed_batch_is_as_far_as_a_retrieved_one(client, submit, finish, some_requests):
    batch = finish(submit(some_requests(1)))
    assert client.batches.list().data == [batch]


@pytest.mark.parametrize("limit", [0, 101])
def test_a_page_has_one_to_a_hundred_batches(client, limit):
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.list(limit=limit)
    assert refused.value.param == "limit"


@pytest.mark.parametrize(
    ("metadata", "param", "code"),
    [
        ({f"k{n}": "v" for n in range(17)}, "metadata", "object_above_max_properties"),
        ({"k" * 65: "v"}, "metadata." + "k" * 65, "property_name_above_max_length"),
        ({"k": "v" * 513}, "metadata.k", "string_above_max_length"),
        ({"k": ["v"]}, "metadata.k", "invalid_type"),
    ],
    ids=["17 pairs", "65 characters", "513 characters", "an array"],
)
def test_metadata_beyond_its_limits_is_refused(submit, some_requests, metadata, param, code):
    with pytest.raises(openai.BadRequestError) as refused:
        submit(some_requests(1), metadata=metadata)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_metadata_at_its_limits_is_kept(submit, some_requests):
    metadata = {f"{n:064}": "v" * 512 for n in range(16)}
    assert submit(some_requests(1), metadata=metadata).metadata == metadata


@pytest.mark.parametrize(
    ("param", "value"),
    [("endpoint", "/v1/unknown"), ("completion_window", "48h"), ("endpoint", 1)],
)
def test_an_order_the_api_does_not_know_is_refused(client, upload, some_requests, param, value):
    order = {
        "input_file_id": upload(some_requests(1)).id,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(**order | {param: value})
    assert refused.value.param == param


def test_a_changed_latency_holds_for_later_batches_only(
    sandbox, client, submit, some_requests, clock
):
    slow = submit(some_requests(1))
    sandbox.state.change_settings({"latency": 10.0})
    fast = submit(some_requests(1))
    clock.advance(10)
    assert client.batches.retrieve(slow.id).status == "validating"
    assert client.batches.retrieve(fast.id).status == "completed"
