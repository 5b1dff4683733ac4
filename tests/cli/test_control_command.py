"""Orders at the terminal: the same stages as the UI's jobs, on record with who gave them."""

import pytest
from command_answers import rows_of
from stage_answers import NOT_JSON, Flaky
from stage_world import LATENCY, refusal

from batch_assets.domain.control import Scope
from batch_assets.domain.shard import Limits

TWO_ROWS = Limits(requests=2, bytes=10**6)


def paused(world) -> list[str]:
    return [str(each) for each in world.ledger.pauses.standing()]


def test_a_pause_stands_in_the_ledger_with_who_gave_it_and_why(a_world, call):
    world = a_world(3)
    world.submit()

    [row] = rows_of(
        call("pause", "words", "--reason", "lunch", "--by", "ada", "-o", "json"), "order/1"
    )

    assert (row["order"], row["scope"], row["open_batches"]) == ("pause", "inference words", 1)
    assert paused(world) == ["inference words is paused by ada (command line): lunch"]


def test_an_order_is_of_the_partitions_that_are_named(a_world, call):
    a_world(1, partition_key="a").submit()
    world = a_world(2, partition_key="b")
    world.submit()

    call("pause", "words", "--partition", "a", "--partition", "b", "--reason", "lunch")

    assert [each.scope.partition_key for each in world.ledger.pauses.standing()] == ["a", "b"]


def test_an_account_is_paused_and_resumed(a_world, call):
    world = a_world(3)
    world.submit()

    call("pause", "--account", "openai", "--reason", "audit")
    before = paused(world)
    [row] = rows_of(call("resume", "--account", "openai", "-o", "json"), "order/1")

    assert len(before) == 1
    assert (row["concerned"], paused(world)) == (1, [])


def test_nothing_that_was_not_ordered_is_resumed(a_world, call):
    world = a_world(3)
    world.submit()
    call("pause", "words", "--reason", "lunch", "--by", "ada")

    refused = call("resume", "words", "--partition", "p")

    assert refused.exit_code == 3
    assert "nothing was ordered for partition p of words" in refused.stderr
    assert "lunch" in refused.stderr
    assert len(paused(world)) == 1


def test_drained_what_is_at_the_provider_finishes(a_world, call, clock):
    world = a_world(3)
    world.submit()

    [row] = rows_of(
        call("cancel", "words", "--drain", "--reason", "wrong", "-o", "json"), "order/1"
    )
    world.finish()

    assert (row["concerned"], row["open_batches"]) == (1, 1)
    assert world.column("outcome") == ["ok"] * 3


def test_now_the_provider_is_asked_to_cancel_what_it_has(a_world, call, code_location):
    world = a_world(3)
    world.submit()

    ended = call("cancel", "words", "--now", "--reason", "wrong", "-m", code_location)

    assert ended.exit_code == 0, ended.output
    assert world.batch.cancel_requested_at is not None
    world.finish(10)
    assert set(world.column("outcome")) == {"cancelled"}


def test_a_provider_that_could_not_be_told_ends_it_with_6_and_the_order_stands(
    a_world, call, code_location, script
):
    world = a_world(3)
    world.submit()
    script.replies["batches.cancel"] = [refusal(503)]

    ended = call("cancel", "words", "--now", "--reason", "wrong", "-m", code_location)

    assert ended.exit_code == 6
    assert "could not be told yet" in ended.stderr
    assert world.request_set.cancelled_at is not None
    assert world.ledger.batches_to_cancel(world.batch.account) == [world.batch]


