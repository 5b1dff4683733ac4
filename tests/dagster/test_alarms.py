"""What a tick raises for a person: strange words, doubts, losses."""

from typing import Any

import dagster as dg
import pytest

import batch_assets as ba
from batch_assets.ledger import Ledger
from batch_assets.sandbox import StatusWord
from batch_assets.stages.recover import LISTED_AFTER


def a_batch_of_a_dead_process(world, *, lookup_refused: bool) -> None:
    """Reserved, with the lease over; the provider may refuse to look it up."""

    class Dying(Ledger):
        def record(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("killed")

    inference = world.inference(world.corpus(a=2))
    world.declare(inference, batch_ledger=Dying.open(world.ledger_url, world.ledger.clock))
    world.run("requests", "batches", partition="a")
    world.declare(inference)
    world.clock.advance(61)
    if lookup_refused:
        world.script.refuse("batches.list", *[400] * 20)


def test_a_status_that_nobody_knows_is_an_alarm_in_the_log_and_in_the_words_of_the_tick(
    world, capfd
):
    world.declare(world.inference(world.corpus(a=2)))
    world.script.batches(StatusWord(word="pondering"))
    world.submit("a")
    world.clock.advance(30)

    tick = world.tick()

    assert tick.run_requests == []
    assert "has the status 'pondering', which nobody here knows" in tick.skip_message
    assert "has the status 'pondering', which nobody here knows" in capfd.readouterr().err


def test_a_status_that_nobody_knows_is_observed_on_its_partition_once(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.script.batches(StatusWord(word="pondering"))
    world.submit("a", "b")
    world.clock.advance(30)

    observed = []
    for _ in range(3):
        told = world.tick().asset_events
        events = [event for event in told if isinstance(event, dg.AssetObservation)]
        for event in events:
            world.instance.report_runless_asset_event(event)
        observed.append([(event.partition, event.asset_key) for event in events])

    assert observed == [[("a", world.key("batches"))], [], []]
    [said] = world.observations("a")
    assert "'pondering'" in said.metadata["alarm"].value


def test_a_batch_in_doubt_that_the_provider_cannot_tell_of_is_named_with_the_job(world):
    a_batch_of_a_dead_process(world, lookup_refused=True)
    world.clock.advance(LISTED_AFTER.total_seconds())

    said = world.tick().skip_message

    assert "batch 1 (words/a) is in doubt: nobody knows whether it exists" in said
    assert "decide on it with the job decide_batch" in said


def test_a_batch_that_the_next_looks_decide_is_no_alarm(world):
    a_batch_of_a_dead_process(world, lookup_refused=True)

    assert "decide_batch" not in world.tick().skip_message


def test_a_batch_that_the_provider_does_not_know_any_more_is_named_with_the_job(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.submit("a")
    lost = world.ledger.batches()[0].provider_id
    world.sandbox.state.reset()
    world.submit("b")
    world.clock.advance(1)

    said = world.tick().skip_message

    assert f"the provider says nothing of batch 1 (words/a, {lost}): where it is gone there" in said
    assert "decide on it with the job decide_batch" in said
    assert "batch 2" not in said


def test_a_provider_that_is_down_is_no_loss_of_its_batches(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    world.clock.advance(30)
    world.script.refuse("batches.list", 503, 503, 503)

    assert "says nothing of" not in world.tick().skip_message


def test_many_batches_that_wait_for_a_person_are_named_in_part(world):
    world.declare(world.inference(world.corpus(a=1, b=1, c=1, d=1, e=1)))
    world.submit("a", "e")
    world.sandbox.state.reset()
    world.clock.advance(1)

    said = world.tick().skip_message

    assert said.count("the provider says nothing of") == 3
    assert "and 2 more such" in said


# Partitions that nothing else brings home


def test_a_partition_of_nothing_but_oversize_items_is_brought_home(world):
    small = ba.OpenAIResource(
        api_key="sk-test", base_url=world.sandbox.base_url, max_bytes_per_batch=3000
    )
    world.declare(world.inference(world.corpus(a=["oak" * 2000])), openai=small)
    world.submit("a")

    [request] = world.tick().run_requests
    result = world.launch(request)

    newest, *_ = world.materializations("results", "a")
    assert result.success
    [row] = [dict(record.data) for record in newest.metadata["outcomes"].records]
    assert row["outcome"] == "oversize"
    assert world.sent() == 0


def test_a_partition_whose_process_died_before_it_planned_is_brought_home(world):
    class Dying(Ledger):
        def plan(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("killed")

    inference = world.inference(world.corpus(a=2))
    world.declare(inference, batch_ledger=Dying.open(world.ledger_url, world.ledger.clock))
    world.run("requests", "batches", partition="a")
    assert world.ledger.batches() == []
    world.declare(inference)

    [sending] = world.tick().run_requests
    world.launch(sending)
    [collected] = world.collect()

    assert collected.success
    assert world.materialized("results") == {"a"}


@pytest.mark.parametrize("at_provider", [True, False])
def test_a_cancelled_partition_is_finished_by_a_run_of_the_sensor(world, at_provider):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    world.order("cancel_batches", inference="words", reason="over", at_provider=at_provider)

    [result] = world.collect()

    assert result.success
    assert world.materialized("results") == {"a"}
    assert world.tick().skip_message == "no open batches"
