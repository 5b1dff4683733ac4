"""An audit finds what is paid for and in nobody's hands, and nothing in a healthy deployment."""

from collections.abc import Iterator, Sequence

import pytest
from audit_world import KEY, a_foreign_batch, an_audit, cases, id_of, sent_again
from stage_world import LATENCY, LIMITS, Reply, World, edited, lost, refusal, whole
from starlette.responses import JSONResponse

from batch_assets.domain.audit import Case
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import ProviderUnavailable
from batch_assets.domain.provider import ProviderBatch
from batch_assets.domain.shard import Limits
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import RunningSandbox
from batch_assets.stages import audit as auditing
from batch_assets.stages import read_back as reading
from batch_assets.stages.control import give_up, offer_again
from batch_assets.stages.dispatch import dispatch
from batch_assets.stages.recover import recover

POST_BATCHES, LIST_BATCHES = r"POST /v1/batches$", r"GET /v1/batches\?"
TWO_ROWS = Limits(requests=2, bytes=10**6)
NOTHING = JSONResponse({"data": [], "has_more": False})


def listed_nowhere(script, *, times: int = 1) -> None:
    script.replies["batches.list"] = [NOTHING] * times


@pytest.fixture
def in_doubt(a_world, border, provider_at) -> World:
    """A partition whose batch is at the provider, its reply lost and its lease over."""
    border.change(POST_BATCHES, lost, whole)
    world: World = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.lease_over()
    return world


def test_nothing_is_found_in_a_healthy_deployment(a_world):
    world = a_world(5, limits=TWO_ROWS)

    world.submit()
    at_the_provider = cases(world)
    world.finish()

    assert (at_the_provider, cases(world)) == ([], [])
    assert an_audit(world)[0].batches == 3


def test_a_batch_that_has_ended_and_was_not_asked_about_is_counted(a_world, clock):
    world = a_world(3)
    world.submit()
    clock.advance(LATENCY)

    audit, found = an_audit(world)

    assert (found, audit.not_asked_yet) == ([], 1)


def test_a_batch_that_somebody_else_made_is_unknown(a_world, sandbox):
    world = a_world(3)
    world.submit()
    other = a_foreign_batch(sandbox)

    assert cases(world) == [(Case.NO_KEY, other)]


def test_a_batch_of_another_ledger_is_unknown_by_its_key(a_world, sandbox):
    other = a_foreign_batch(sandbox, key=KEY)

    [finding] = an_audit(a_world(3))[1]

    assert (finding.case, id_of(finding)) == (Case.FOREIGN_KEY, other)
    assert finding.batch is not None
    assert finding.batch.key == KEY


def test_a_second_batch_of_a_key_is_a_twin_of_the_one_that_the_ledger_follows(a_world):
    world = a_world(3)
    world.submit()
    second = sent_again(world)

    [finding] = an_audit(world)[1]

    assert (finding.case, id_of(finding)) == (Case.SAME_KEY, second)
    assert finding.twin_of == world.batch.provider_id
    assert finding.row == world.batch


def test_two_batches_of_one_foreign_key_are_an_unknown_one_and_its_twin(a_world, clock, sandbox):
    first = a_foreign_batch(sandbox, key=KEY)
    clock.advance(60)
    second = a_foreign_batch(sandbox, key=KEY)

    found = an_audit(a_world(3))[1]

    assert {(each.case, id_of(each), each.twin_of) for each in found} == {
        (Case.FOREIGN_KEY, second, None),
        (Case.SAME_KEY, first, second),
    }


def test_a_batch_whose_reply_was_lost_is_an_orphan_until_it_is_taken_up(in_doubt):
    [finding] = an_audit(in_doubt)[1]
    assert (finding.case, finding.row) == (Case.LOST_REPLY, in_doubt.batch)

    recover(in_doubt.deployment)

    assert id_of(finding) == in_doubt.batch.provider_id
    assert cases(in_doubt) == []


def test_a_batch_that_is_being_sent_is_no_orphan(a_world, border, provider_at):
    def audited_meanwhile(reply: Reply) -> bytes:
        found.append(cases(world))
        return reply.sent()

    found: list[object] = []
    border.change(POST_BATCHES, audited_meanwhile)
    world = a_world(3, via=provider_at(border.base_url))

    world.submit()

    assert found == [[]]


def test_beside_an_orphan_a_second_batch_of_its_key_is_a_twin(in_doubt, clock):
    [(_, first)] = cases(in_doubt)
    clock.advance(60)
    second = sent_again(in_doubt)

    assert set(cases(in_doubt)) == {(Case.LOST_REPLY, second), (Case.SAME_KEY, first)}


def test_a_batch_that_was_listed_too_late_is_found_before_its_shard_is_sent_again(in_doubt, script):
    listed_nowhere(script)
    recover(in_doubt.deployment)
    assert in_doubt.states == ["planned"]

    [(case, late)] = cases(in_doubt)
    dispatch(in_doubt.deployment, in_doubt.request_set)

    assert case is Case.RELEASED
    assert cases(in_doubt) == [(Case.SAME_KEY, late)]


def test_what_a_person_gave_up_and_the_provider_has_is_an_orphan_and_later_a_twin(in_doubt):
    [(_, first)] = cases(in_doubt)
    give_up(in_doubt.ledger, in_doubt.batch.id, owner="ada")
    assert cases(in_doubt) == [(Case.GIVEN_UP, first)]

    in_doubt.submit()

    [finding] = an_audit(in_doubt)[1]
    assert (finding.case, id_of(finding)) == (Case.OFFERED_AGAIN, first)
    assert finding.twin_of == in_doubt.batches[-1].provider_id


