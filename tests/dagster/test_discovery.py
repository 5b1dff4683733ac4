"""The discovery sensor: each file is registered and submitted once, wherever a tick was stopped."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from factories import a_corpus, a_table

import batch_assets as ba
from batch_assets.corpus import Discovered, FileCorpus
from batch_assets.corpus.composite import CompositeCorpus
from batch_assets.domain.errors import DeclarationError
from batch_assets.operations import discovery
from batch_assets.operations.runs import RANGE_END, RANGE_START

SETTLED = discovery.SETTLED_AFTER.total_seconds() + 1


def put(world: Any, *keys: str, words: int = 2) -> FileCorpus:
    """Files that nobody writes to any more."""
    corpus = world.corpus(**dict.fromkeys(keys, words))
    for key in keys:
        at = world.clock.now() - SETTLED
        os.utime(world.folder / "corpus" / "words" / f"{key}.parquet", (at, at))
    return replace(corpus, partition_by=Discovered())


def put_broken(world: Any, key: str) -> None:
    """A file that is no Parquet."""
    path = world.folder / "corpus" / "words" / f"{key}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half of a fi")
    at = world.clock.now() - SETTLED
    os.utime(path, (at, at))


def discover(world: Any) -> Any:
    """One tick of the discovery sensor."""
    sensor = world.defs.resolve_sensor_def("words_discovery")
    with dg.build_sensor_context(
        instance=world.instance, definitions=world.defs, resources=dict(world.defs.resources or {})
    ) as context:
        return sensor.evaluate_tick(context)


def ranges(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    """First and last partition of each run."""
    return [
        (key, key)
        if (key := request.partition_key)
        else (request.tags[RANGE_START], request.tags[RANGE_END])
        for request in requests
    ]


def registered(world: Any) -> list[str]:
    return list(world.instance.get_dynamic_partitions("words_partitions"))


def launch(world: Any, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """The run that a sensor asked for; in a process, Dagster finds dynamic partitions by tag."""
    return world.launch(dg.RunRequest(job_name=request.job_name, tags=dict(request.tags)))


def a_run(world: Any, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """The requested run, as Dagster lists it before it runs or instead of its running."""
    job = world.defs.resolve_job_def("words_submit")
    return world.instance.create_run_for_job(job, tags=dict(request.tags), status=status)


def a_failed_run(world: Any, request: dg.RunRequest) -> None:
    """The requested run, that failed at the time of the clock."""
    run = a_run(world, request, dg.DagsterRunStatus.STARTED)
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_FAILURE.value, job_name="words_submit")
    now = datetime.fromtimestamp(world.clock.now(), UTC)
    world.instance.run_storage.handle_run_event(run.run_id, event, now)


# New files


def test_new_files_are_registered_and_submitted_in_one_range_run(world):
    world.declare(world.inference(put(world, "a", "b", "c")))

    [request] = discover(world).run_requests
    result = launch(world, request)

    assert registered(world) == ["a", "b", "c"]
    assert ranges([request]) == [("a", "c")]
    assert result.success
    assert world.materialized("batches") == {"a", "b", "c"}
    assert world.sent() == 3


def test_the_poll_sensor_collects_discovered_partitions_in_one_range_run(world):
    world.declare(world.inference(put(world, "b", "c", "d")))
    launch(world, discover(world).run_requests[0])
    put(world, "a")
    launch(world, discover(world).run_requests[0])
    world.finish()

    [request] = world.tick().run_requests
    result = launch(world, request)

    assert ranges([request]) == [("b", "a")]
    assert result.success
    assert world.materialized("results") == {"a", "b", "c", "d"}


def test_files_that_come_later_get_a_run_of_their_own(world):
    world.declare(world.inference(put(world, "b", "d")))
    launch(world, discover(world).run_requests[0])
    put(world, "a", "c")

    requests = discover(world).run_requests

    assert registered(world) == ["b", "d", "a", "c"]
    assert ranges(requests) == [("a", "c")]


def test_a_tick_registers_no_more_than_it_requests(world, monkeypatch):
    monkeypatch.setattr(discovery, "RUNS_PER_TICK", 2)
    width = ba.PartitionsPerRun(submit=2)
    world.declare(world.inference(put(world, "a", "b", "c", "d", "e"), partitions_per_run=width))

    first = discover(world).run_requests
    before = registered(world)
    for request in first:
        a_run(world, request, dg.DagsterRunStatus.NOT_STARTED)
    second = discover(world).run_requests

    assert ranges(first) == [("a", "b"), ("c", "d")]
    assert before == ["a", "b", "c", "d"]
    assert ranges(second) == [("e", "e")]


def test_an_empty_folder_is_no_trouble(world):
    (world.folder / "corpus" / "words").mkdir(parents=True)
    path = str(world.folder / "corpus" / "words")
    world.declare(world.inference(FileCorpus(path=path, item_id="id", partition_by=Discovered())))

    tick = discover(world)

    assert tick.run_requests == []
    assert tick.skip_message == "0 files, 0 of them submitted; none new"


def test_a_file_that_is_being_written_is_taken_when_it_rests(world):
    world.declare(world.inference(put(world, "a")))
    late = world.folder / "corpus" / "words" / "b.parquet"
    a_corpus(late.parent, 1, key="b")
    os.utime(late, (world.clock.now(), world.clock.now()))

    first = discover(world).run_requests
    a_run(world, first[0], dg.DagsterRunStatus.NOT_STARTED)
    tick = discover(world)
    world.clock.advance(SETTLED)
    second = discover(world).run_requests

    assert ranges(first) == [("a", "a")]
    assert "1 new ones for a later tick" in tick.skip_message
    assert ranges(second) == [("b", "b")]


def test_a_partition_of_several_sources_rests_when_all_of_them_do(world):
    old, new = world.folder / "old", world.folder / "new"
    for folder, age in ((old, 10 * SETTLED), (new, 0)):
        a_corpus(folder, 1, key="a")
        at = world.clock.now() - age
        os.utime(folder / "a.parquet", (at, at))
    sources = {
        name: FileCorpus(path=str(world.folder / name), item_id="id", partition_by=Discovered())
        for name in ("old", "new")
    }
    world.declare(world.inference(CompositeCorpus(sources=sources)))

    first = discover(world).run_requests
    world.clock.advance(SETTLED)
    second = discover(world).run_requests

    assert first == []
    assert ranges(second) == [("a", "a")]


def test_a_file_whose_name_cannot_be_a_key_keeps_no_other_out(world):
    world.declare(world.inference(put(world, "a")))
    a_corpus(world.folder / "corpus" / "words", 1, key="x...y")

    [request] = discover(world).run_requests
    a_run(world, request, dg.DagsterRunStatus.NOT_STARTED)
    tick = discover(world)

    assert ranges([request]) == [("a", "a")]
    assert "x...y.parquet" in tick.skip_message
    assert "rename the file" in tick.skip_message


# Nothing twice


def test_what_was_registered_and_never_requested_is_requested(world):
    """A tick that was killed after registering, or whose runs were never launched."""
    world.declare(world.inference(put(world, "a", "b")))
    discover(world)

    requests = discover(world).run_requests

    assert ranges(requests) == [("a", "b")]


@pytest.mark.parametrize(
    "status",
    [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
)
def test_what_a_run_is_going_to_submit_is_not_requested_again(world, status):
    world.declare(world.inference(put(world, "a", "b")))
    a_run(world, discover(world).run_requests[0], status)

    tick = discover(world)

    assert tick.run_requests == []
    assert "2 in the hands of runs" in tick.skip_message


def test_what_was_submitted_is_not_requested_again(world):
    world.declare(world.inference(put(world, "a", "b")))
    launch(world, discover(world).run_requests[0])

    tick = discover(world)

    assert tick.run_requests == []
    assert tick.skip_message == "2 files, 2 of them submitted; none new"


def test_a_file_that_changed_after_it_was_submitted_is_left_to_a_person(world):
    world.declare(world.inference(put(world, "a")))
    launch(world, discover(world).run_requests[0])
    world.finish()
    launch(world, world.tick().run_requests[0])
    put(world, "a", words=3)

    left = discover(world).run_requests
    world.run("requests", "batches", tags={"dagster/partition": "a"})

    assert left == []
    assert [batch.reservation.requests for batch in world.ledger.batches()] == [2, 1]


def test_a_partition_that_a_person_deleted_is_registered_and_not_bought_again(world):
    """So is every one where Dagster's own storage was lost."""
    world.declare(world.inference(put(world, "a", "b")))
    launch(world, discover(world).run_requests[0])
    world.instance.delete_dynamic_partition("words_partitions", "a")

    tick = discover(world)

    assert tick.run_requests == []
    assert registered(world) == ["b", "a"]


