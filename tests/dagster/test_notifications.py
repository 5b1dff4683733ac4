"""A person is told what happened, away from the UI: once, in one message for many partitions."""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

import batch_assets as ba
from batch_assets.domain.batch import Account
from batch_assets.domain.checks import Check, Checks
from batch_assets.domain.control import Scope
from batch_assets.operations import event_log
from batch_assets.sandbox import ItemError

FINISHED, FAILED, STOPPED, APPROVAL, CHECK = ba.InferenceEventKind
ACCOUNT = "openai/127.0.0.1"


class Listener:
    """Whoever is told; its cursor is kept from tick to tick, as Dagster's daemon does."""

    def __init__(self, world) -> None:
        self.world = world
        self.heard: list[ba.InferenceEvent] = []
        self.cursor: str | None = None
        self.said: str | None = None
        self.deaf_to: set[object] = set()

        @ba.inference_sensor
        def tell(context: dg.SensorEvaluationContext, event: ba.InferenceEvent) -> None:
            if {event.kind, event.inference} & self.deaf_to:
                raise ConnectionError("no network")
            self.heard.append(event)

        self.sensor = tell

    def tick(self, *, is_killed: bool = False) -> list[ba.InferenceEvent]:
        """What is told by one tick; one that is killed leaves its cursor as it was."""
        before, world = len(self.heard), self.world
        with dg.build_sensor_context(
            instance=world.instance,
            definitions=world.defs,
            resources=dict(world.defs.resources or {}),
            cursor=self.cursor,
        ) as context:
            result = self.sensor.evaluate_tick(context)
        self.cursor = self.cursor if is_killed else result.cursor
        self.said = result.skip_message
        return self.heard[before:]


@pytest.fixture
def listener(world) -> Listener:
    return Listener(world)


def collect(world) -> None:
    assert all(result.success for result in world.collect())


def listening(world, listener: Listener, **partitions) -> None:
    """Two or more partitions are declared, and the sensor is turned on."""
    world.declare(world.inference(world.corpus(**partitions), prices=PRICES))
    assert listener.tick() == []


PRICES = ba.Prices(input=1.0, output=2.0)


# Finished


def test_partitions_that_finish_between_two_ticks_are_one_message(world, listener):
    listening(world, listener, a=2, b=3, c=1)
    world.submit("a", "b")
    collect(world)

    [event] = listener.tick()

    assert (event.kind, event.inference, sorted(event.partition_keys)) == (
        FINISHED,
        "words",
        ["a", "b"],
    )
    assert (event.items, event.coverage, event.open_partitions) == (5, 1.0, 0)
    assert event.path == "/assets/words/results?view=partitions"
    assert "results of 2 partitions" in event.sentence
    assert "5 items, 100.0% ok" in event.sentence
    assert "2 of 3 partitions have results, 0 failed, none is left open." in event.sentence


def test_what_they_cost_is_summed(world, listener):
    listening(world, listener, a=2, b=3)
    world.submit("a", "b")
    collect(world)

    [event] = listener.tick()

    costs = [
        world.materializations("results", key)[0].metadata["cost_usd"].value for key in ("a", "b")
    ]
    assert event.cost_usd == pytest.approx(sum(costs))
    assert event.cost_usd > 0


def test_a_message_counts_the_partitions_that_are_left_open(world, listener):
    listening(world, listener, a=2, b=3)
    world.submit("a")
    world.finish()
    requests = world.tick().run_requests
    world.submit("b")
    assert all(world.launch(request).success for request in requests)

    [event] = listener.tick()

    assert event.open_partitions == 1
    assert event.path == "/assets/words/results?view=partitions&partition=a"
    assert "1 of 2 partitions have results, 0 failed, 1 is left open." in event.sentence


def test_nothing_is_told_twice(world, listener):
    listening(world, listener, a=2)
    world.submit("a")
    collect(world)
    listener.tick()

    assert listener.tick() == []


def test_what_happened_before_it_was_turned_on_is_not_told(world, listener):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    collect(world)

    assert listener.tick() == []