def test_a_followed_batch_that_was_sent_again_all_the_same_is_a_twin(a_world):
    world = a_world(3)
    world.submit()
    first = str(world.batch.provider_id)
    offer_again(world.ledger, world.batch.id, owner="ada")

    dispatch(world.deployment, world.request_set)

    assert cases(world) == [(Case.OFFERED_AGAIN, first)]


def test_only_a_further_attempt_at_the_same_shard_makes_a_twin(a_world):
    world = a_world(3, limits=TWO_ROWS)
    world.submit()
    one, other = world.batches
    give_up(world.ledger, one.id, owner="ada")
    offer_again(world.ledger, other.id, owner="ada")

    dispatch(world.deployment, world.request_set)

    assert set(cases(world)) == {
        (Case.GIVEN_UP, one.provider_id),
        (Case.OFFERED_AGAIN, other.provider_id),
    }


def test_a_batch_that_the_provider_has_lost_is_missing(a_world, sandbox):
    world = a_world(3)
    world.submit()
    sandbox.state.reset()

    [finding] = an_audit(world)[1]

    assert (finding.case, finding.row) == (Case.GONE, world.batch)


def test_a_batch_that_the_list_leaves_out_is_not_missing_where_the_provider_knows_it(
    a_world, script
):
    world = a_world(3)
    world.submit()
    listed_nowhere(script, times=2)

    assert cases(world) == []


def test_of_very_many_missing_batches_some_are_asked_about(a_world, sandbox, monkeypatch):
    monkeypatch.setattr(auditing, "MOST_ASKED", 1)
    world = a_world(3, limits=TWO_ROWS)
    world.submit()
    sandbox.state.reset()

    assert sorted(case for case, _ in cases(world)) == [Case.GONE, Case.NOT_LISTED]


def test_a_batch_that_is_collected_meanwhile_is_not_missing(a_world, border, provider_at):
    def collected_meanwhile(reply: Reply) -> bytes:
        border.change(LIST_BATCHES, whole)
        world.poll(LATENCY)
        world.collect()
        world.sandbox.state.reset()
        return edited(lambda body: b'{"data": [], "has_more": false}')(reply)

    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    border.change(LIST_BATCHES, collected_meanwhile)

    assert cases(world) == []
    assert world.states == ["collected"]


def test_an_open_batch_that_is_older_than_what_is_read_is_counted(a_world, sandbox, clock):
    world = a_world(3)
    world.submit()
    sandbox.state.reset()
    clock.advance(3 * 86_400)

    audit, found = an_audit(world, days=2)

    assert (found, audit.older) == ([], 1)


def test_without_a_list_of_batches_the_open_ones_are_asked_about_alone(a_world, sandbox, script):
    world = a_world(3)
    world.submit()
    sandbox.state.reset()
    script.replies["batches.list"] = [refusal(404), refusal(404)]

    audit, [finding] = an_audit(world)

    assert finding.case is Case.GONE
    assert [sentence.partition(":")[0] for sentence in audit.unread] == ["listing the batches"]


def test_without_a_list_those_that_nobody_asked_about_are_counted_and_not_missing(
    a_world, sandbox, script, monkeypatch
):
    monkeypatch.setattr(auditing, "MOST_ASKED", 1)
    world = a_world(3, limits=TWO_ROWS)
    world.submit()
    sandbox.state.reset()
    script.replies["batches.list"] = [refusal(404), refusal(404)]

    audit, found = an_audit(world)

    assert [each.case for each in found] == [Case.GONE]
    assert audit.unread[-1] == "1 open batches were not asked about one by one"


def test_a_provider_that_cannot_be_asked_is_no_clean_account(a_world, script):
    world = a_world(3)
    world.submit()
    script.replies["batches.list"] = [refusal(503)]

    with pytest.raises(ProviderUnavailable):
        an_audit(world)


def test_an_audit_changes_nothing(in_doubt, border, sandbox):
    a_foreign_batch(sandbox)
    before = in_doubt.batches
    border.calls.clear()

    an_audit(in_doubt)

    assert in_doubt.batches == before
    assert {call.partition(" ")[0] for call in border.calls} == {"GET"}


class Counting(OpenAIProvider):
    """Counts what is taken of its list, which may be in another order."""

    taken = 0
    #: Places of the list from new to old, in the order in which it is told.
    order: Sequence[int] = ()

    def batches(self, *, after: str | None = None) -> Iterator[ProviderBatch]:
        found = list(super().batches(after=after))
        for place in self.order:
            self.taken += 1
            yield found[place]


@pytest.fixture
def counting(sandbox: RunningSandbox) -> Iterator[Counting]:
    provider = Counting(
        api_key="sk-test-0123456789",
        limits=LIMITS,
        budget=Budget(),
        timeout_seconds=10.0,
        max_retries=0,
        account="openai",
        base_url=sandbox.base_url,
    )
    yield provider
    provider.close()


@pytest.mark.parametrize(
    ("order", "taken"),
    [
        # from new to old: two behind the time show it
        ([0, 1, 2, 3, 4, 5], 4),
        # from old to new
        ([5, 4, 3, 2, 1, 0], 6),
        # two of one moment say nothing of the order
        ([5, 5, 0, 1], 4),
        # once it has risen, it promises nothing any more
        ([1, 2, 0, 3, 4, 5], 6),
    ],
)
def test_a_list_is_read_back_as_far_as_its_order_allows(
    a_world, sandbox, clock, counting, monkeypatch, order, taken
):
    """A list from new to old ends behind the time; of another one only the end is the end."""
    monkeypatch.setattr(reading, "BEHIND", 2)
    for _ in range(6):
        a_foreign_batch(sandbox)
        clock.advance(30 * 86_400)
    counting.order = order

    an_audit(a_world(3, via=counting), days=61)

    assert counting.taken == taken
