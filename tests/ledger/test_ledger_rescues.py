"""What the ledger keeps of a request set whose stragglers are asked live."""

from datetime import timedelta

from factories import a_provider_batch, a_shard
from ledger_world import ACCOUNT, abandoned, ended, open_set, planned, reserved, submitted

from batch_assets.domain.batch import Account, BatchState, RequestSet
from batch_assets.domain.provider import Phase
from batch_assets.ledger import Ledger

LANE = Account("openai-live")
WHY = {"owner": "run-1", "reason": "late"}


def current(ledger: Ledger) -> RequestSet:
    [request_set] = ledger.request_sets.current_ones("words")
    return request_set


def plan_live(ledger: Ledger, request_set: RequestSet, *, wave: int = 1) -> None:
    ledger.plan(
        request_set,
        [a_shard(wave=wave)],
        wave=wave,
        account=LANE,
        endpoint="/v1/chat/completions",
        owner="run-1",
    )


def test_a_rescue_begins_once_and_drops_what_was_not_sent(ledger: Ledger) -> None:
    sent, _ = planned(ledger, shards=2)
    submitted(ledger, sent)

    begun = [ledger.rescues.begin(current(ledger), **WHY) for _ in range(2)]

    assert begun == [True, False]
    assert [batch.state for batch in ledger.batches()] == ["submitted", "abandoned"]
    assert current(ledger).awaits_rescue
    dropped = ledger.batches(states={BatchState.ABANDONED})[0]
    assert ledger.events(dropped.id)[-1].reason == "late"


def test_what_is_open_is_to_be_cancelled_and_is_not_withdrawn(ledger: Ledger) -> None:
    submitted(ledger)
    ledger.rescues.begin(current(ledger), **WHY)
    [batch] = ledger.batches_to_cancel(ACCOUNT)

    ledger.polls.asked_to_cancel(batch)

    assert ledger.batches_to_cancel(ACCOUNT) == []
    asked = ledger.batch(batch.id)
    assert (asked.rescued_at, asked.cancel_requested_at) == (ledger.clock(), None)


def test_a_batch_that_was_being_sent_when_the_rescue_began_is_cancelled_too(
    ledger: Ledger,
) -> None:
    held = reserved(ledger)
    ledger.rescues.begin(current(ledger), **WHY)
    while_it_is_sent = ledger.batches_to_cancel(ACCOUNT)

    ledger.record(held, a_provider_batch("batch-1"), owner="run-1")

    assert while_it_is_sent == []
    assert [batch.id for batch in ledger.batches_to_cancel(ACCOUNT)] == [held.id]


def test_the_first_wave_after_its_beginning_is_the_rescue(ledger: Ledger) -> None:
    ended(ledger)
    ledger.rescues.begin(current(ledger), **WHY)

    plan_live(ledger, current(ledger), wave=1)
    plan_live(ledger, current(ledger), wave=2)

    found = current(ledger)
    assert (found.rescue_wave, found.wave, found.awaits_rescue) == (1, 2, False)
    assert [found.is_overtaken(wave) for wave in (0, 1, 2)] == [True, False, False]


def test_the_wave_that_is_rescued_is_not_sent_again(ledger: Ledger) -> None:
    abandoned(ledger)
    ledger.rescues.begin(current(ledger), **WHY)

    plan_live(ledger, current(ledger), wave=0)

    assert [batch.state for batch in ledger.batches()] == ["abandoned"]


def test_who_read_the_request_set_before_plans_nothing(ledger: Ledger) -> None:
    ended(ledger)
    before = current(ledger)
    ledger.rescues.begin(before, **WHY)

    plan_live(ledger, before)

    assert (current(ledger).wave, current(ledger).rescue_wave) == (0, None)


def test_a_batch_of_the_lane_is_not_cancelled_for_the_rescue(ledger: Ledger) -> None:
    ended(ledger)
    ledger.rescues.begin(current(ledger), **WHY)
    plan_live(ledger, current(ledger))
    live = ledger.batches(account=LANE)[0]
    held = reserved(ledger, live)
    ledger.record(held, a_provider_batch("live-1"), owner="run-1")

    assert ledger.batches_to_cancel(LANE) == []


