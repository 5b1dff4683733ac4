"""Whatever a line of the provider's files says, its item has one outcome and one price."""

from datetime import timedelta

import pytest

from batch_assets.domain.wave import TRANSIENT, RetryPolicy
from batch_assets.sandbox import (
    Answer,
    DuplicateLine,
    ForeignLine,
    HalfLine,
    ItemError,
    LineError,
    LineSeparators,
    MalformedLine,
    MissingLine,
    NotJson,
    NullResponse,
    OffSchema,
    Refusal,
    StringBody,
    TruncatedAnswer,
    ZeroStatus,
)

#: The item that the script hits.
HIT = "word 1"


def named(value):
    return repr(value) if hasattr(value, "written") else None


# Answers that are there


@pytest.mark.parametrize(
    "fault",
    [
        LineSeparators(),
        StringBody(),
        DuplicateLine(),
        DuplicateLine("I say something else."),
        ForeignLine("nobody"),
    ],
    ids=named,
)
def test_an_answer_that_is_there_is_taken_whatever_stands_around_it(a_world, faults, fault):
    hit = faults.items(fault, containing=HIT)
    world = a_world(4)

    world.carry()

    assert hit.hits == 1
    world.judged("ok", executed=4)
    assert world.executions["batches_created"] == 1


def test_a_line_separator_in_an_answer_ends_no_line(a_world, faults):
    faults.items(LineSeparators())
    world = a_world(4)

    world.carry()

    assert [row["output"]["words"] for row in world.results()] == [
        [f"Word:\u2028word\u2028{row}"] for row in range(4)
    ]
    world.judged("ok", executed=4)


def test_a_second_line_of_an_item_is_counted_and_buys_nothing(a_world, faults):
    """Row 16: more lines than requests; the answer that is valid stands."""
    faults.items(DuplicateLine("I say something else."), containing=HIT)
    world = a_world(4)

    lines = world.carry().lines

    assert (lines.duplicate, lines.contradictory) == (1, 1)
    world.judged("ok", executed=4)


def test_a_line_of_nobodys_is_counted_and_is_no_item(a_world, faults):
    """Row 16: a foreign id has a number of its own and no row."""
    faults.items(ForeignLine("nobody"), containing=HIT)
    world = a_world(4)

    assert world.carry().lines.foreign == 1

    world.judged("ok", executed=4)


# Answers that cannot be used


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Refusal(), "refused"),
        (Answer("No more.", finish_reason="content_filter"), "refused"),
        (TruncatedAnswer(), "truncated"),
    ],
    ids=named,
)
def test_an_answer_that_another_try_would_not_better_is_final(a_world, faults, fault, outcome):
    faults.items(fault, containing=HIT)
    world = a_world(4)

    world.carry()

    world.judged("ok", outcome, "ok", "ok", executed=4)
    assert world.executions["batches_created"] == 1


#: Each was executed, and its answer is not one: asked again, it is paid for again.
NO_ANSWERS = [
    (NotJson(), "invalid", 0),
    (OffSchema(), "invalid", 0),
    (MissingLine(), "missing", 1),
    (ForeignLine("nobody", in_place=True), "missing", 1),
    (HalfLine(), "missing", 1),
    (MalformedLine("<html>"), "missing", 1),
    (NullResponse(executed=True), "invalid", 1),
    (ZeroStatus(executed=True), "errored", 1),
]


@pytest.mark.parametrize(("fault", "outcome", "unseen"), NO_ANSWERS, ids=named)
def test_an_item_without_an_answer_is_asked_once_more_and_no_other_is(
    a_world, faults, fault, outcome, unseen
):
    faults.items(fault, containing=HIT, times=1)
    world = a_world(4)

    world.carry()

    world.judged("ok", executed=5, most=2, unseen=unseen)
    assert world.attempts == [1, 2, 1, 1]


@pytest.mark.parametrize(("fault", "outcome", "unseen"), NO_ANSWERS, ids=named)
def test_an_item_that_never_gets_its_answer_is_asked_as_often_as_allowed(
    a_world, faults, fault, outcome, unseen
):
    faults.items(fault, containing=HIT)
    world = a_world(4, max_waves=3)

    world.carry()

    world.judged("ok", outcome, "ok", "ok", executed=6, most=3, unseen=3 * unseen)
    assert world.attempts == [1, 3, 1, 1]


# Requests that did not run