def test_an_inference_that_is_declared_later_is_told_of_from_its_beginning(world, listener):
    listening(world, listener, a=1)
    world.declare(
        world.inference(world.corpus(a=1)),
        world.inference(world.corpus("others", x=1), name="others"),
    )
    world.run("requests", "batches", partition="x", inference="others")
    collect(world)

    assert [event.inference for event in listener.tick()] == ["others"]


def test_more_partitions_than_a_tick_reads_are_told_by_the_next(world, listener, monkeypatch):
    monkeypatch.setattr(event_log, "MOST", 2)
    listening(world, listener, a=1, b=1, c=1)
    world.submit("a", "c")
    collect(world)

    told = [[len(event.partition_keys) for event in listener.tick()] for _ in range(3)]

    assert told == [[2], [1], []]


def test_translated_assets_are_told_of_by_their_inference(world, listener):
    def translate(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(key=spec.key.with_prefix("team"))

    inference = world.inference(world.corpus(a=2))
    world.load(
        ba.batch_inference(inference, translate=translate),
        dg.Definitions(resources=world.resources()),
    )
    listener.tick()
    world.defs.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[
            dg.AssetKey(["team", "words", "requests"]),
            dg.AssetKey(["team", "words", "batches"]),
        ],
        partition_key="a",
        instance=world.instance,
    )
    collect(world)

    [event] = listener.tick()

    assert (event.inference, event.items) == ("words", 2)
    assert event.path == "/assets/team/words/results?view=partitions&partition=a"


# Failed


def test_a_failed_run_is_told_with_its_partitions_and_reasons(world, listener):
    listening(world, listener, a=2, b=["oak", None], c=1)
    run = world.submit("a", "c")

    [event] = listener.tick()

    assert (event.kind, event.inference, list(event.partition_keys)) == (FAILED, "words", ["b"])
    assert event.path == f"/runs/{run.run_id}"
    assert "b.parquet, row 1: word is null" in event.sentence
    assert "0 of 3 partitions have results, 1 failed, 2 are left open." in event.sentence


def test_the_last_message_says_how_the_inference_ended(world, listener):
    listening(world, listener, a=2, b=["oak", None], c=1)
    world.submit("a", "c")
    listener.tick()
    collect(world)

    [event] = listener.tick()

    assert "2 of 3 partitions have results, 1 failed, none is left open." in event.sentence


def test_failed_runs_of_one_inference_are_one_message(world, listener):
    listening(world, listener, a=[None], b=[None])
    world.submit("a")
    world.submit("b")

    [event] = listener.tick()

    assert list(event.partition_keys) == ["a", "b"]


def test_a_run_that_dagster_starts_again_is_not_told(world, listener):
    listening(world, listener, a=[None])
    run = world.submit("a")
    world.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})

    assert listener.tick() == []


def test_a_run_whose_process_died_is_told_of_the_inference_it_was_to_run(world, listener):
    listening(world, listener, a=2)
    run = world.instance.create_run_for_job(
        world.defs.resolve_job_def("words_collect"), tags={"dagster/partition": "a"}
    )
    world.instance.report_run_failed(run, "its machine is gone")

    [event] = listener.tick()

    assert (event.kind, list(event.partition_keys)) == (FAILED, ["a"])
    assert "its machine is gone" in event.sentence


def test_runs_of_the_users_own_assets_are_not_told(world, listener):
    @dg.asset
    def other() -> None:
        raise ValueError("theirs")

    world.declare(world.inference(world.corpus(a=2)), assets=[other])
    listener.tick()
    world.defs.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[dg.AssetKey("other")], instance=world.instance, raise_on_error=False
    )

    assert listener.tick() == []