def test_a_rescue_does_not_begin_for_what_is_cancelled_resolved_or_replaced(
    ledger: Ledger,
) -> None:
    planned(ledger)
    resolved = current(ledger)
    ledger.request_sets.resolve(resolved)
    assert not ledger.rescues.begin(resolved, **WHY)

    cancelled = open_set(ledger, digest="d2")
    ledger.request_sets.cancel(cancelled, cancels_batches=False, **WHY)
    assert not ledger.rescues.begin(cancelled, **WHY)

    replaced = open_set(ledger, digest="d3")
    open_set(ledger, digest="d4")
    assert not ledger.rescues.begin(replaced, **WHY)


def test_results_of_before_a_rescue_are_not_final(ledger: Ledger) -> None:
    """Who folded them did not know that more is to be asked."""
    ended(ledger)
    before = current(ledger)
    ledger.rescues.begin(before, **WHY)

    ledger.request_sets.resolve(before)

    assert current(ledger).resolved_at is None


def test_the_time_begins_anew_with_an_approval_and_with_what_a_person_takes_up(
    ledger: Ledger, ledger_clock
) -> None:
    first = ledger.request_sets.open("words", "p", "d1", needs_approval=True).submitted_at
    ledger_clock.advance(timedelta(hours=1))
    ledger.approvals.give("words", "p", "d1", given_by="ann", quote={})
    approved = current(ledger).submitted_at
    ledger_clock.advance(timedelta(hours=1))
    ledger.approvals.give("words", "p", "d1", given_by="ann", quote={})
    again = current(ledger).submitted_at
    ledger.request_sets.cancel(current(ledger), cancels_batches=False, **WHY)
    taken_up = ledger.request_sets.open("words", "p", "d1").submitted_at
    ledger_clock.advance(timedelta(hours=1))
    same = ledger.request_sets.open("words", "p", "d1").submitted_at

    hour = timedelta(hours=1)
    assert [first, approved, again, taken_up, same] == [
        first,
        first + hour,
        first + hour,
        first + 2 * hour,
        first + 2 * hour,
    ]


def test_a_cancelled_batch_says_nothing_of_how_long_one_takes(ledger: Ledger) -> None:
    batch = submitted(ledger)
    ledger.rescues.begin(current(ledger), **WHY)
    ledger.polls.asked_to_cancel(ledger.batch(batch.id))
    over = a_provider_batch("batch-1", phase=Phase.ENDED, status="cancelled")
    ledger.end(ledger.batch(batch.id), over, owner="sensor")

    assert ledger.polls.turnarounds(ACCOUNT) == []


def test_a_rescue_that_asks_for_an_approval_is_wanted_until_it_is_given(ledger: Ledger) -> None:
    submitted(ledger)
    request_set = current(ledger)
    ledger.rescues.ask(request_set, "too dear")

    wanted = [each.rescue_asks for each in ledger.approvals.wanted("words")]
    ledger.approvals.give(
        "words", request_set.partition_key, request_set.digest, given_by="ann", quote={}
    )

    assert wanted == ["too dear"]
    assert ledger.approvals.wanted("words") == []
    assert current(ledger).rescue_asks is None


def test_an_approval_of_a_rescue_does_not_begin_its_time_anew(ledger: Ledger, ledger_clock) -> None:
    submitted(ledger)
    request_set = current(ledger)
    ledger.rescues.ask(request_set, "too dear")
    ledger_clock.advance(timedelta(hours=1))

    ledger.approvals.give(
        "words", request_set.partition_key, request_set.digest, given_by="ann", quote={}
    )

    assert current(ledger).submitted_at == request_set.submitted_at


def test_a_rescue_that_has_begun_asks_for_nothing_any_more(ledger: Ledger) -> None:
    submitted(ledger)
    ledger.rescues.begin(current(ledger), **WHY)

    ledger.rescues.ask(current(ledger), "too dear")

    assert current(ledger).rescue_asks is None
