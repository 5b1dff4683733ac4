"""Ticks of the poll sensor against a sandbox and a clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

import batch_assets as ba
from batch_assets.domain.batch import BatchState
from batch_assets.ledger import Ledger
from batch_assets.operations import sensors
from batch_assets.sandbox import running_sandbox

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def named(request: dg.RunRequest, inference: str = "words") -> list[str]:
    """The partitions that a run request is for."""
    return request.run_config["ops"][f"{inference}__collect"]["config"]["partition_keys"]


# What a tick asks for


def test_a_tick_says_what_is_open(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.submit("a", "b")
    world.clock.advance(61)

    tick = world.tick()

    assert tick.run_requests == []
    assert tick.skip_message == "openai/127.0.0.1: 2 batches open, oldest 61 s"


def test_a_tick_says_so_where_nothing_is_open(world):
    world.declare(world.inference(world.corpus(a=2)))

    assert world.tick().skip_message == "no open batches"


def test_one_finished_partition_is_asked_for_by_its_key(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.run(partition="b")
    world.finish()

    [request] = world.tick().run_requests

    assert (request.job_name, request.partition_key) == ("words_collect", "b")
    assert named(request) == ["b"]


def test_many_finished_partitions_are_one_run_over_their_range(world):
    world.declare(world.inference(world.corpus(a=2, b=2, c=2, d=2)))
    world.submit("b", "d")
    world.finish()

    [request] = world.tick().run_requests

    assert named(request) == ["b", "c", "d"]
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("b", "d")
    assert request.partition_key is None


def test_a_run_passes_over_partitions_that_are_still_at_the_provider(world):
    world.declare(world.inference(world.corpus(a=2, b=2, c=2)))
    world.submit("a")
    world.submit("c")
    world.clock.advance(60)
    world.submit("b")
    world.clock.advance(50)

    [request] = world.tick().run_requests
    result = world.launch(request)

    assert named(request) == ["a", "c"]
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("a", "c")
    assert result.success
    assert world.materialized("results") == {"a", "c"}


def test_a_run_never_ranges_over_a_partition_that_has_its_results(world):
    """Dagster would paint it red where the run fails."""
    world.declare(world.inference(world.corpus(a=2, b=2, c=2)))
    world.submit("b")
    world.collect()
    world.submit("a")
    world.submit("c")
    world.finish()

    requests = world.tick().run_requests

    assert [named(request) for request in requests] == [["a"], ["c"]]


def test_a_range_is_no_wider_than_a_run_of_a_backfill(world):
    """Dagster writes three events for each partition of a range before the run begins."""
    width = ba.PartitionsPerRun(collect=2)
    corpus = world.corpus(a=1, b=1, c=1, d=1, e=1)
    world.declare(world.inference(corpus, partitions_per_run=width))
    world.submit("a", "e")
    world.finish()

    requests = world.tick().run_requests

    assert [named(request) for request in requests] == [["a", "b"], ["c", "d"], ["e"]]


def test_a_tick_asks_for_no_more_runs_than_it_can_launch(world, monkeypatch):
    monkeypatch.setattr(sensors, "RUNS_PER_TICK", 2)
    width = ba.PartitionsPerRun(collect=1)
    world.declare(world.inference(world.corpus(a=1, b=1, c=1), partitions_per_run=width))
    world.submit("a", "c")
    world.finish()

    first = world.tick().run_requests
    for request in first:
        world.launch(request)
    second = world.tick().run_requests

    assert [named(request) for request in first + second] == [["a"], ["b"], ["c"]]


def test_two_inferences_share_one_sensor_and_get_a_run_each(world):
    words = world.inference(world.corpus(a=2))
    others = world.inference(world.corpus("others", x=2), name="others")
    defs = world.declare(words, others)
    world.run("requests", "batches", partition="a")
    world.run("requests", "batches", partition="x", inference="others")
    world.finish()

    requests = world.tick().run_requests

    assert [sensor.name for sensor in defs.sensors] == ["batch_poll", "batch_beside_dagster"]
    assert [request.job_name for request in requests] == ["words_collect", "others_collect"]
    assert all(world.launch(request).success for request in requests)
    assert world.materialized("results", "others") == {"x"}


def test_what_was_collected_is_not_asked_for_again(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    world.collect()

    assert world.tick().run_requests == []


def test_partitions_of_another_code_location_are_left_to_it(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    world.declare(world.inference(world.corpus("others", x=2), name="others"))
    world.finish()

    assert world.tick().run_requests == []


def test_a_partition_that_left_the_corpus_is_not_asked_for(world):
    corpus = world.corpus(a=2, b=2)
    world.declare(world.inference(corpus))
    world.submit("a", "b")
    (world.folder / "corpus" / "words" / "a.parquet").unlink()
    world.declare(world.inference(corpus))
    world.finish()

    [request] = world.tick().run_requests

    assert named(request) == ["b"]


def test_what_an_earlier_request_set_bought_is_collected_too(world):
    corpus = world.corpus(a=2)
    world.declare(world.inference(corpus))
    world.submit("a")
    world.clock.advance(60)
    world.declare(world.inference(corpus, prompt=ba.Prompt(user="Again: {{ word }}")))
    world.submit("a")
    world.clock.advance(50)

    [request] = world.tick().run_requests
    result = world.launch(request)

    old, new = world.ledger.batches(partition=("words", "a"))
    assert result.success
    assert (old.state, new.state) == (BatchState.COLLECTED, BatchState.SUBMITTED)
    assert world.materialized("results") == set()


# Waiting for room


def with_room_for(world, batches: int) -> ba.OpenAIResource:
    return ba.OpenAIResource(
        api_key="sk-test", base_url=world.sandbox.base_url, max_open_batches=batches
    )


def test_what_waits_for_room_is_sent_when_the_budget_is_free(world):
    world.declare(world.inference(world.corpus(a=2, b=2)), openai=with_room_for(world, 1))
    world.submit("a", "b")
    before = world.tick()
    world.finish()

    [request] = world.tick().run_requests
    result = world.launch(request)

    assert "1 batch open, oldest 0 s; 1 waiting for budget; next words/b" in before.skip_message
    assert named(request) == ["a", "b"]
    assert result.success
    assert world.sent() == 2


def test_no_more_partitions_are_asked_to_send_than_there_is_room_for(world):
    world.declare(world.inference(world.corpus(a=2, b=2, c=2, d=2)), openai=with_room_for(world, 1))
    world.submit("a", "d")
    world.finish()

    [request] = world.tick().run_requests

    assert named(request) == ["a", "b"]


def test_a_batch_that_the_provider_refused_for_now_waits_for_its_time(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.script.refuse("batches.create", 429)
    world.submit("a")

    tick = world.tick()
    world.clock.advance(60)
    [later] = world.tick().run_requests

    assert tick.run_requests == []
    assert "no batches open; 1 waiting for room at the provider (from " in tick.skip_message
    assert named(later) == ["a"]


def test_what_a_run_is_sending_is_left_to_that_run(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.script.refuse("batches.create", 429)
    world.submit("a")
    world.clock.advance(31)
    an_unfinished_run(world, "words_submit", partition="a")

    assert world.tick().run_requests == []


# Dagster's list of runs


def an_unfinished_run(
    world,
    job: str | None = None,
    *,
    partition: str | None = None,
    between: tuple[str, str] | None = None,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    assets: tuple[str, ...] = (),
    config: Any = None,
) -> dg.DagsterRun:
    """A run in Dagster's list, as the daemon would have made it; of no job, the implicit one."""
    if job is None:
        definition = world.defs.resolve_implicit_global_asset_job_def()
    else:
        definition = world.defs.resolve_job_def(job)
    selection = frozenset(world.key(name) for name in assets) or None
    tags = {"dagster/partition": partition} if partition else {}
    if between:
        tags = {RANGE_START: between[0], RANGE_END: between[1]}
    return world.instance.create_run_for_job(
        definition, tags=tags, status=status, asset_selection=selection, run_config=config
    )


UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def a_failed_run(world, partition: str) -> None:
    """A collecting run that fails at the time of the clock."""
    run = an_unfinished_run(world, "words_collect", partition=partition)
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.RUN_FAILURE.value, job_name="words_collect"
    )
    now = datetime.fromtimestamp(world.clock.now(), UTC)
    world.instance.run_storage.handle_run_event(run.run_id, event, now)


@pytest.mark.parametrize("status", UNFINISHED)
def test_a_partition_in_an_unfinished_run_is_not_asked_for_again(world, status):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.submit("a", "b")
    world.finish()
    an_unfinished_run(world, "words_collect", partition="a", status=status)

    [request] = world.tick().run_requests

    assert named(request) == ["b"]


def test_a_run_of_the_sensor_holds_the_partitions_it_names_and_no_others(world):
    world.declare(world.inference(world.corpus(a=2, b=2, c=2)))
    world.submit("a", "c")
    world.finish()
    config = {"ops": {"words__collect": {"config": {"partition_keys": ["a", "c"]}}}}
    an_unfinished_run(world, "words_collect", between=("a", "c"), config=config)

    [request] = world.tick().run_requests

    assert named(request) == ["b"]


@pytest.mark.parametrize("assets", [("raw_outputs",), ("results",), ("bundle",)])
def test_a_range_run_of_the_implicit_job_holds_its_whole_range(world, assets):
    world.declare(world.inference(world.corpus(a=2, b=2, c=2)))
    world.submit("a", "c")
    world.finish()
    an_unfinished_run(world, between=("a", "b"), assets=assets)

    [request] = world.tick().run_requests

    assert named(request) == ["c"]


@pytest.mark.filterwarnings("ignore:Asset job mine materializes assets with varying:UserWarning")
def test_a_run_of_a_job_of_the_users_own_holds_its_partition(world):
    inference = world.inference(world.corpus(a=2, b=2))
    world.declare(inference)
    mine = dg.define_asset_job("mine", selection=dg.AssetSelection.groups("words"))
    world.load(world.defs_without_sensor(), dg.Definitions(jobs=[mine]))
    world.submit("a", "b")
    world.finish()
    an_unfinished_run(world, "mine", partition="a")

    [request] = world.tick().run_requests

    assert named(request) == ["b"]