def test_many_failures_of_others_do_not_keep_one_of_ours_from_being_told(
    world, listener, monkeypatch
):
    monkeypatch.setattr(event_log, "MOST", 1)

    @dg.asset
    def other() -> None:
        raise ValueError("theirs")

    world.declare(world.inference(world.corpus(a=[None])), assets=[other])
    listener.tick()
    for _ in range(2):
        world.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey("other")], instance=world.instance, raise_on_error=False
        )
    world.submit("a")

    told = [[event.kind for event in listener.tick()] for _ in range(4)]

    assert told == [[], [], [FAILED], []]


def test_what_one_inference_was_told_does_not_come_again_with_what_another_was_not(
    world, listener, monkeypatch
):
    world.declare(
        world.inference(world.corpus(a=[None])),
        world.inference(world.corpus("others", x=[None]), name="others"),
    )
    listener.tick()
    world.submit("a")
    world.submit("x", inference="others")
    listener.deaf_to = {"words"}
    first = listener.tick()
    listener.deaf_to = set()
    monkeypatch.setattr(event_log, "MOST", 1)

    later = [event.inference for _ in range(3) for event in listener.tick()]

    assert [event.inference for event in first] == ["others"]
    assert later == ["words"]


def test_a_run_that_names_no_partition_is_told_all_the_same(world, listener):
    listening(world, listener, a=2)
    run = world.instance.create_run_for_job(world.defs.resolve_job_def("words_collect"))
    world.instance.report_run_failed(run, "its machine is gone")

    [event] = listener.tick()

    assert event.partition_keys == []
    assert event.sentence.startswith("A run of words failed. 0 of 1 partitions")


# Stopped


def test_a_stop_is_told_once_and_again_when_it_comes_back(world, listener):
    listening(world, listener, a=2)
    world.script.refuse("batches.create", 401)
    world.submit("a")
    stopped, silent = listener.tick(), listener.tick()
    world.order("resume_batches", account=ACCOUNT)
    resumed = listener.tick()
    world.clock.advance(60)
    world.script.refuse("batches.create", 401)
    world.submit("a")

    again = listener.tick()

    [first] = [event for event in stopped if event.kind is STOPPED]
    assert f"account {ACCOUNT} is stopped" in first.sentence
    assert "resume_batches" in first.sentence
    assert first.inference is None
    assert silent == resumed == []
    assert [event.kind for event in again if event.kind is STOPPED] == [STOPPED]


def test_a_persons_pause_is_told_with_who_and_why(world, listener):
    listening(world, listener, a=2)
    world.order("pause_batches", inference="words", reason="too dear")

    [event] = listener.tick()

    assert (event.kind, event.inference) == (STOPPED, "words")
    assert "too dear" in event.sentence


def test_a_stop_of_somebody_elses_account_is_not_told(world, listener):
    listening(world, listener, a=2)
    world.ledger.pauses.add(
        Scope(account=Account("another")), owner="x", reason="no credit", is_stop=True
    )

    assert listener.tick() == []


# Approval


def test_an_approval_is_asked_for_once(world, listener):
    world.declare(world.inference(world.corpus(a=2, b=2), approval="required"))
    world.submit("a", "b")

    asked, silent = listener.tick(), listener.tick()

    [event] = asked
    assert (event.kind, list(event.partition_keys)) == (APPROVAL, ["a", "b"])
    assert "2 partitions (a, b) wait for an approval" in event.sentence
    assert event.path == "/assets/words/batches?view=partitions"
    assert silent == []


def test_a_canary_that_did_not_pass_is_told_with_the_reason(world, listener):
    checks = Checks(coverage=Check(at_least=1.0))
    world.declare(world.inference(world.corpus(a=12), canary=4, checks=checks))
    listener.tick()
    world.script.items(ItemError(status=400))
    world.submit("a")
    world.collect()

    [event] = [event for event in listener.tick() if event.kind is APPROVAL]

    assert list(event.partition_keys) == ["a"]
    assert "the canary did not pass" in event.sentence
    assert "a: 0 of 4 items are ok" in event.sentence


# Checks


