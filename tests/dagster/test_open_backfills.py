"""A backfill and the sensor collect no partition twice, and a cancelled one sends no more."""

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

import batch_assets as ba

ID = "abcdefgh"
SUBMITTED = ("requests", "batches")
COLLECTED = ("raw_outputs", "results", "bundle")


def a_backfill(world, *names: str, status: BulkActionStatus = BulkActionStatus.REQUESTED) -> None:
    """A backfill of these assets, as Dagster's daemon sees it."""
    world.instance.add_backfill(
        PartitionBackfill(
            backfill_id=ID,
            status=status,
            from_failure=False,
            tags={},
            backfill_timestamp=world.clock.now(),
            asset_selection=[world.key(name) for name in names],
        )
    )


def submit(world, *between: str) -> dg.ExecuteInProcessResult:
    """What the backfill's first run does."""
    tags = {"dagster/backfill": ID}
    return world.run(*SUBMITTED, between=(between[0], between[-1]), tags=tags)


def ends(world, status: BulkActionStatus) -> None:
    world.instance.update_backfill(world.instance.get_backfill(ID).with_status(status))


def test_the_sensor_leaves_finished_partitions_to_an_open_backfill_that_wants_their_results(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    a_backfill(world, *SUBMITTED, *COLLECTED)
    submit(world, "a", "b")
    world.finish()

    assert world.tick().run_requests == []


def test_it_collects_them_once_the_backfill_is_over(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    a_backfill(world, *SUBMITTED, *COLLECTED)
    submit(world, "a", "b")
    ends(world, BulkActionStatus.COMPLETED_FAILED)

    world.collect()

    assert world.materialized("results") == {"a", "b"}


def test_it_collects_what_a_backfill_of_batches_alone_submitted(world):
    world.declare(world.inference(world.corpus(a=2)))
    a_backfill(world, *SUBMITTED)
    submit(world, "a")

    world.collect()

    assert world.materialized("results") == {"a"}


def test_a_run_of_a_backfill_makes_all_that_the_backfill_wants_of_its_partitions(world):
    """Dagster's daemon launches runs of raw_outputs alone while others are still submitted."""
    world.declare(world.inference(world.corpus(a=2, b=2)))
    a_backfill(world, *SUBMITTED, *COLLECTED)
    submit(world, "a", "b")
    world.finish()
    world.tick()

    world.run("raw_outputs", between=("a", "b"), tags={"dagster/backfill": ID})

    assert [world.materialized(name) for name in COLLECTED] == [{"a", "b"}] * 3


def test_so_does_a_run_over_one_partition(world):
    world.declare(world.inference(world.corpus(a=2)))
    a_backfill(world, *SUBMITTED, *COLLECTED)
    submit(world, "a")
    world.finish()
    world.tick()

    result = world.run("raw_outputs", partition="a", tags={"dagster/backfill": ID})

    assert result.success
    assert [world.materialized(name) for name in COLLECTED] == [{"a"}] * 3


def test_a_run_makes_nothing_that_neither_it_nor_its_backfill_wants(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    a_backfill(world, *SUBMITTED, "raw_outputs")
    submit(world, "a", "b")
    world.finish()
    world.tick()

    world.run("raw_outputs", between=("a", "b"), tags={"dagster/backfill": ID})

    assert world.materialized("results") == set()


@pytest.mark.parametrize("status", [BulkActionStatus.CANCELING, BulkActionStatus.CANCELED])
def test_nothing_more_is_sent_of_a_cancelled_backfill(world, status):
    openai = ba.OpenAIResource(
        api_key="sk-test", base_url=world.sandbox.base_url, max_open_batches=1
    )
    world.declare(world.inference(world.corpus(a=2, b=2)), openai=openai)
    a_backfill(world, *SUBMITTED)
    submit(world, "a", "b")
    ends(world, status)

    world.tick()
    world.collect()
    world.collect()

    assert world.sent() == 1
    assert world.materialized("results") == {"a"}
    assert f"backfill or run {ID} asked for is paused" in world.tick().skip_message


def test_a_backfill_that_goes_on_is_let_be(world):
    openai = ba.OpenAIResource(
        api_key="sk-test", base_url=world.sandbox.base_url, max_open_batches=1
    )
    world.declare(world.inference(world.corpus(a=2, b=2)), openai=openai)
    a_backfill(world, *SUBMITTED)
    submit(world, "a", "b")

    world.collect()
    world.collect()
    world.collect()

    assert world.materialized("results") == {"a", "b"}
