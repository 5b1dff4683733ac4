"""What a person orders in the Launchpad, and what comes of it."""

from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

import batch_assets as ba
from batch_assets.domain.batch import BatchState
from batch_assets.ledger import Ledger
from batch_assets.operations.jobs import CancelConfig, DecideConfig, PauseConfig
from batch_assets.operations.orders import ScopeConfig

ACCOUNT = "openai/127.0.0.1"
ONE_EACH = {"max_requests_per_batch": 1}


def orders_on(world, partition: str) -> list[str]:
    """The orders that were observed on batches of a partition."""
    told = [said.metadata.get("order") for said in world.observations(partition)]
    return [order.value for order in told if order is not None]


def openai(world, **over) -> ba.OpenAIResource:
    return ba.OpenAIResource(api_key="sk-test", base_url=world.sandbox.base_url, **over)


def outcomes(world, partition: str) -> list[str]:
    newest, *_ = world.materializations("results", partition)
    return pq.read_table(newest.metadata["dagster/uri"].value)["outcome"].to_pylist()


def a_lost_batch(world) -> int:
    """The provider forgot it."""
    world.submit("a")
    world.sandbox.state.reset()
    world.tick()
    [batch] = world.ledger.batches()
    return int(batch.id)


def a_doubtful_batch(world, inference: ba.Inference) -> int:
    """The provider has it, and its process died before it could write that down."""

    class Dying(Ledger):
        def record(self, *args: object, **kwargs: object) -> None:
            raise RuntimeError("killed")

    world.declare(inference, batch_ledger=Dying.open(world.ledger_url, world.ledger.clock))
    world.submit("a")
    world.declare(inference)
    world.clock.advance(61)
    [batch] = world.ledger.batches()
    return int(batch.id)


# Pause and resume