def test_a_check_that_does_not_pass_is_told_with_what_it_found(world, listener, monkeypatch):
    monkeypatch.setattr(event_log, "SETTLED_AFTER", timedelta())
    listening(world, listener, a=2, b=2)
    report_check(world, "a")

    told, silent = listener.tick(), listener.tick()

    [event] = told
    assert (event.kind, list(event.partition_keys)) == (CHECK, ["a"])
    assert "coverage of a (warn): half of it" in event.sentence
    assert event.path == "/assets/words/results?view=checks"
    assert silent == []


def test_a_check_is_told_of_when_no_other_process_can_have_written_before_it(world, listener):
    listening(world, listener, a=2)
    report_check(world, "a")

    assert listener.tick() == []
    assert json.loads(listener.cursor)["checks"][""] <= datetime.now(UTC).timestamp()


def report_check(world, partition: str) -> None:
    world.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=world.key("results"),
            check_name="coverage",
            passed=False,
            partition=partition,
            severity=dg.AssetCheckSeverity.WARN,
            description="half of it",
        )
    )


# Trouble


def test_what_a_killed_tick_told_is_told_again(world, listener):
    listening(world, listener, a=2)
    world.submit("a")
    collect(world)

    killed, again = listener.tick(is_killed=True), listener.tick()

    assert [event.sentence for event in again] == [event.sentence for event in killed]
    assert len(again) == 1


def test_an_event_whose_function_raised_comes_again_and_the_others_do_not(world, listener):
    listening(world, listener, a=2, b=[None])
    world.submit("a", "b")
    collect(world)
    listener.deaf_to = {FAILED}
    first = listener.tick()
    listener.deaf_to = set()

    second = listener.tick()

    assert [event.kind for event in first] == [FINISHED]
    assert [event.kind for event in second] == [FAILED]


def test_a_tick_says_what_was_not_told(world, listener):
    listening(world, listener, a=2, b=[None])
    world.submit("a", "b")
    collect(world)
    listener.deaf_to = {FAILED}

    listener.tick()

    assert "1 events were told; 1 not, which come again" in listener.said
    assert "no network" in listener.said


def test_a_tick_that_tells_nobody_fails_and_loses_nothing(world, listener):
    listening(world, listener, a=2)
    world.submit("a")
    collect(world)
    listener.deaf_to = {FINISHED}
    with pytest.raises(Exception, match="no network"):
        listener.tick()
    listener.deaf_to = set()

    assert [event.kind for event in listener.tick()] == [FINISHED]


def test_a_first_tick_that_tells_nobody_loses_nothing_either(world, listener):
    world.declare(world.inference(world.corpus(a=2), approval="required"))
    world.submit("a")
    listener.deaf_to = {APPROVAL}
    listener.tick()
    world.order("approve_batches", inference="words", given_by="ann")
    world.collect()
    collect(world)

    assert [event.kind for event in listener.tick()] == [FINISHED]


# The sensor


def test_it_is_on_where_it_is_added_and_has_a_name(listener):
    assert listener.sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert listener.sensor.name == "batch_notifications"


def test_the_function_has_the_resources_that_it_asks_for(world):
    heard = []

    @ba.inference_sensor(
        name="told_by_letter",
        required_resource_keys={"letters"},
        minimum_interval_seconds=600,
        default_status=dg.DefaultSensorStatus.STOPPED,
    )
    def tell(context: dg.SensorEvaluationContext, event: ba.InferenceEvent) -> None:
        heard.append((context.resources.letters, event.kind))

    world.declare(world.inference(world.corpus(a=2), approval="required"))
    world.submit("a")
    resources = {**dict(world.defs.resources or {}), "letters": "post"}

    with dg.build_sensor_context(
        instance=world.instance, definitions=world.defs, resources=resources
    ) as context:
        tell.evaluate_tick(context)

    assert heard == [("post", APPROVAL)]
    assert tell.default_status is dg.DefaultSensorStatus.STOPPED
    assert tell.minimum_interval_seconds == 600


def test_a_location_without_inferences_is_told_nothing(world, listener):
    world.load(dg.Definitions(resources=world.resources()))

    assert listener.tick() == []
