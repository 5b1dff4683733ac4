"""What stragglers may cost is quoted before, and nothing is spent live that nobody approved."""

from dataclasses import replace
from decimal import Decimal

import pytest
from stage_world import World
from stragglers_world import AFTER, HOUR, at_deadline, not_json

from batch_assets.domain.price import Price, PriceList, Provenance, Tier, UnitPrices
from batch_assets.domain.stragglers import Stragglers
from batch_assets.prices.declared import Prices
from batch_assets.stages.advance import Pending, advance
from batch_assets.stages.approve import approve, prepared, waiting_for_approval
from batch_assets.stages.explain import explain
from batch_assets.stages.rescue import RescueNews
from batch_assets.stages.submit import submit
from batch_assets.stages.terms import LiveTerms, are_approved, keep_terms, terms_of

STANDARD = PriceList(provider="openai", tier=Tier.STANDARD)


@pytest.fixture
def priced(late_world, lane_at, provider_at, sandbox):
    """A world of 6 rows whose model has a price, with stragglers or without."""

    def make(*, stragglers=AFTER, **over) -> World:
        own = provider_at(sandbox.base_url, price_list="openai")
        world = late_world(6, model="gpt-4.1-mini", via=own, stragglers=stragglers, **over)
        live = lane_at(price_list=STANDARD) if stragglers else None
        return replace(
            world,
            deployment=replace(world.deployment, live=live),
            recipe=replace(world.recipe, prices=Prices(batch_discount=0.5)),
        )

    return make


def withdrawn(world: World) -> World:
    """The same without stragglers."""
    return replace(
        world,
        deployment=replace(world.deployment, live=None),
        recipe=replace(world.recipe, stragglers=None),
        manifests=world.manifests,
    )


def told(world: World) -> list[RescueNews]:
    news: list[RescueNews] = []
    advance(world.deployment, world.recipe, world.request_set, on_rescue=news.append)
    return news


# Quotes


def test_the_quote_of_an_approval_says_what_all_of_it_would_cost_live(priced) -> None:
    world = priced(needs_approval=True, settings={"max_completion_tokens": 50})
    world.submit()

    [found] = waiting_for_approval(world.ledger, world.files, "words")

    assert found.live_quote is not None
    assert found.live_quote.requests == found.quote.requests == 6
    tokens, most = found.quote.prompt_tokens, 6 * 50
    assert found.live_quote.most_usd == (tokens * Decimal("0.4") + most * Decimal("1.6")) / 10**6
    assert str(found).endswith(
        f"; ${found.live_quote.most_usd:.6f} at most if all of it were asked live "
        "(after 20 h by openai_live)"
    )


def test_an_approval_keeps_what_was_shown(priced) -> None:
    world = priced(needs_approval=True)
    world.submit()
    [found] = waiting_for_approval(world.ledger, world.files, "words")

    approve(world.ledger, found, given_by="ann")

    [given] = world.ledger.approvals.of("words", "p")
    assert given.quote["live"]["input_usd"] == str(found.live_quote.input_usd)
    assert given.quote["stragglers"]["stragglers"] == {"provider": "openai_live", "after_hours": 20}
    assert given.quote["stragglers"]["price"]["units"][0]["input"] == "0.4"


def test_without_stragglers_an_approval_names_no_live_price(priced) -> None:
    world = priced(needs_approval=True, stragglers=None)
    world.submit()

    [found] = waiting_for_approval(world.ledger, world.files, "words")

    assert (found.terms, found.live_quote) == (None, None)
    assert "live" not in str(found)


def test_stragglers_that_are_withdrawn_are_approved_no_more(priced) -> None:
    world = priced(needs_approval=True)
    world.submit()

    withdrawn(world).submit()

    [found] = waiting_for_approval(world.ledger, world.files, "words")
    assert found.terms is None


# What was approved


def approved(world: World) -> World:
    approve(
        world.ledger,
        prepared(world.files, "words", "p", world.manifest.digest),
        given_by="ann",
    )
    return world


def test_what_was_approved_with_its_live_price_is_asked_live_without_another_word(priced) -> None:
    world = priced(needs_approval=True)
    world.submit()
    approved(world).advance()
    at_deadline(world)

    world.finish(after=61)

    assert world.column("outcome") == ["ok"] * 6
    assert world.request_set.rescue_asks is None


def test_stragglers_that_were_declared_after_the_approval_want_one_of_their_own(priced) -> None:
    world = priced(needs_approval=True)
    withdrawn(world).submit()
    approved(world)
    withdrawn(world).advance()

    world.poll(after=20 * HOUR)
    news = told(world)
    asking = (world.request_set.rescued_at, world.batch.rescued_at, world.states)
    [found] = waiting_for_approval(world.ledger, world.files, "words")
    approved(world)
    world.advance()
    world.finish(after=61)

    assert asking == (None, None, ["submitted"])
    assert ["at a price that nobody approved" in each.said for each in news] == [True]
    assert found.quote.requests == 6
    assert found.quote.price == found.terms.price
    assert world.column("outcome") == ["ok"] * 6
    assert [str(batch.account) for batch in world.batches] == ["openai", "openai-live"]


def test_it_is_asked_for_once(priced) -> None:
    world = priced(needs_approval=True)
    withdrawn(world).submit()
    approved(world)
    withdrawn(world).advance()
    world.poll(after=20 * HOUR)

    assert [len(told(world)) for _ in range(2)] == [1, 0]