#: None was executed: asked again, it is paid for once.
UNRUN = [
    (NullResponse(), "invalid"),
    (ZeroStatus(), "errored"),
    (ItemError(429), "errored"),
    (ItemError(408, code="request_timeout"), "errored"),
    (ItemError(500), "errored"),
    (ItemError(503, code="overloaded"), "errored"),
    (LineError("batch_expired"), "expired"),
    (LineError("request_timeout"), "errored"),
]


@pytest.mark.parametrize(("fault", "outcome"), UNRUN, ids=named)
def test_a_request_that_failed_for_now_is_asked_again_and_paid_for_once(
    a_world, faults, fault, outcome
):
    """Row 15: a line of status 0 did not run, though it is counted as completed."""
    faults.items(fault, containing=HIT, times=1)
    world = a_world(4)

    world.carry()

    world.judged("ok", executed=4)
    assert world.attempts == [1, 2, 1, 1]


@pytest.mark.parametrize(("fault", "outcome"), UNRUN, ids=named)
def test_a_request_that_always_fails_is_given_up_with_its_reason(a_world, faults, fault, outcome):
    faults.items(fault, containing=HIT)
    world = a_world(4, max_waves=3)

    world.carry()

    world.judged("ok", outcome, "ok", "ok", executed=3)
    assert world.attempts == [1, 3, 1, 1]
    assert world.column("error_message")[1]


@pytest.mark.parametrize(
    ("fault", "outcome", "code"),
    [
        (ItemError(400), "errored", "invalid_value"),
        (ItemError(404), "errored", "404"),
        (ItemError(501), "errored", "501"),
        (LineError("server_is_cross"), "errored", "server_is_cross"),
        (LineError("batch_cancelled"), "cancelled", "batch_cancelled"),
    ],
    ids=named,
)
def test_a_request_that_failed_for_good_is_final_at_once(a_world, faults, fault, outcome, code):
    faults.items(fault, containing=HIT)
    world = a_world(4)

    world.carry()

    world.judged("ok", outcome, "ok", "ok", executed=3)
    assert world.column("error_code")[1] == code
    assert world.executions["batches_created"] == 1


def test_errors_are_read_from_the_error_file_of_any_server(a_world, faults):
    """Rows 12 and 13: the error file of a compatible server was not read, and its items vanished.

    The account here is one of a server that speaks OpenAI's API and is not OpenAI.
    """
    faults.items(ItemError(400), share=0.5)
    world = a_world(20)

    world.carry()

    outcomes = world.column("outcome")
    assert {"ok", "errored"} == set(outcomes)
    world.judged(*outcomes, executed=outcomes.count("ok"))
    assert set(world.column("error_code")) == {None, "invalid_value"}


# Waves


def test_a_further_wave_waits_longer_each_time(a_world, faults):
    faults.items(ItemError(500), containing=HIT)
    world = a_world(4, max_waves=4)
    world.send()
    waits = []

    while len(waits) < 3:
        world.tick()
        [*_, newest] = world.batches
        if newest.state == "planned":
            waits.append(newest.not_before - world.ledger.clock())
            world.clock.advance(waits[-1].total_seconds())
            world.advance()

    assert waits[0] < waits[1] < waits[2]
    assert waits[0] >= 0.75 * RetryPolicy().first_wait
    world.bring_home()
    world.judged("ok", "errored", "ok", "ok", executed=3)


def test_every_kind_of_failure_at_once_ends(a_world, faults):
    """Row 27: each item is hit by one of all the faults, twice, and gets its answer in the end."""
    every = [*NO_ANSWERS, *UNRUN]
    for kind, (fault, *_) in enumerate(every):
        faults.items(fault, where=lambda body, kind=kind: number_in(body) == kind, times=2)
    world = a_world(2 * len(every))
    bought = 3 * len(NO_ANSWERS) + len(UNRUN) + len(every)

    world.carry()

    unseen = sum(2 * lost for *_, lost in NO_ANSWERS)
    world.judged("ok", executed=bought, most=3, unseen=unseen)
    assert world.attempts == [3] * len(every) + [1] * len(every)


def number_in(body):
    """The number of the item that a request is about."""
    return int(body["messages"][-1]["content"].rpartition(" ")[2])


def test_what_the_policy_does_not_name_is_never_asked_again(a_world, faults):
    faults.items(MissingLine(), containing=HIT)
    world = a_world(4)
    policy = RetryPolicy(ask_again=TRANSIENT - {"missing"}, first_wait=timedelta())
    object.__setattr__(world.recipe, "retries", policy)

    world.carry()

    world.judged("ok", "missing", "ok", "ok", executed=4, unseen=1)
