"""What a person orders, declares and pays of stragglers."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from stragglers_world import HOUR, accounts, asked_twice, at_deadline, not_json

from batch_assets.domain.checks import Check, Checks
from batch_assets.domain.control import Scope
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.price import Price, PriceList, Provenance, Tier, UnitPrices
from batch_assets.domain.stragglers import Stragglers
from batch_assets.prices.declared import Prices
from batch_assets.stages.advance import Pending
from batch_assets.stages.approve import approve, prepared
from batch_assets.stages.ask_again import ask_again
from batch_assets.stages.control import cancel, pause, resume
from batch_assets.stages.explain import explain
from batch_assets.stages.prepare import prepare
from batch_assets.stages.rescue import check_rescue
from batch_assets.stages.submit import submit


def test_what_a_person_paused_stays_with_the_provider(late_world) -> None:
    world = late_world(6)
    world.submit()
    scope = Scope(inference="words")
    pause(world.ledger, scope, owner="ann", reason="dear")

    at_deadline(world)
    paused = (world.request_set.rescued_at, world.batch.rescued_at)
    resume(world.ledger, scope, owner="ann")
    world.advance()

    assert paused == (None, None)
    assert world.batch.rescued_at is not None


def test_what_a_person_cancelled_is_not_asked_live(late_world) -> None:
    world = late_world(6)
    world.submit()
    cancel(world.deployment, Scope(inference="words"), owner="ann", reason="why", at_provider=True)

    at_deadline(world)

    assert Counter(world.column("outcome")) == {"cancelled": 6}
    assert world.request_set.rescued_at is None


def test_a_person_may_cancel_while_stragglers_are_on_their_way(late_world) -> None:
    world = late_world(6)
    world.submit()
    at_deadline(world)
    cancel(world.deployment, Scope(inference="words"), owner="ann", reason="why", at_provider=True)

    world.finish(after=61)

    assert Counter(world.column("outcome")) == {"ok": 3, "cancelled": 3}
    assert {str(batch.account) for batch in world.batches} == {"openai"}


def test_stragglers_that_a_person_cancelled_are_asked_live_when_they_are_taken_up_again(
    late_world,
) -> None:
    world = late_world(6)
    world.submit()
    at_deadline(world)
    cancel(world.deployment, Scope(inference="words"), owner="ann", reason="why", at_provider=False)
    world.finish(after=61)

    world.submit()
    world.finish(after=1)

    assert world.column("outcome") == ["ok"] * 6
    assert accounts(world) == {"openai": 3, "openai-live": 3}
    assert not asked_twice(world)


def test_the_time_is_counted_from_the_approval(late_world) -> None:
    world = late_world(6, needs_approval=True)
    world.submit()
    world.clock.advance(30 * HOUR)
    world.advance()
    unapproved = world.request_set.rescued_at
    found = prepared(world.files, "words", "p", world.manifest.digest)
    approve(world.ledger, found, given_by="ann")

    world.advance()
    world.poll(after=19 * HOUR)
    world.advance()
    early = world.request_set.rescued_at
    world.poll(after=HOUR)
    world.advance()

    assert (unapproved, early) == (None, None)
    assert world.request_set.rescued_at is not None


def test_a_canary_that_waits_for_a_person_is_not_asked_live(late_world, script, slow) -> None:
    slow.state.change_settings({"latency": 100.0})
    script.items(not_json(), containing="word")
    checks = Checks(invalid_share=Check(at_most=0.0, blocking=True))
    world = late_world(6, canary=2, max_waves=1, checks=checks)
    world.submit()
    world.poll(after=100)
    world.advance()

    world.clock.advance(20 * HOUR)
    state = world.advance()

    assert isinstance(state, Pending)
    assert world.request_set.rescued_at is None


def test_items_that_a_person_has_asked_again_have_their_time_anew(late_world, script, slow) -> None:
    slow.state.change_settings({"latency": 100.0})
    script.items(not_json(), containing="word 0")
    world = late_world(2, max_waves=1)
    world.carry()
    world.clock.advance(100 * HOUR)
    ask_again(world.deployment, world.recipe, world.request_set, {Outcome.INVALID})

    world.advance()

    assert world.request_set.rescued_at is None
    assert [str(batch.account) for batch in world.batches] == ["openai", "openai"]


def test_each_wave_costs_what_the_account_takes_that_answered_it(
    late_world, lane_at, provider_at, sandbox
) -> None:
    own = provider_at(sandbox.base_url, price_list="openai")
    live = lane_at(price_list=PriceList(provider="openai", tier=Tier.STANDARD))
    world = late_world(6, model="gpt-4.1-mini", via=own)
    world = replace(
        world,
        deployment=replace(world.deployment, live=live),
        recipe=replace(world.recipe, prices=Prices(batch_discount=0.5)),
    )
    world.submit()
    at_deadline(world)

    resolution = world.finish(after=61)

    bill = resolution.bill
    [of_batch, of_lane] = [price.units[0].input for price in bill.prices]
    assert of_lane == 2 * of_batch
    assert bill.usd == bill.waves[0] + bill.waves[1]
    assert bill.waves[1] == bill.prices[1].of(resolution.summary.waves[1].usage_by_step)


def test_an_explanation_does_not_give_the_price_of_a_batch_to_a_straggler(late_world) -> None:
    world = late_world(6)
    one = UnitPrices(input=Decimal(1), cached_input=Decimal(1), output=Decimal(1))
    price = Price(provenance=Provenance.DECLARED, source="a test", units=(one,))
    manifest = prepare(world.recipe, "p", files=world.files, limits=world.limits, price=price)
    submit(world.deployment, world.recipe, manifest)
    at_deadline(world)
    world.finish(after=61)

    costs = {}
    for item_id, wave in zip(world.column("item_id"), world.column("wave"), strict=True):
        [found] = explain(world.ledger, world.files, "words", item_id)
        costs.setdefault(wave, set()).add(found.usd is None)

    assert costs == {0: {False}, 1: {True}}


def test_a_lane_that_lacks_its_key_lets_the_provider_go_on(late_world, lane_at) -> None:
    world = late_world(6)
    keyless = lane_at(api_key="")
    world = replace(world, deployment=replace(world.deployment, live=keyless))
    world.submit()

    at_deadline(world)

    assert world.request_set.rescued_at is None


def test_stragglers_want_a_lane_of_another_account_that_takes_the_requests(
    late_world, lane, provider
) -> None:
    world = late_world(2)
    deployment = world.deployment

    check_rescue(deployment, world.recipe)
    with pytest.raises(DeclarationError, match="is no lane"):
        check_rescue(replace(deployment, live=provider), world.recipe)
    with pytest.raises(DeclarationError, match="on the account that has them"):
        check_rescue(replace(deployment, provider=lane), world.recipe)


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf"), True, "20", 10**6])
def test_hours_that_cannot_be_are_refused(hours) -> None:
    with pytest.raises(DeclarationError, match=r"after_hours is .*such as 20 of its 24"):
        Stragglers(provider="openai_live", after_hours=hours)


def test_a_lane_without_a_name_is_refused() -> None:
    with pytest.raises(DeclarationError, match="provider is empty"):
        Stragglers(provider=" ", after_hours=20)
