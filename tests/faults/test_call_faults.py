"""Whatever becomes of a call, the work it asked for is done once and the partition comes home."""

import pytest
from stage_world import LATENCY

from batch_assets.domain.batch import BatchState
from batch_assets.domain.errors import ProviderUnavailable, RequestRefused
from batch_assets.domain.shard import Limits
from batch_assets.sandbox import (
    ConnectionCut,
    HalfDownload,
    Hang,
    HtmlPage,
    HttpError,
    LostReply,
    NotUtf8,
    RateLimited,
    ServerError,
    TruncatedDownload,
)
from batch_assets.stages.control import give_up, offer_again
from batch_assets.stages.dispatch import dispatch
from batch_assets.stages.poll import poll

TWO_ROWS = Limits(requests=2, bytes=10**6)
#: Real seconds of silence after which a call counts as lost, in tests of silence.
SOON = 0.3


def timeout_for(fault):
    return {"timeout_seconds": SOON} if isinstance(fault, Hang) else {}


# The creation


#: What leaves a doubt, with whether the batch exists.
DOUBTFUL = [
    (LostReply(), True),
    (Hang(work_done=True), True),
    (Hang(), False),
    (ConnectionCut(), False),
    (ServerError(500), False),
    (ServerError(503), False),
    (ServerError(500, work_done=True), True),
    (ServerError(502, work_done=True), True),
    (HtmlPage(), False),
    (HtmlPage(work_done=True), True),
    (HtmlPage(502), False),
    (NotUtf8(work_done=True), True),
    (HttpError(408, work_done=True), True),
]


@pytest.mark.parametrize(("fault", "exists"), DOUBTFUL, ids=repr)
def test_a_creation_in_doubt_is_looked_up_and_never_repeated_blindly(
    a_world, faults, fault, exists
):
    """Row 22: every retry of a create makes another batch; the SDK is told to make none."""
    faults.calls("batches.create", fault)
    world = a_world(4, max_retries=2, **timeout_for(fault))

    assert world.submit().sent == 0

    assert faults.called("batches.create") == 1
    assert world.batch.state is BatchState.RESERVED
    assert world.ledger.held(world.batch.account).batches == 1
    world.bring_home()
    world.judged("ok", executed=4)
    assert faults.called("batches.create") == (1 if exists else 2)
    assert world.executions["batches_created"] == 1
    assert world.batch.attempt == 1


def test_a_batch_in_doubt_is_not_offered_while_the_provider_cannot_be_asked(a_world, faults):
    faults.calls("batches.create", LostReply())
    faults.calls("batches.list", ServerError(503), times=20)
    world = a_world(4)
    world.send()

    for _ in range(5):
        assert world.tick() is None
        assert world.states == ["reserved"]

    world.bring_home()
    world.judged("ok", executed=4)
    assert world.executions["batches_created"] == 1


def test_every_reply_of_a_creation_may_be_lost(a_world, faults):
    faults.calls("batches.create", LostReply(), times=None)
    world = a_world(8, limits=TWO_ROWS)

    world.carry()

    world.judged("ok", executed=8)
    assert world.executions["batches_created"] == 4


def test_a_create_that_fails_orphans_no_upload(a_world, faults):
    """Row 23: a failed create leaves no billed file behind."""
    faults.calls("batches.create", HttpError(429, "Busy."))
    faults.calls("files.delete", ServerError(500))
    world = a_world(4)
    world.send()
    uploads, used = world.at_provider()
    assert (uploads.total(), used.total()) == (1, 0)

    world.bring_home()

    world.judged("ok", executed=4)
    assert world.executions["files_uploaded"] == 2


# Uploads, lists and downloads


PASSING = [
    ConnectionCut(),
    LostReply(),
    Hang(),
    ServerError(500),
    ServerError(503),
    RateLimited(retry_after=2),
    RateLimited(retry_after=None),
    HttpError(408),
    HtmlPage(502),
]


@pytest.mark.parametrize(
    "route", ["files.create", "batches.list", "files.content", "files.retrieve", "files.list"]
)
@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_a_call_that_fails_for_now_loses_nothing_and_buys_nothing(a_world, faults, route, fault):
    world = a_world(4, limits=TWO_ROWS, **timeout_for(fault))
    if route == "files.list":
        # Only a batch in doubt, or a sweep, asks for files; both come after the creation.
        faults.calls("files.create", LostReply())
    hit = faults.calls(route, fault)

    world.carry()

    assert hit.hits == 1 or route == "files.list"
    world.judged("ok", executed=4)
    assert world.executions["batches_created"] == 2