def test_without_the_word_the_provider_goes_on_and_its_answers_are_taken(priced, slow) -> None:
    slow.state.change_settings({"latency": 22 * HOUR})
    world = priced(needs_approval=True)
    withdrawn(world).submit()
    approved(world)
    withdrawn(world).advance()
    assert isinstance(at_deadline(world), Pending)

    world.finish(after=2 * HOUR)

    assert world.column("outcome") == ["ok"] * 6
    assert {str(batch.account) for batch in world.batches} == {"openai"}
    assert world.ledger.approvals.wanted("words") == []


def test_a_lane_that_became_dearer_since_the_approval_wants_another(priced) -> None:
    world = priced(needs_approval=True)
    world.submit()
    approved(world).advance()
    dearer = replace(world.recipe, model="gpt-4.1")

    world.poll(after=20 * HOUR)
    advance(world.deployment, dearer, world.request_set)

    assert "at a price that nobody approved" in (world.request_set.rescue_asks or "")
    assert world.batch.rescued_at is None


def units(usd: str, **over) -> Price:
    one = UnitPrices(
        **{"input": Decimal(usd), "cached_input": Decimal(usd), "output": Decimal(usd), **over}
    )
    return Price(provenance=Provenance.PUBLISHED, source="a test", units=(one,))


UNKNOWN = Price(provenance=Provenance.UNKNOWN, source="nobody says")
LONG = UnitPrices(above=1000, input=Decimal(2), cached_input=Decimal(1), output=Decimal(1))


@pytest.mark.parametrize(
    ("shown", "now", "covers"),
    [
        (units("1"), units("1"), True),
        (units("1"), units("0.9"), True),
        (units("1"), units("1.1"), False),
        (units("1"), units("1", output=Decimal("1.1")), False),
        (units("1"), units("1", cache_write=Decimal("1.25")), False),
        (units("1"), replace(units("1"), units=(*units("1").units, LONG)), False),
        (units("1"), UNKNOWN, False),
        (UNKNOWN, units("1"), True),
        (UNKNOWN, UNKNOWN, True),
    ],
)
def test_an_approval_covers_no_dearer_price_than_it_showed(priced, shown, now, covers) -> None:
    world = priced(needs_approval=True)
    world.submit()
    found = prepared(world.files, "words", "p", world.manifest.digest)
    approve(
        world.ledger,
        replace(found, terms=LiveTerms(stragglers=AFTER, price=shown)),
        given_by="ann",
    )

    terms = LiveTerms(stragglers=AFTER, price=now)

    assert are_approved(world.ledger, world.request_set, terms) is covers


def test_an_approval_of_one_lane_is_none_of_another(priced) -> None:
    world = priced(needs_approval=True)
    world.submit()
    approved(world)
    other = Stragglers(provider="our_vllm", after_hours=20)

    assert not are_approved(
        world.ledger, world.request_set, LiveTerms(stragglers=other, price=units("0"))
    )


# What it cost


def test_an_explanation_gives_a_straggler_the_price_of_its_lane(priced) -> None:
    world = priced()
    submit(world.deployment, world.recipe, world.prepare())
    at_deadline(world)
    world.finish(after=61)

    terms = terms_of(world.files, world.layout)
    for row in world.results():
        if row["wave"] == 1:
            [found] = explain(world.ledger, world.files, "words", row["item_id"])
            tokens = row["input_tokens"] * Decimal("0.4") + row["output_tokens"] * Decimal("1.6")
            assert found.usd == tokens / 10**6
    assert terms is not None


def test_what_a_batch_and_the_lane_answered_has_no_one_price(priced, script) -> None:
    script.items(not_json(), containing="word 0")
    world = priced(user="{{ word }}", max_waves=2)
    world.submit()
    at_deadline(world)
    world.finish(after=61)

    [found] = explain(world.ledger, world.files, "words", "i-0")

    assert found.result is not None
    assert found.result["executions"] == 2
    assert world.request_set.is_live(found.result["wave"])
    assert found.usd is None


def test_the_terms_of_a_rescue_stay_as_they_were(priced) -> None:
    world = priced()
    world.submit()
    at_deadline(world)
    began = terms_of(world.files, world.layout)

    keep_terms(world.deployment, replace(world.recipe, model="gpt-4.1"), world.layout)

    assert terms_of(world.files, world.layout) == began


def test_a_lane_that_is_declared_no_more_still_has_its_price_in_the_bill(priced) -> None:
    world = priced()
    world.submit()
    at_deadline(world)
    world.poll(after=61)
    billed = world.advance().bill
    without = withdrawn(world)
    world.files.delete(world.layout.results)

    again = without.advance().bill

    assert again.usd == billed.usd


def test_a_damaged_file_of_terms_is_named_and_the_rest_explained(priced) -> None:
    world = priced()
    world.submit()
    at_deadline(world)
    world.finish(after=61)
    world.files.write(world.layout.stragglers, b"{")
    live = next(row["item_id"] for row in world.results() if row["wave"] == 1)

    [found] = explain(world.ledger, world.files, "words", live)

    assert found.usd is None
    assert ["stragglers.json is not what was stored" in said for said in found.missing] == [True]
