"""A person may have items asked once more whose outcome was final."""

import pytest
from factories import a_corpus
from stage_answers import DOWN, NOT_JSON, WRONG, Flaky
from stage_world import World

from batch_assets.domain.control import Scope
from batch_assets.domain.errors import LedgerError
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.shard import Limits
from batch_assets.sandbox import CancelledOutside
from batch_assets.stages.ask_again import ask_again
from batch_assets.stages.control import cancel

THREE_ROWS = Limits(requests=3, bytes=10**6)


def again(world: World, *outcomes: Outcome) -> int:
    return ask_again(world.deployment, world.recipe, world.request_set, set(outcomes))


def test_items_that_ended_so_are_asked_once_more_and_no_others(a_world, script):
    script.line = Flaky({0: [WRONG], 1: [NOT_JSON] * 3, 2: [WRONG]})
    world = a_world(4, max_waves=3)
    world.carry()

    assert again(world, Outcome.ERRORED) == 2

    world.finish()
    assert script.line.asked == {0: 2, 1: 3, 2: 2, 3: 1}
    assert world.column("outcome") == ["ok", "invalid", "ok", "ok"]
    assert world.column("attempts") == [2, 3, 2, 1]


def test_it_is_sent_without_a_wait(a_world, script):
    script.line = Flaky({0: [WRONG]})
    world = a_world(2)
    world.carry()
    again(world, Outcome.ERRORED)

    assert world.advance().progress.open == 1


def test_after_the_one_wave_the_policy_holds_as_before(a_world, script):
    """Item 0 has an attempt left for an error that time cures, item 1 has none."""
    script.line = Flaky({0: [WRONG, DOWN, DOWN, DOWN], 1: [DOWN] * 9})
    world = a_world(2, max_waves=3)
    world.carry()

    assert again(world, Outcome.ERRORED) == 2

    world.finish()
    assert script.line.asked == {0: 3, 1: 4}
    assert world.column("attempts") == [3, 4]


def test_asking_again_twice_asks_twice(a_world, script):
    script.line = Flaky({0: [WRONG] * 9})
    world = a_world(1)
    world.carry()
    for _ in range(2):
        assert again(world, Outcome.ERRORED) == 1
        world.finish()

    assert (script.line.asked[0], world.column("attempts")) == (3, [3])


def test_where_no_item_ended_so_nothing_is_asked_and_the_results_stand(a_world):
    world = a_world(2)
    world.carry()

    assert again(world, Outcome.ERRORED, Outcome.REFUSED) == 0

    assert world.request_set.resolved_at is not None
    assert len(world.batches) == 1


def test_the_results_stay_until_the_wave_is_back(a_world, script):
    script.line = Flaky({0: [WRONG]})
    world = a_world(2)
    world.carry()
    before = world.files.read(world.layout.results)

    again(world, Outcome.ERRORED)
    world.advance()

    assert world.files.read(world.layout.results) == before
    assert world.request_set.resolved_at is None


def test_a_batch_that_somebody_else_cancelled_is_final_until_a_person_asks_again(a_world, script):
    script.batches(CancelledOutside(at=0.5))
    world = a_world(4)
    world.carry()
    cancelled = world.column("outcome").count("cancelled")
    assert cancelled > 0

    assert again(world, Outcome.CANCELLED) == cancelled

    world.finish()
    assert world.column("outcome") == ["ok"] * 4
    assert world.executions["max_executions_of_one_body"] == 1


def test_what_is_on_its_way_is_not_asked_again(a_world, script):
    script.line = Flaky({0: [WRONG]})
    world = a_world(2)
    world.carry()
    again(world, Outcome.ERRORED)

    with pytest.raises(LedgerError, match="partition p is on its way"):
        again(world, Outcome.ERRORED)


def test_a_cancelled_partition_is_taken_up_first(a_world):
    world = a_world(4)
    world.submit()
    world.poll(after=50)
    cancel_partition(world)
    world.finish()

    with pytest.raises(LedgerError, match="partition p is cancelled: take it up again"):
        again(world, Outcome.CANCELLED)

    world.ledger.request_sets.open("words", "p", world.request_set.digest)
    assert again(world, Outcome.CANCELLED) == 2
    world.finish()
    assert world.column("outcome") == ["ok"] * 4


def cancel_partition(world: World) -> None:
    scope = Scope(inference="words", partition_key="p")
    cancel(world.deployment, scope, owner="Ann", reason="wrong prompt", at_provider=True)


def test_a_replaced_request_set_is_not_asked_again(a_world, script, tmp_path):
    script.line = Flaky({0: [WRONG]})
    world = a_world(3)
    world.carry()
    replaced = world.request_set
    a_corpus(tmp_path / "corpus", 2)
    world.carry()

    with pytest.raises(LedgerError, match="partition p has a newer request set"):
        ask_again(world.deployment, world.recipe, replaced, {Outcome.ERRORED})


@pytest.mark.parametrize("outcomes", [set(), {Outcome.OK}, {Outcome.ERRORED, Outcome.OVERSIZE}])
def test_an_answer_that_is_there_is_never_bought_again(a_world, outcomes):
    world = a_world(2)
    world.carry()

    with pytest.raises(ValueError, match="ask again takes outcomes among cancelled, errored"):
        again(world, *outcomes)
