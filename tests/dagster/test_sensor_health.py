"""What a tick tells of partitions on their way, and whether anybody asks at all."""

from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus

import batch_assets as ba
from batch_assets.assets import progress as told
from batch_assets.assets.health import FAILED_AFTER, SENSOR_NAME, WARNED_AFTER, why_nobody_asks
from batch_assets.assets.keys import InferenceKeys
from batch_assets.operations import looks
from batch_assets.sandbox import SlowAnswer, running_sandbox

KEYS = InferenceKeys(inference="words", provider="openai")


def tick(world):
    """A tick whose events are written down, as the daemon does: observations and evaluations."""
    events = world.tick().asset_events
    for event in events:
        world.instance.report_runless_asset_event(event)
    observed = [event for event in events if isinstance(event, dg.AssetObservation)]
    checked = [event for event in events if isinstance(event, dg.AssetCheckEvaluation)]
    return observed, checked


# Progress


def test_each_quarter_is_observed_once_and_no_tick_between_them(world):
    world.sandbox.state.change_settings({"latency": 3_600})
    world.declare(world.inference(world.corpus(a=20)))
    world.submit("a")

    quarters = []
    for _ in range(60):
        world.clock.advance(60)
        observed, _ = tick(world)
        quarters += [event.metadata["share"].value for event in observed]

    assert len(quarters) <= 4
    assert [int(share * 4) for share in quarters] == sorted({int(share * 4) for share in quarters})
    assert quarters[-1] == 1.0


def test_an_observation_has_numbers_that_the_page_plots(world):
    world.sandbox.state.change_settings({"latency": 3_600})
    world.declare(world.inference(world.corpus(a=20)))
    world.submit("a")
    world.clock.advance(60)
    tick(world)
    world.clock.advance(2_400)

    [observed], _ = tick(world)

    said = {name: value.value for name, value in observed.metadata.items()}
    assert observed.asset_key == world.key("batches")
    assert (said["completed"], said["failed"], said["total"]) == (20 * said["share"], 0, 20)
    assert 0.5 <= said["share"] < 0.75
    assert said["age_hours"] == pytest.approx(2_460 / 3_600, abs=0.01)
    assert (said["batches_open"], said["batches_ended"], said["wave"]) == (1, 0, 0)


def test_more_news_than_a_tick_tells_is_told_by_the_next(world, monkeypatch):
    monkeypatch.setattr(told.news_of, "__kwdefaults__", {"most": 2})
    world.declare(world.inference(world.corpus(a=1, b=1, c=1)))
    world.submit("a", "c")
    tick(world)
    world.finish()

    partitions = [[event.partition for event in tick(world)[0]] for _ in range(3)]

    assert partitions == [["a", "b"], ["c"], []]


def test_news_is_not_told_again_by_another_process(world):
    world.declare(world.inference(world.corpus(a=1)))
    world.submit("a")
    world.finish()

    [observed], _ = tick(world)

    assert observed.metadata["progress"].value == "1 ended"
    assert told.news_of(world.ledger, ["words"]) == []


# Words


def test_a_tick_says_when_the_next_end_is_expected(world):
    world.declare(world.inference(world.corpus(a=1, b=1, c=1, d=1, e=1)))
    world.submit("a", "e")
    assert all(result.success for result in world.collect())
    world.declare(world.inference(world.corpus(a=["new"])))
    world.submit("a")
    due = world.ledger.clock() + timedelta(seconds=100)

    said = world.tick().skip_message

    assert said == f"openai/127.0.0.1: 1 batch open, oldest 0 s, next expected {due:%H:%M} UTC"


def test_a_tick_says_what_waits_by_what_it_waits_for(world):
    few = ba.OpenAIResource(api_key="sk-test", base_url=world.sandbox.base_url, max_open_batches=1)
    words, others = (
        world.inference(world.corpus("words", a=1, b=1, c=1)),
        world.inference(world.corpus("others", x=1), name="others"),
    )
    world.declare(words, others, openai=few)
    world.submit("a", "c")
    world.order("pause_batches", inference="others", reason="Not yet.")
    world.run("requests", "batches", partition="x", inference="others")

    said = world.tick().skip_message

    assert "1 batch open, oldest 0 s; 2 waiting for budget, 1 paused" in said


