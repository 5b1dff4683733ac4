"""A run whose process is gone. Dagster's default launcher shows it as started for ever."""

from datetime import timedelta

import dagster as dg
import pytest

LEASE = timedelta(seconds=60)


def a_started_run(world, partition: str) -> dg.DagsterRun:
    """A collecting run that took its partition and renews its lease no more."""
    run = world.instance.create_run_for_job(
        world.defs.resolve_job_def("words_collect"),
        tags={"dagster/partition": partition},
        status=dg.DagsterRunStatus.STARTED,
    )
    world.ledger.request_sets.hold("words", [partition], holder=run.run_id, lease=LEASE)
    return run


def status_of(world, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = world.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


@pytest.fixture
def submitted(world):
    """A world with one partition at the provider, which is done with it."""
    world.declare(world.inference(world.corpus(a=2)))
    world.run("requests", "batches", partition="a")
    world.finish()
    return world


def test_a_run_that_renews_its_lease_no_more_is_failed_by_a_tick(submitted):
    run = a_started_run(submitted, "a")
    submitted.clock.advance(130)

    submitted.tick()

    assert status_of(submitted, run) is dg.DagsterRunStatus.FAILURE


def test_the_partition_of_a_dead_run_is_collected(submitted):
    a_started_run(submitted, "a")
    submitted.clock.advance(130)

    [request] = submitted.tick().run_requests

    assert request.partition_key == "a"


def test_a_run_within_its_lease_is_let_be(submitted):
    run = a_started_run(submitted, "a")
    submitted.clock.advance(50)

    submitted.tick()

    assert status_of(submitted, run) is dg.DagsterRunStatus.STARTED


def test_a_run_that_ended_holds_nothing(submitted):
    [result] = submitted.collect()

    assert result.success
    assert submitted.ledger.request_sets.holds("words") == {}


def test_a_run_holds_its_partition_while_it_waits(world):
    seen = []

    def sleep(_: float) -> None:
        seen.append(set(world.ledger.request_sets.holds("words")))
        world.clock.advance(130)

    world.declare_waiting(world.inference(world.corpus(a=2)), sleep)

    world.run(partition="a", wait=True)

    assert seen == [{"a"}]


def test_a_run_that_is_interrupted_while_it_waits_may_be_retried(world):
    """Run retries leave a failed step alone, and a restart of Dagster looks like one."""

    def dagster_stops(_: float) -> None:
        raise dg.DagsterExecutionInterruptedError

    world.declare_waiting(world.inference(world.corpus(a=2)), dagster_stops)

    result = world.run(partition="a", wait=True)

    [run] = world.instance.get_runs()
    assert not result.success
    assert run.tags["dagster/retry_on_asset_or_op_failure"] == "true"
    assert world.ledger.request_sets.holds("words") == {}