def test_a_run_of_other_assets_holds_nothing(world):
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a"]))
    def other() -> None: ...

    world.declare(world.inference(world.corpus(a=2)), assets=[other])
    mine = dg.define_asset_job("mine", selection=dg.AssetSelection.assets(other))
    world.load(world.defs_without_sensor(), dg.Definitions(jobs=[mine]))
    world.submit("a")
    world.finish()
    an_unfinished_run(world, "mine", partition="a")

    [request] = world.tick().run_requests

    assert named(request) == ["a"]


def test_a_failed_run_is_not_repeated_at_once(world):
    world.sandbox.state.change_settings({"latency": 0})
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    [request] = world.tick().run_requests
    world.script.refuse("files.content", 500, 500, 500)

    result = world.launch(request)

    tick = world.tick()
    assert not result.success
    assert tick.run_requests == []
    assert tick.skip_message == "words: 1 partition rests after a failed run"


def test_a_partition_whose_batch_was_refused_is_said_to_wait_for_a_person(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.script.refuse("batches.create", 400)
    world.run("requests", "batches", partition="a")

    tick = world.tick()

    assert tick.run_requests == []
    assert tick.skip_message == (
        "words: 1 partition has batches that the provider refused; "
        "materialize their batches again once that is put right"
    )


def test_partitions_of_failed_runs_rest_longer_after_each_failure_and_come_back(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    world.finish()

    rests = []
    for _ in range(3):
        a_failed_run(world, "a")
        rest = 0
        while not world.tick().run_requests:
            world.clock.advance(30)
            rest += 30
        rests.append(rest)

    assert rests == [60, 120, 240]


def test_failures_of_long_ago_are_forgotten(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    world.finish()
    for _ in range(5):
        a_failed_run(world, "a")
    world.clock.advance(timedelta(hours=6, minutes=1).total_seconds())
    a_failed_run(world, "a")
    world.clock.advance(61)

    [request] = world.tick().run_requests

    assert named(request) == ["a"]


def test_a_partition_at_rest_does_not_keep_the_others(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.submit("a", "b")
    world.finish()
    a_failed_run(world, "a")

    [request] = world.tick().run_requests

    assert named(request) == ["b"]


# Trouble


def test_a_provider_that_is_down_is_the_reason_of_the_skip(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    world.finish()
    world.script.refuse("batches.list", 503, 503, 503)

    tick = world.tick()

    assert tick.run_requests == []
    assert tick.skip_message.startswith("openai: ")
    assert "503" in tick.skip_message
    assert tick.skip_message.endswith("1 batch open, oldest 100 s")


def test_no_run_is_started_that_would_meet_a_provider_that_is_down(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.submit("a")
    world.finish()
    [_] = world.tick().run_requests
    world.submit("b")
    world.script.refuse("batches.list", 503, 503, 503)

    assert world.tick().run_requests == []


def test_a_provider_that_is_down_does_not_keep_another_waiting(world):
    words = world.inference(world.corpus(a=2))
    others = world.inference(world.corpus("others", x=2), name="others", provider="second")
    with running_sandbox(clock=world.clock, latency=100.0) as up:
        second = ba.OpenAIResource(api_key="sk-test", base_url=up.base_url, account="second")
        world.declare(words, others, second=second)
        world.run("requests", "batches", partition="a")
        world.run("requests", "batches", partition="x", inference="others")
        world.finish()
        world.script.refuse("batches.list", 503, 503, 503)

        [request] = world.tick().run_requests

    assert request.job_name == "others_collect"


def test_a_batch_that_the_provider_does_not_know_keeps_no_other_waiting(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.submit("a")
    world.sandbox.state.reset()
    world.submit("b")
    world.finish()

    [request] = world.tick().run_requests

    assert named(request) == ["b"]


def test_a_resource_that_cannot_be_made_fails_the_tick_with_its_reason(world):
    wrong = ba.OpenAIResource(api_key="sk-test", base_url="nowhere")
    world.declare(world.inference(world.corpus(a=2)), openai=wrong)

    with pytest.raises(dg.DagsterResourceFunctionError, match="openai") as caught:
        world.tick()

    assert "base_url must be an http or https address" in str(caught.value.__cause__)


def test_a_batch_whose_process_died_is_adopted_by_a_tick(world):
    """It was sent, and its process died before it could write that down."""

    class Dying(Ledger):
        def record(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("killed")

    inference = world.inference(world.corpus(a=2))
    world.declare(inference, batch_ledger=Dying.open(world.ledger_url, world.ledger.clock))
    world.run("requests", "batches", partition="a")
    [doubtful] = world.ledger.batches()
    world.declare(inference)
    world.clock.advance(61)

    world.tick()

    [batch] = world.ledger.batches()
    assert (doubtful.state, batch.state) == (BatchState.RESERVED, BatchState.SUBMITTED)
    assert batch.provider_id is not None
    assert world.sent() == 1