def test_without_the_providers_key_it_ends_with_6_and_names_the_variable(
    a_world, call, monkeypatch
):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    world = a_world(3)
    world.submit()

    ended = call("cancel", "words", "--now", "--reason", "wrong")

    assert ended.exit_code == 6
    assert "OPENAI_API_KEY" in ended.stderr
    assert world.request_set.cancelled_at is not None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["pause", "--reason", "x"], "give an INFERENCE, --account or --backfill"),
        (["pause", "words", "--account", "openai", "--reason", "x"], "exactly one of"),
        (["pause", "--partition", "p", "--reason", "x"], "of which inference?"),
        (["pause", "words"], "--reason"),
        (["pause", "words", "--reason", " "], "--reason"),
        (["cancel", "words", "--reason", "x"], "--drain or --now"),
        (["cancel", "words", "--now"], "--reason"),
        (["resume", "words", "--by", ""], "by"),
        (["retry", "words"], "--outcome"),
        (["retry", "words", "--outcome", "ok"], "cancelled, errored, expired"),
    ],
)
def test_wrong_use_ends_with_2_and_orders_nothing(a_world, call, given, said):
    world = a_world(3)
    world.submit()

    refused = call(*given)

    assert refused.exit_code == 2
    assert said in refused.stderr
    assert (paused(world), world.request_set.cancelled_at) == ([], None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["pause", "wrods", "--reason", "x"], "the ledger has no wrods"),
        (["pause", "words", "--partition", "x", "--reason", "x"], "no partition 'x' of words"),
        (["pause", "--account", "acme", "--reason", "x"], "no account acme; it has openai"),
        (["cancel", "--backfill", "b", "--drain", "--reason", "x"], "of b"),
    ],
)
def test_what_the_ledger_has_never_heard_of_ends_with_3(a_world, call, given, said):
    a_world(3).submit()

    refused = call(*given)

    assert refused.exit_code == 3
    assert said in refused.stderr


def test_items_are_asked_again_by_a_persons_word(a_world, call, script, code_location):
    script.line = Flaky({1: [NOT_JSON] * 3})
    world = a_world(3)
    world.carry()

    [row] = rows_of(
        call("retry", "words", "--outcome", "invalid", "-m", code_location, "-o", "json"),
        "retry/1",
    )

    assert (row["requests"], row["refused"]) == (1, None)
    world.finish(LATENCY)
    assert world.column("outcome") == ["ok"] * 3


def test_a_partition_on_its_way_is_not_asked_again_and_the_others_are(
    a_world, call, script, code_location
):
    script.line = Flaky({1: [NOT_JSON] * 3})
    a_world(3, partition_key="a").carry()
    a_world(2, partition_key="b", user="Another {{ word }}").submit()

    rows = rows_of(
        call("retry", "words", "--outcome", "invalid", "-m", code_location, "-o", "json"),
        "retry/1",
        code=4,
    )

    assert [row["requests"] for row in rows] == [1, 0]
    assert "is on its way" in rows[1]["refused"]


def test_results_that_were_deleted_are_made_anew_without_a_call(
    a_world, call, code_location, sandbox
):
    world = a_world(3)
    world.carry()
    before, bought = world.results(), world.executions
    world.files.delete(world.layout.results)

    [row] = rows_of(call("resolve", "words", "-m", code_location, "-o", "json"), "resolve/1")

    assert (row["items"], row["ok"]) == (3, 3)
    assert world.results() == before
    assert world.executions == bought


def test_a_partition_without_final_results_is_not_resolved(a_world, call, code_location):
    world = a_world(3)
    world.submit()

    [row] = rows_of(
        call("resolve", "words", "-m", code_location, "-o", "json"), "resolve/1", code=1
    )

    assert "batch-assets wait" in row["refused"]
    assert not world.files.exists(world.layout.results)


def test_what_needs_a_declaration_says_where_to_get_it(a_world, call):
    a_world(3).carry()

    refused = call("resolve", "words")

    assert refused.exit_code == 1
    assert "name its code location with -m" in refused.stderr


def test_the_ui_lifts_what_the_terminal_paused(a_world, call):
    world = a_world(3)
    world.submit()
    call("pause", "words", "--reason", "lunch")

    assert world.ledger.pauses.lift(Scope(inference="words"), owner="run 1") == 1