# Files that fail


def test_a_broken_file_fails_alone_and_rests(world):
    world.declare(world.inference(put(world, "a", "c")))
    put_broken(world, "b")

    result = launch(world, discover(world).run_requests[0])
    tick = discover(world)
    world.clock.advance(3600)
    again = discover(world).run_requests

    assert not result.success
    assert world.materialized("batches") == {"a", "c"}
    assert tick.run_requests == []
    assert "1 rest after a failed run" in tick.skip_message
    assert ranges(again) == [("b", "b")]


def test_a_file_that_fails_again_and_again_is_left_to_a_person(world):
    world.declare(world.inference(put(world, "a")))
    tries = 0
    while requests := discover(world).run_requests:
        a_failed_run(world, requests[0])
        tries += 1
        world.clock.advance(3600)

    tick = discover(world)

    assert tries == discovery.TRIES
    assert "1 left to you after 5 failed runs" in tick.skip_message


def test_a_file_that_was_corrected_is_tried_anew(world):
    world.declare(world.inference(put(world, "a")))
    for _ in range(discovery.TRIES):
        a_failed_run(world, discover(world).run_requests[0])
        world.clock.advance(3600)
    left = discover(world).run_requests
    put(world, "a")

    requests = discover(world).run_requests

    assert left == []
    assert ranges(requests) == [("a", "a")]


