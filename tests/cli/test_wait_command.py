"""`batch-assets wait`: until the results are there, or nothing more comes by itself."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from command_answers import rows_of
from stage_answers import DOWN, NOT_JSON, Flaky
from stage_world import LATENCY, refusal

from batch_assets.cli.declared import Declared
from batch_assets.cli.watch import Fate, Watch
from batch_assets.domain.budget import Budget
from batch_assets.domain.control import Scope
from batch_assets.domain.shard import Limits
from batch_assets.ledger.turns import DEMAND_LASTS
from batch_assets.stages.dispatch import dispatch


def test_a_partition_with_results_is_not_waited_for(a_world, call):
    a_world(3).carry()

    [row] = rows_of(call("wait", "words", "-o", "json"), "wait/1")

    assert (row["partition"], row["fate"], row["items"], row["ok"]) == ("p", "resolved", 3, 3)


def test_items_without_an_answer_to_use_end_it_with_4(a_world, call, script):
    script.line = Flaky({1: [NOT_JSON] * 9})
    a_world(3).carry()

    [row] = rows_of(call("wait", "words", "-o", "json"), "wait/1", code=4)

    assert (row["items"], row["ok"]) == (3, 2)


def test_what_is_on_its_way_when_the_time_is_over_ends_it_with_7(a_world, call):
    a_world(3).submit()

    waited = call("wait", "words", "--timeout", 0, "--no-refresh")

    assert waited.exit_code == 7
    assert "0 of 1 partitions resolved, 0 of 3 requests" in waited.stderr
    assert "batch-assets wait words" in waited.stderr


def test_without_a_declaration_it_says_that_it_only_watches(a_world, call):
    a_world(3).submit()

    waited = call("wait", "words", "--timeout", 0)

    assert "Only watching" in waited.stderr
    assert "-m" in waited.stderr


def test_with_the_code_location_it_brings_the_results_itself(a_world, call, code_location, clock):
    world = a_world(3)
    world.submit()
    clock.advance(LATENCY)

    [row] = rows_of(
        call("wait", "words", "-m", code_location, "--timeout", 0, "-o", "json"), "wait/1"
    )

    assert (row["fate"], row["ok"]) == ("resolved", 3)
    assert world.column("outcome") == ["ok"] * 3


def test_it_goes_on_through_waves_until_all_is_resolved(a_world, script, clock):
    script.line = Flaky({1: [NOT_JSON]})
    world = a_world(3)
    world.submit()
    watch = Watch(
        world.ledger, "words", declared=Declared(recipe=world.recipe, deployment=world.deployment)
    )
    seen: list[str] = []

    looked = watch.until_over(
        lambda look: seen.append(str(look)), timeout=None, sleep=clock.advance, clock=clock.now
    )

    assert looked.fates == {Fate.RESOLVED: 1}
    assert seen[0] == "0 of 1 partitions resolved, 0 of 3 requests"
    assert world.column("wave") == [0, 1, 0]


def test_what_is_asked_again_later_says_in_how_long(a_world, script, clock):
    script.line = Flaky({1: [DOWN]})
    world = a_world(3)
    world.submit()
    clock.advance(LATENCY)
    declared = Declared(recipe=world.recipe, deployment=world.deployment)

    [seen] = Watch(world.ledger, "words", declared=declared).look().partitions

    assert seen.fate is Fate.PENDING
    assert re.fullmatch(r"what has no answer is asked again in \d+ (s|min)", seen.why)


def test_no_look_is_waited_for_longer_than_the_time_that_is_left(a_world, clock):
    world = a_world(3)
    world.submit()
    watch = Watch(world.ledger, "words", every=timedelta(seconds=30))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)

    watch.until_over(lambda look: None, timeout=70, sleep=sleep, clock=clock.now)

    assert slept == [30, 30, 10]


def test_a_batch_that_others_preceded_says_when_it_is_expected(a_world, call):
    for number in range(5):
        a_world(1, partition_key=f"p{number}", reuse=False).carry()
    world = a_world(2, partition_key="q", reuse=False)
    world.submit()

    looked = Watch(world.ledger, "words", ["q"]).look()

    assert looked.expected == world.batches[-1].submitted_at + timedelta(seconds=LATENCY)
    assert "expected" in looked.time


def test_what_wants_approval_ends_it_with_5(a_world, call):
    a_world(3, needs_approval=True).submit()

    waited = call("wait", "words", "--timeout", 60, "--no-refresh", "-o", "json")

    [row] = rows_of(waited, "wait/1", code=5)
    assert row["fate"] == "approval"
    assert "batch-assets approve words" in waited.stderr


def test_a_stopped_account_ends_it_with_4_and_says_why(a_world, call):
    world = a_world(3)
    scope = Scope(account=world.deployment.provider.account)
    world.ledger.pauses.add(scope, owner="sensor", reason="no credit", is_stop=True)
    with pytest.raises(Exception, match="no credit"):
        world.submit()

    [row] = rows_of(call("wait", "words", "--no-refresh", "-o", "json"), "wait/1", code=4)

    assert row["fate"] == "stopped"
    assert "no credit" in row["why"]


def test_a_pause_is_waited_out_and_told(a_world, call):
    world = a_world(3)
    world.ledger.pauses.add(Scope(inference="words"), owner="ada", reason="lunch")
    world.submit()

    waited = call("wait", "words", "--no-refresh", "--timeout", 0)

    assert waited.exit_code == 7
    assert "inference words is paused by ada: lunch" in waited.stderr


def test_a_provider_that_is_away_is_told_and_tried_again(a_world, script, clock):
    world = a_world(3)
    world.submit()
    script.replies["batches.list"] = [refusal(503, message="busy")]
    clock.advance(LATENCY)
    declared = Declared(recipe=world.recipe, deployment=world.deployment)
    watch = Watch(world.ledger, "words", declared=declared)

    first, second = watch.look(), watch.look()

    assert first.troubles
    assert first.fates == {Fate.PENDING: 1}
    assert second.fates == {Fate.RESOLVED: 1}


@pytest.mark.parametrize(("named", "sent"), [([], 2), (["p"], 2), (["another"], 4)])
def test_what_is_waited_for_keeps_its_share_of_the_room(
    a_world, sandbox, provider_at, clock, named, sent
):
    """Of room for four, another inference is left two, and more only where p is nobody's wish."""
    lasts = DEMAND_LASTS.total_seconds() + 1
    sandbox.state.change_settings({"latency": lasts + 60})
    via = provider_at(sandbox.base_url, budget=Budget(batches=4))
    one_row = Limits(requests=1, bytes=10**6)
    world = a_world(12, via=via, limits=one_row)
    world.submit()
    other = a_world(12, via=via, limits=one_row, inference="verbs", user="Verb: {{ word }}")
    other.deployment = replace(other.deployment, owner="run-2")
    other.submit()
    declared = Declared(recipe=world.recipe, deployment=world.deployment)
    clock.advance(lasts)

    Watch(world.ledger, "words", named, declared=declared).look()
    other.ledger.request_sets.want(["verbs"])
    other.poll(after=60)

    assert dispatch(other.deployment, other.request_set).sent == sent


