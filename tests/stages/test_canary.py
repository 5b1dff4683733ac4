"""A canary goes first: a sample is asked and checked, and the rest only if it passes."""

from collections import Counter
from dataclasses import replace

import pyarrow as pa
from stage_answers import DOWN, NOT_JSON, Flaky
from stage_world import LATENCY

from batch_assets.domain.checks import Checks
from batch_assets.domain.control import Scope, WaitKind
from batch_assets.domain.outcome import Outcome
from batch_assets.stages.advance import Pending
from batch_assets.stages.ask_again import ask_again
from batch_assets.stages.control import cancel
from batch_assets.stages.read import read_results

ROWS = 100


def judged(world):
    """What stands when the provider has answered the canary."""
    world.poll(after=LATENCY)
    return world.advance()


def approve(world):
    found = world.request_set
    world.ledger.approvals.give("words", "p", found.digest, given_by="ann", quote={})


def requests_of_waves(world):
    asked = Counter()
    for batch in world.batches:
        asked[batch.wave] += batch.reservation.requests
    return dict(asked)


def test_the_rest_is_sent_when_the_canary_passes(a_world):
    world = a_world(ROWS, canary=20)

    world.submit()
    assert requests_of_waves(world) == {1: 20}
    world.finish()

    assert requests_of_waves(world) == {1: 20, 2: 80}
    assert world.column("outcome") == ["ok"] * ROWS
    assert world.executions["requests_executed"] == ROWS
    assert world.executions["max_executions_of_one_body"] == 1


def test_the_rest_is_not_sent_when_a_check_does_not_pass(a_world, script):
    script.line = lambda batch_id, custom_id: NOT_JSON(custom_id)
    world = a_world(ROWS, canary=20, max_waves=1)
    world.submit()

    pending = judged(world)

    assert isinstance(pending, Pending)
    assert pending.waiting_for.kind is WaitKind.APPROVAL
    assert "0 of 20 items" in pending.waiting_for.reason
    assert "approve_batches" in pending.waiting_for.reason
    assert requests_of_waves(world) == {1: 20}
    assert [each.digest for each in world.ledger.approvals.wanted()] == [world.manifest.digest]


def test_a_canary_that_was_held_is_judged_once(a_world, script):
    script.line = lambda batch_id, custom_id: NOT_JSON(custom_id)
    world = a_world(ROWS, canary=20, max_waves=1)
    world.submit()
    judged(world)

    again = world.advance()

    assert again.waiting_for.kind is WaitKind.APPROVAL
    assert requests_of_waves(world) == {1: 20}


def test_a_person_releases_the_rest_all_the_same(a_world, script):
    script.line = lambda batch_id, custom_id: NOT_JSON(custom_id)
    world = a_world(ROWS, canary=20, max_waves=1)
    world.submit()
    judged(world)
    script.forget()

    approve(world)
    world.finish()

    assert Counter(world.column("outcome")) == {"ok": 80, "invalid": 20}
    assert world.request_set.canary_reason == "released by ann"
    assert world.executions["max_executions_of_one_body"] == 1


def test_batches_materialized_again_are_judged_by_the_checks_as_they_are_now(a_world, script):
    script.line = lambda batch_id, custom_id: NOT_JSON(custom_id)
    world = a_world(ROWS, canary=20, max_waves=1)
    world.submit()
    judged(world)
    script.forget()

    lenient = Checks(coverage="off", invalid_share="off")
    world.recipe = replace(world.recipe, checks=lenient)
    world.submit()
    world.finish()

    assert Counter(world.column("outcome")) == {"ok": 80, "invalid": 20}


def test_a_corrected_prompt_begins_anew_with_a_canary_of_its_own(a_world, script):
    script.line = lambda batch_id, custom_id: NOT_JSON(custom_id)
    world = a_world(ROWS, canary=20, max_waves=1)
    world.submit()
    judged(world)
    script.forget()

    corrected = a_world(ROWS, canary=20, max_waves=1, user="The word is {{ word }}")
    corrected.submit()
    corrected.finish()

    assert corrected.column("outcome") == ["ok"] * ROWS
    assert [batch.reservation.requests for batch in corrected.batches] == [20, 20, 80]