def test_what_a_person_cancelled_is_left_to_a_person(world):
    world.declare(world.inference(put(world, "a", "b")))
    a_run(world, discover(world).run_requests[0], dg.DagsterRunStatus.CANCELED)
    world.clock.advance(3600)

    tick = discover(world)

    assert tick.run_requests == []
    assert "2 left to you" in tick.skip_message
    assert "materialize its batches" in tick.skip_message


def test_a_file_that_is_gone_is_not_requested(world):
    world.declare(world.inference(put(world, "a", "b")))
    discover(world)
    (world.folder / "corpus" / "words" / "a.parquet").unlink()

    first = discover(world).run_requests
    a_run(world, first[0], dg.DagsterRunStatus.NOT_STARTED)
    tick = discover(world)

    assert ranges(first) == [("b", "b")]
    assert "1 registered files are gone and were never submitted" in tick.skip_message


def test_a_file_that_goes_before_its_run_begins_fails_alone_and_is_named(world):
    world.declare(world.inference(put(world, "a", "b")))
    [request] = discover(world).run_requests
    (world.folder / "corpus" / "words" / "a.parquet").unlink()

    result = launch(world, request)

    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "no file for partition a" in failure.step_failure_data.user_failure_data.description
    assert world.materialized("batches") == {"b"}
    assert discover(world).run_requests == []


# The declaration


@pytest.mark.parametrize(
    ("discovers", "status"),
    [(False, dg.DefaultSensorStatus.STOPPED), (True, dg.DefaultSensorStatus.RUNNING)],
)
def test_the_sensor_is_off_unless_the_declaration_turns_it_on(world, discovers, status):
    """It spends money."""
    world.declare(world.inference(put(world, "a"), discovers=discovers))

    assert world.defs.resolve_sensor_def("words_discovery").default_status is status


def test_an_inference_without_discovered_partitions_has_no_discovery_sensor(world):
    world.declare(world.inference(world.corpus(a=2)))

    names = {sensor.name for sensor in world.defs.sensors or []}
    assert names == {"batch_poll", "batch_beside_dagster"}
    with pytest.raises(DeclarationError, match=r"inference words: discovers=True is for a corpus"):
        world.inference(world.corpus(a=2), discovers=True)


def test_two_inferences_over_one_folder_have_partitions_and_sensors_of_their_own(world):
    corpus = put(world, "a")
    again = world.inference(corpus, name="again", prompt=ba.Prompt(user="Again: {{ word }}"))
    world.declare(world.inference(corpus), again)

    launch(world, discover(world).run_requests[0])

    assert registered(world) == ["a"]
    assert world.instance.get_dynamic_partitions("again_partitions") == []
    assert world.defs.resolve_sensor_def("again_discovery").job_name == "again_submit"


def test_the_rows_of_a_discovered_file_are_read_as_they_are(world):
    table = a_table(2, word=["oak", "elm"])
    corpus = put(world, "a")
    a_corpus(world.folder / "corpus" / "words", table, key="a")

    [rows] = corpus.read("a", ["word"])

    assert rows.batch.column("word").to_pylist() == ["oak", "elm"]