def test_only_the_partitions_that_are_named_are_waited_for(a_world, call):
    a_world(3, partition_key="a").carry()
    a_world(2, partition_key="b").submit()

    rows = rows_of(call("wait", "words", "--partition", "a", "-o", "json"), "wait/1")

    assert [row["partition"] for row in rows] == ["a"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["wrods"], "Error: the ledger has no wrods; inferences it has: words\n"),
        (
            ["words", "--partition", "x"],
            "Error: the ledger has no partition 'x' of words; it has p\n",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_is(a_world, call, given, said):
    a_world(3).submit()

    refused = call("wait", *given, "--no-refresh")

    assert (refused.exit_code, refused.stderr) == (3, said)


def test_a_module_that_is_not_there_is_one_line(a_world, call):
    a_world(3).submit()

    refused = call("wait", "words", "-m", "no_such.module")

    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: the module no_such.module cannot be imported")


def test_interrupted_it_says_that_nothing_is_lost_and_how_to_go_on(a_world, db_path, files):
    world = a_world(3)
    world.submit()
    command = [sys.executable, "-m", "batch_assets.cli", "wait", "words", "--no-refresh"]
    command += ["--db-path", str(db_path), "--root", files.root]

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        os.kill(process.pid, signal.SIGINT)
        said = process.stderr.read()

    assert "0 of 1 partitions resolved" in first
    assert process.returncode == 130
    assert "nothing is lost" in said
    assert "batch-assets wait words" in said
    assert world.states == ["submitted"]