def test_a_paused_inference_sends_nothing_and_what_is_out_is_collected(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.submit("a")

    ordered = world.order("pause_batches", inference="words", reason="the prompt is reworked")
    submitted = world.submit("b")
    [collected] = world.collect()

    assert ordered.success
    assert submitted.success
    assert collected.success
    assert world.sent() == 1
    assert world.materialized("results") == {"a"}
    assert world.states("b") == ["planned"]


def test_a_resumed_inference_is_sent_from_the_next_tick_on(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.order("pause_batches", inference="words", reason="later")
    world.submit("a")
    paused = world.tick()

    ordered = world.order("resume_batches", inference="words")
    [request] = world.tick().run_requests
    world.launch(request)

    assert paused.run_requests == []
    assert ordered.success
    assert world.states("a") == ["submitted"]


def test_a_paused_partition_leaves_the_others_alone(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))

    world.order("pause_batches", inference="words", partition_keys=["a"], reason="later")
    world.submit("a", "b")

    assert (world.states("a"), world.states("b")) == (["planned"], ["submitted"])


def test_a_paused_account_holds_every_inference_of_it(world):
    words = world.inference(world.corpus(a=2))
    others = world.inference(world.corpus("others", x=2), name="others")
    world.declare(words, others)

    world.order("pause_batches", account=ACCOUNT, reason="the bill")
    world.submit("a")
    world.run("requests", "batches", partition="x", inference="others")

    assert world.sent() == 0


def test_a_stopped_account_is_resumed_by_the_job_that_its_stop_names(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.script.refuse("batches.create", 401)
    refused = world.submit("a")

    world.order("resume_batches", account=ACCOUNT)
    again = world.submit("a")

    assert "job resume_batches" in world.tick().skip_message or again.success
    assert (refused.success, again.success) == (False, True)
    assert world.states("a") == ["submitted"]


def test_an_order_is_observed_on_the_batches_it_concerns_with_who_gave_it(world):
    world.declare(world.inference(world.corpus(a=2, b=2, c=2)))
    world.submit("a", "b")

    world.order("pause_batches", inference="words", reason="the bill", given_by="Ann")

    for partition in ("a", "b"):
        [said] = world.observations(partition)
        assert said.metadata["order"].value == (
            "inference words is paused: 0 batches wait, 2 are at the provider and finish"
        )
        assert said.metadata["reason"].value == "the bill"
        assert said.metadata["given_by"].value.startswith("Ann (run ")
        assert len(said.metadata["batches"].records) == 1
    assert world.observations("c") == []


# Cancel


def test_a_drained_partition_keeps_what_was_sent_and_ends_the_rest_as_cancelled(world):
    corpus = world.corpus(a=["oak", "elm", "ash"])
    world.declare(world.inference(corpus), openai=openai(world, max_open_batches=1, **ONE_EACH))
    world.submit("a")

    ordered = world.order("cancel_batches", inference="words", reason="over", at_provider=False)
    [collected] = world.collect()

    assert ordered.success
    assert collected.success
    assert outcomes(world, "a") == ["ok", "cancelled", "cancelled"]
    assert world.sent() == 1


def test_a_cancelled_batch_is_followed_at_the_provider_to_its_end(world):
    world.declare(world.inference(world.corpus(a=4)))
    world.submit("a")
    world.clock.advance(1)

    world.order("cancel_batches", inference="words", reason="over", at_provider=True)
    at_once = world.states("a")
    [collected] = world.collect()

    assert at_once == ["submitted"]
    assert collected.success
    assert world.states("a") == ["collected"]
    assert set(outcomes(world, "a")) == {"cancelled"}


def test_checks_of_a_cancelled_partition_warn_of_coverage_and_find_nothing_lost(world):
    world.declare(world.inference(world.corpus(a=4)))
    world.order("pause_batches", inference="words", reason="later")
    world.submit("a")
    world.order("cancel_batches", inference="words", reason="over", at_provider=True)

    [result] = [world.launch(request) for request in world.tick().run_requests]

    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert result.success
    assert checks["nothing_lost"].passed
    assert not checks["coverage"].passed
    assert checks["coverage"].severity is dg.AssetCheckSeverity.WARN
    assert outcomes(world, "a") == ["cancelled"] * 4


def test_a_cancelled_partition_is_taken_up_again_by_materializing_its_batches(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.order("pause_batches", inference="words", reason="later")
    world.submit("a")
    world.order("cancel_batches", inference="words", reason="over", at_provider=True)
    world.order("resume_batches", inference="words")
    world.collect()

    world.submit("a")
    world.collect()

    assert outcomes(world, "a") == ["ok", "ok"]


def test_a_provider_that_cannot_be_told_of_a_cancellation_is_told_by_the_sensor(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    world.script.refuse("batches.cancel", 503, 503, 503)

    ordered = world.order("cancel_batches", inference="words", reason="over", at_provider=True)
    world.tick()

    [batch] = world.ledger.batches()
    assert "the poll sensor tells it" in world.reason_of(ordered)
    assert batch.cancel_requested_at is not None


def test_cancelling_what_has_its_results_changes_nothing(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    world.collect()

    ordered = world.order("cancel_batches", inference="words", reason="over", at_provider=True)

    assert ordered.success
    assert orders_on(world, "a") == []
    assert outcomes(world, "a") == ["ok", "ok"]


# Decide


def test_a_batch_in_doubt_is_adopted_by_the_id_that_the_provider_shows(world):
    number = a_doubtful_batch(world, world.inference(world.corpus(a=2)))
    [at_provider], _ = world.sandbox.state.batch_page(after=None, limit=9)

    decided = world.order(
        "decide_batch", batch=number, decision="adopt", provider_id=at_provider["id"]
    )

    [batch] = world.ledger.batches()
    assert decided.success
    assert (batch.state, batch.provider_id) == (BatchState.SUBMITTED, at_provider["id"])


@pytest.mark.parametrize(
    ("decision", "after"),
    [("offer_again", ["abandoned", "planned"]), ("give_up", ["abandoned"])],
)
def test_a_batch_that_the_provider_lost_is_offered_again_or_given_up(world, decision, after):
    world.declare(world.inference(world.corpus(a=2)))
    number = a_lost_batch(world)

    decided = world.order("decide_batch", batch=number, decision=decision)

    [said] = world.observations("a")
    assert decided.success
    assert world.states("a") == after
    assert said.metadata["order"].value.startswith(f"batch {number} is ")


def test_a_batch_that_the_provider_has_is_not_offered_again_by_a_wrong_number(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.submit("a")
    [batch] = world.ledger.batches()

    decided = world.order("decide_batch", batch=int(batch.id), decision="offer_again")

    assert "the provider has batch 1, as batch_" in world.reason_of(decided)
    assert world.states("a") == ["submitted"]


# Ask again


def test_items_whose_outcome_was_final_are_asked_once_more_by_a_job(world):
    policy = ba.RetryPolicy(max_waves=1)
    world.declare(world.inference(world.corpus(a=3), retries=policy))
    world.script.fail_once(ordinal=1)
    world.submit("a")
    world.collect()
    before = outcomes(world, "a")

    ordered = world.order("words_ask_again", partition_keys=["a"], outcomes=["errored"])
    [sending] = [world.launch(request) for request in world.tick().run_requests]
    [collected] = world.collect()

    assert ordered.success
    assert sending.success
    assert collected.success
    assert (before, outcomes(world, "a")) == (["ok", "errored", "ok"], ["ok"] * 3)
    assert orders_on(world, "a") == ["1 requests are asked again"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"partition_keys": ["z"], "outcomes": ["errored"]}, "it has no 'z'; it has a, b"),
        ({"partition_keys": [], "outcomes": ["errored"]}, "none is given; it has a, b"),
        ({"partition_keys": ["a"], "outcomes": ["ok"]}, "outcomes: ok; give some of cancelled, "),
        ({"partition_keys": ["a"], "outcomes": []}, "outcomes: none; give some of cancelled, "),
        ({"partition_keys": ["b"], "outcomes": ["errored"]}, "materialize its batches first"),
    ],
)
def test_asking_again_refuses_what_it_cannot_do_and_names_the_way_out(world, config, said):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.submit("a")

    result = world.order("words_ask_again", **config)

    assert said in world.reason_of(result)
    assert world.states("a") == ["submitted"]


# Wrong input

PAUSE = {"reason": "later"}


@pytest.mark.parametrize(
    ("job", "config", "said"),
    [
        ("pause_batches", PAUSE, f"an account ({ACCOUNT}), an inference (words) or a backfill"),
        ("pause_batches", {**PAUSE, "inference": "wrods"}, "inference wrods is not one of this"),
        ("pause_batches", {**PAUSE, "account": "azure"}, f"it has {ACCOUNT}"),
        (
            "pause_batches",
            {**PAUSE, "inference": "words", "partition_keys": ["a", "z"]},
            "inference words has no partition 'z'; it has a, b",
        ),
        (
            "pause_batches",
            {**PAUSE, "account": ACCOUNT, "inference": "words"},
            "names exactly one of account, inference and backfill",
        ),
        (
            "pause_batches",
            {**PAUSE, "account": ACCOUNT, "partition_keys": ["a"]},
            "partition a of which inference",
        ),
        ("pause_batches", {"inference": "words", "reason": " "}, "give a reason"),
        (
            "cancel_batches",
            {**PAUSE, "inference": "words", "partition_keys": ["z"], "at_provider": True},
            "inference words has no partition 'z'; it has a, b",
        ),
        ("resume_batches", {"inference": "words"}, "nothing was ordered for inference words"),
        ("decide_batch", {"batch": 99, "decision": "give_up"}, "the ledger has no batch 99"),
        ("decide_batch", {"batch": 1, "decision": "give_up", "provider_id": "x"}, "only with it"),
        ("decide_batch", {"batch": 1, "decision": "adopt"}, "provider_id is given with"),
        (
            "decide_batch",
            {"batch": 1, "decision": "adopt", "provider_id": "batch_x"},
            "batch 1 is submitted, not in doubt",
        ),
    ],
)
def test_wrong_input_is_refused_with_the_way_out_before_anything_changes(world, job, config, said):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.submit("a")

    result = world.order(job, **config)

    assert said in world.reason_of(result)
    assert world.ledger.pauses.standing() == []
    assert world.states("a") == ["submitted"]
    assert world.observations("a") == []


def test_resuming_what_was_not_paused_says_what_is(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.order("pause_batches", inference="words", reason="the bill")

    result = world.order("resume_batches", inference="words", partition_keys=["a"])

    assert "nothing was ordered for partition a of words" in world.reason_of(result)
    assert "inference words: the bill" in world.reason_of(result)


@pytest.mark.parametrize("config", [ScopeConfig, PauseConfig, CancelConfig, DecideConfig])
def test_every_field_of_the_launchpad_is_described(config):
    assert all(len(field.description or "") > 15 for field in config.model_fields.values())


# In Python


def test_the_python_of_the_page_on_control_runs(world, monkeypatch, capsys):
    page = Path(__file__).parents[2] / "docs" / "howto" / "control.md"
    _, code = page.read_text().split("```python\n")
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", world.sandbox.base_url)
    monkeypatch.setenv("BATCH_ASSETS_HOME", str(world.folder))

    exec(code.split("```")[0], {})

    assert capsys.readouterr().out.splitlines() == [
        "inference glosses: the prompt is reworked",
        "0 batches are not sent, 0 are at the provider",
    ]