def test_items_of_the_canary_that_another_try_cures_are_asked_again_before_it_is_judged(
    a_world, script
):
    script.line = Flaky({ordinal: [DOWN] for ordinal in range(ROWS)})
    world = a_world(ROWS, canary=20)
    world.submit()

    judged(world)
    assert requests_of_waves(world) == {1: 20, 2: 20}
    script.forget()
    world.finish(after=3600)

    assert requests_of_waves(world) == {1: 20, 2: 20, 3: 80}
    assert world.column("outcome") == ["ok"] * ROWS


def test_a_partition_no_larger_than_its_canary_is_asked_at_once(a_world):
    world = a_world(20, canary=20)

    world.carry()

    assert requests_of_waves(world) == {0: 20}


def test_what_is_carried_over_needs_no_canary(a_world):
    a_world(50).carry()
    world = a_world(ROWS, canary=20)

    world.carry()

    assert requests_of_waves(world) == {0: 50, 1: 20, 2: 30}
    assert world.column("outcome") == ["ok"] * ROWS
    assert world.executions["requests_executed"] == ROWS


def test_the_sample_has_short_and_long_requests_from_all_over_the_corpus(a_world):
    words = [f"{'w' * (1 + number % 7) * 20} {number}" for number in range(700)]
    rows = pa.table({"id": [f"i{number:04}" for number in range(700)], "word": words})
    world = a_world(rows, canary=70)
    world.submit()
    world.poll(after=LATENCY)

    world.advance()

    waves = world.finish() and world.column("wave")
    sampled = [place for place, wave in enumerate(waves) if wave == 1]
    assert len(sampled) == 70
    assert Counter(place % 7 for place in sampled) == dict.fromkeys(range(7), 10)
    assert all(5 <= count <= 15 for count in Counter(place // 100 for place in sampled).values())


def test_a_cancelled_partition_says_of_the_rest_that_it_was_never_asked(a_world):
    world = a_world(ROWS, canary=20)
    world.submit()
    world.poll(after=LATENCY)

    cancel(
        world.deployment,
        Scope(inference="words", partition_key="p"),
        owner="ann",
        reason="no need",
        at_provider=False,
    )
    world.finish()

    assert Counter(world.column("outcome")) == {"ok": 20, "cancelled": 80}
    assert {row["error_message"] for row in world.results() if row["outcome"] == "cancelled"} == {
        "it was held back for a canary and never asked"
    }


def test_what_was_held_back_of_a_cancelled_partition_is_asked_when_it_is_taken_up_again(a_world):
    world = a_world(ROWS, canary=20)
    world.submit()
    cancel(
        world.deployment, Scope(inference="words"), owner="ann", reason="wait", at_provider=False
    )
    world.finish()

    world.carry()

    assert world.column("outcome") == ["ok"] * ROWS
    assert world.executions["max_executions_of_one_body"] == 1


def test_readers_of_open_partitions_are_given_the_canary_only(a_world, script):
    world = a_world(ROWS, canary=20)
    world.submit()
    world.poll(after=LATENCY)
    world.collect()

    page = read_results(world.deployment, world.recipe)

    assert page.num_rows == 20


def test_packs_that_the_canary_held_back_are_whole(a_world):
    world = a_world(ROWS, canary=20, rows_per_request=5)

    world.carry()

    assert world.column("outcome") == ["ok"] * ROWS
    assert requests_of_waves(world) == {1: 4, 2: 16}


def test_a_lost_item_of_a_released_rest_is_asked_once_more(a_world, script):
    world = a_world(ROWS, canary=20)
    world.submit()
    judged(world)
    script.line = Flaky({1: [NOT_JSON]})

    world.finish(after=3600)

    assert world.column("outcome") == ["ok"] * ROWS
    assert requests_of_waves(world) == {1: 20, 2: 80, 3: 1}


def test_a_canary_needs_no_capacity_beyond_its_own(a_world):
    world = a_world(ROWS, canary=20)

    submission = world.submit()

    assert submission.sent == 1
    assert sum(batch.reservation.requests for batch in submission.batches) == 20


def test_items_of_a_released_partition_can_be_asked_again_by_hand(a_world, script):
    script.line = lambda batch_id, custom_id: NOT_JSON(custom_id)
    world = a_world(ROWS, canary=20, max_waves=1)
    world.submit()
    judged(world)
    script.forget()
    approve(world)
    world.finish()

    asked = ask_again(world.deployment, world.recipe, world.request_set, {Outcome.INVALID})
    world.finish()

    assert asked == 20
    assert world.column("outcome") == ["ok"] * ROWS