# Several providers, and a silent one


def test_a_silent_provider_keeps_no_other_waiting_and_the_tick_ends_in_time(world, monkeypatch):
    monkeypatch.setattr(looks, "PATIENCE", timedelta(seconds=2))
    words = world.inference(world.corpus(a=2))
    others = world.inference(world.corpus("others", x=2), name="others", provider="second")
    with running_sandbox(clock=world.clock, latency=100.0) as up:
        second = ba.OpenAIResource(api_key="sk-test", base_url=up.base_url, account="second")
        world.declare(words, others, second=second)
        world.submit("a")
        world.run("requests", "batches", partition="x", inference="others")
        world.finish()
        world.script.calls("*", SlowAnswer(30), times=None)

        [request] = world.tick().run_requests

    assert request.job_name == "others_collect"


# Health


def check(world) -> dg.AssetCheckEvaluation:
    """The check, run by hand."""
    selection = dg.AssetSelection.checks(dg.AssetCheckKey(world.key("batches"), "polled"))
    job = dg.define_asset_job("by_hand", selection=selection)
    defs = dg.Definitions.merge(world.defs, dg.Definitions(jobs=[job]))
    result = defs.resolve_job_def("by_hand").execute_in_process(instance=world.instance)
    [found] = result.get_asset_check_evaluations()
    return found


@pytest.mark.parametrize(
    ("unasked", "passed", "severity"),
    [
        (WARNED_AFTER, True, None),
        (WARNED_AFTER + timedelta(seconds=1), False, dg.AssetCheckSeverity.WARN),
        (FAILED_AFTER + timedelta(seconds=1), False, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_a_batch_that_nobody_asks_about_fails_the_check(world, unasked, passed, severity):
    world.declare(world.inference(world.corpus(a=1)))
    world.submit("a")
    world.clock.advance(unasked.total_seconds())

    found = check(world)

    assert found.passed is passed
    assert found.metadata["oldest_unasked_minutes"].value == unasked.total_seconds() / 60
    if not passed:
        assert found.severity is severity
        assert "see that the sensor batch_poll is on" in found.description


def test_a_tick_evaluates_the_check_where_its_outcome_changes(world):
    world.sandbox.state.change_settings({"latency": 80_000})
    world.declare(world.inference(world.corpus(a=1)))
    world.submit("a")

    outcomes = []
    for minutes, is_down in (
        (0, False),
        (5, False),
        (40, True),
        (5, True),
        (200, True),
        (1, False),
    ):
        world.clock.advance(60 * minutes)
        if is_down:
            world.script.refuse("batches.list", 503)
        _, checked = tick(world)
        outcomes.append([(each.passed, each.severity.value) for each in checked])
        world.script.clear()

    assert outcomes == [
        [],  # the run that submitted evaluated it
        [],
        [(False, "WARN")],
        [],
        [(False, "ERROR")],
        [(True, "WARN")],
    ]


def test_a_run_that_submits_can_tell_that_the_sensor_is_off(world, tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        on = why_nobody_asks(instance, world.ledger, KEYS)
        instance.add_instigator_state(a_stopped_sensor())
        off = why_nobody_asks(instance, world.ledger, KEYS)

    assert on is None
    assert off.startswith("the sensor batch_poll is switched off: nothing asks the provider")


def a_stopped_sensor() -> InstigatorState:
    from dagster._core.remote_origin import (
        RegisteredCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )

    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("location"), "repository")
    origin = RemoteInstigatorOrigin(repository, SENSOR_NAME)
    return InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED)


def test_a_run_that_submits_can_tell_that_nobody_has_asked_for_long(world):
    world.declare(world.inference(world.corpus(a=1)))
    world.submit("a")
    world.clock.advance(3_600)

    said = why_nobody_asks(world.instance, world.ledger, KEYS)

    assert said.startswith("the provider has said nothing of a batch for 60 min: see that")