@pytest.mark.parametrize("route", ["batches.list", "files.content", "files.create"])
def test_a_call_waits_as_long_as_the_provider_asks_and_goes_on(a_world, faults, route):
    """429 with Retry-After, on a call that may be repeated: the SDK waits and asks once more."""
    hit = faults.calls(route, RateLimited(retry_after=0.01), times=2)
    world = a_world(4, max_retries=2)

    world.submit()
    world.poll(after=LATENCY)
    world.advance()

    assert hit.hits == 2
    world.judged("ok", executed=4)


@pytest.mark.parametrize("status", [500, 502])
def test_a_file_that_cannot_be_had_for_a_long_time_blocks_no_other(a_world, faults, status):
    """Row 17: the content endpoint returns 502 again and again."""
    faults.calls("files.content", ServerError(status), times=6, after=1)
    world = a_world(6, limits=TWO_ROWS)
    world.send()

    world.tick()

    assert sorted(world.states) == ["collected", "ended", "ended"]
    world.bring_home()
    world.judged("ok", executed=6)
    assert world.executions["batches_created"] == 3


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_download_that_breaks_off_is_had_again_from_its_beginning(a_world, faults, share):
    """Row 17: half a file is no file, and no answer in it counts as missing."""
    faults.calls("files.content", TruncatedDownload(share), times=3)
    world = a_world(10)

    world.carry()

    world.judged("ok", executed=10)
    assert faults.called("files.content") == 4


#: Replies that look whole, with a status of 200, and are not the file.
NOT_THE_FILE = [HalfDownload(0.0), HalfDownload(0.5), HalfDownload(0.99), HtmlPage(), NotUtf8()]


@pytest.mark.parametrize("fault", NOT_THE_FILE, ids=repr)
def test_a_download_that_only_looks_whole_is_had_again_and_nothing_is_bought_again(
    a_world, faults, fault
):
    """Row 17: the provider says how long its file is; less than that is not the file."""
    faults.calls("files.content", fault, times=2)
    world = a_world(10)

    world.carry()

    world.judged("ok", executed=10)
    assert world.executions["batches_created"] == 1


def test_a_server_that_does_not_describe_its_files_is_believed(a_world, faults):
    faults.calls("files.retrieve", HttpError(404), times=None)
    world = a_world(4)

    world.carry()

    world.judged("ok", executed=4)


def test_a_provider_that_is_down_for_a_day_costs_nothing(a_world, faults):
    world = a_world(4)
    world.send()
    faults.calls("*", ServerError(503), times=None)
    for _ in range(24):
        assert world.tick(3_600) is None
    assert world.states == ["submitted"]
    faults.clear()

    world.bring_home()

    world.judged("ok", executed=4)
    assert world.executions["batches_created"] == 1


def test_a_batch_that_the_list_leaves_out_is_asked_for_by_its_id(a_world, faults):
    faults.calls("batches.list", HttpError(404), times=None)
    world = a_world(4)
    world.send()

    world.bring_home()

    world.judged("ok", executed=4)
    assert faults.called("batches.retrieve") > 0


def test_a_failed_poll_forgets_nothing_that_was_said(a_world, faults):
    """Row 28: an error on the way leaves the batch in sight, and never a second one."""
    faults.calls("batches.list", ServerError(500), times=None)
    world = a_world(4)
    world.send()
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            poll(world.deployment)
        assert dispatch(world.deployment, world.request_set).sent == 0

    assert (world.states, world.progress.open) == (["submitted"], 1)
    faults.clear()
    world.bring_home()
    world.judged("ok", executed=4)


@pytest.mark.parametrize("decide", [give_up, offer_again])
def test_a_file_that_the_provider_has_no_more_is_ended_by_a_person(a_world, faults, decide):
    """Its answers are gone: whether they are bought again is for a person to say."""
    faults.calls("files.content", HttpError(404, "No such file."), times=3)
    world = a_world(4, limits=TWO_ROWS)
    world.send()
    for _ in range(2):
        with pytest.raises(RequestRefused, match="No such file"):
            world.tick()
    [lost] = world.ledger.batches(states={BatchState.ENDED})

    decide(world.ledger, lost.id, owner="Ann")

    if decide is give_up:
        assert world.tick() is None
        assert world.submit().sent == 1
    world.bring_home()
    world.judged("ok", executed=6, most=2, unseen=2)
