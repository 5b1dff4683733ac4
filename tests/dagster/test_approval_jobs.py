"""Plan, approve, submit: what a person approves in the UI, and what goes on of itself."""

import dagster as dg
import pytest

import batch_assets as ba
from batch_assets.domain.checks import Check, Checks
from batch_assets.sandbox import ItemError

NOBODY_IS_LEFT = Checks(coverage=Check(at_least=1.0))


def digest(world, partition: str) -> str:
    newest, *_ = world.materializations("requests", partition)
    return newest.metadata["request_set"].value


def needing_approval(world, **partitions: int) -> None:
    world.declare(world.inference(world.corpus(**partitions), approval="required"))


# Approval


def test_batches_wait_green_until_a_person_approves_them(world):
    needing_approval(world, a=2)

    submitted = world.submit("a")

    newest, *_ = world.materializations("batches", "a")
    assert submitted.success
    assert newest.metadata["waiting_for"].value == "approval"
    assert "job approve_batches" in newest.metadata["waiting_reason"].value
    assert world.tick().run_requests == []
    assert world.sent() == 0


def test_what_is_approved_is_sent_and_collected_by_the_sensor(world):
    needing_approval(world, a=2)
    world.submit("a")

    ordered = world.order("approve_batches", inference="words", given_by="ann")
    world.collect()
    world.collect()

    assert ordered.success
    assert world.materialized("results") == {"a"}


def test_an_approval_records_who_when_and_the_quote(world):
    needing_approval(world, a=2)
    world.submit("a")

    ordered = world.order("approve_batches", inference="words", given_by="ann")

    [approval] = world.ledger.approvals.of("words", "a")
    assert approval.digest == digest(world, "a")
    assert approval.given_by == f"ann (run {ordered.run_id[:8]})"
    assert approval.at == world.ledger.clock()
    assert approval.quote["requests"] == 2
    assert approval.quote["prompt_tokens"] > 0
    newest, *_ = world.observations("a")
    assert "is approved: 2 requests" in newest.metadata["order"].value


def test_an_approval_of_named_partitions_leaves_the_others_waiting(world):
    needing_approval(world, a=2, b=2)
    world.submit("a", "b")

    world.order("approve_batches", inference="words", partition_keys=["a"], given_by="ann")
    world.submit("a", "b")

    assert (world.states("a"), world.states("b")) == (["submitted"], ["planned"])


def test_a_request_set_can_be_approved_before_it_is_submitted(world):
    needing_approval(world, a=2)
    world.run("requests", partition="a")

    world.order(
        "approve_batches",
        inference="words",
        partition_keys=["a"],
        request_set=digest(world, "a"),
        given_by="ann",
    )
    world.submit("a")

    assert world.states("a") == ["submitted"]


def test_a_changed_prompt_needs_an_approval_of_its_own(world):
    needing_approval(world, a=2)
    world.submit("a")
    world.order("approve_batches", inference="words", given_by="ann")
    prompt = ba.Prompt(user="The word is {{ word }}")
    world.declare(world.inference(world.corpus(a=2), approval="required", prompt=prompt))

    world.submit("a")

    assert world.sent() == 0
    assert [each.partition_key for each in world.ledger.approvals.wanted("words")] == ["a"]


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"inference": "words", "given_by": " "}, "given_by is empty"),
        ({"inference": "other", "given_by": "ann"}, "it has words"),
        ({"inference": "words", "partition_keys": ["z"], "given_by": "ann"}, "no partition 'z'"),
        (
            {"inference": "words", "partition_keys": ["b"], "given_by": "ann"},
            "b waits for no approval now; a does",
        ),
        (
            {"inference": "words", "request_set": "ab", "given_by": "ann"},
            "request_set is of one partition",
        ),
        (
            {
                "inference": "words",
                "partition_keys": ["a"],
                "request_set": "0" * 64,
                "given_by": "ann",
            },
            "partition a has no such request set",
        ),
    ],
    ids=["nobody", "inference", "partition", "not waiting", "no partition", "digest"],
)
def test_an_approval_of_nothing_is_refused_with_what_there_is(world, config, complaint):
    needing_approval(world, a=2, b=2)
    world.submit("a")

    ordered = world.order("approve_batches", **config)

    assert not ordered.success
    assert complaint in world.reason_of(ordered)
    assert world.ledger.approvals.of("words", "a") == []


def test_half_a_digest_is_no_approval(world):
    needing_approval(world, a=2)
    world.submit("a")
    half = digest(world, "a")[:20]

    ordered = world.order(
        "approve_batches",
        inference="words",
        partition_keys=["a"],
        request_set=half,
        given_by="ann",
    )

    assert not ordered.success
    assert digest(world, "a") in world.reason_of(ordered)


@pytest.mark.parametrize(
    ("over", "complaint"),
    [({"approval": "yes"}, "approval is 'yes'"), ({"canary": 0}, "canary is 0")],
)
def test_a_wrong_setting_is_refused_by_name(world, over, complaint):
    with pytest.raises(ba.DeclarationError, match=complaint):
        world.inference(world.corpus(a=2), **over)


# Canary


def test_the_rest_follows_a_canary_that_passes_without_a_click(world):
    world.declare(world.inference(world.corpus(a=12), canary=4))

    world.submit("a")
    first = sum(batch.reservation.requests for batch in world.ledger.batches())
    world.collect()
    world.collect()

    newest, *_ = world.materializations("results", "a")
    waves = [row.data for row in newest.metadata["waves"].records]
    assert first == 4
    assert world.sent() == 2
    assert [(row["wave"], row["what"], row["requests"]) for row in waves] == [
        (1, "canary", 4),
        (2, "asked", 8),
    ]


def test_the_rest_of_a_canary_that_fails_waits_for_a_person(world):
    world.declare(world.inference(world.corpus(a=12), canary=4, checks=NOBODY_IS_LEFT))
    world.script.items(ItemError(status=400))
    world.submit("a")

    [collected] = world.collect()
    after = world.tick()

    newest, *_ = world.observations("a")
    assert collected.success
    assert "did not pass" in newest.metadata["waiting_reason"].value
    assert after.run_requests == []
    assert world.materialized("results") == set()

    world.script.clear()
    world.order("approve_batches", inference="words", given_by="ann")
    world.collect()
    world.collect()

    assert world.materialized("results") == {"a"}


# What is cancelled in Dagster


def test_nothing_more_is_sent_of_a_cancelled_run(world):
    openai = ba.OpenAIResource(
        api_key="sk-test", base_url=world.sandbox.base_url, max_open_batches=1
    )
    world.declare(world.inference(world.corpus(a=2, b=2)), openai=openai)
    submitted = world.submit("a", "b")
    cancel_in_dagster(world, submitted)

    world.tick()
    world.collect()
    world.collect()

    assert world.sent() == 1
    assert world.materialized("results") == {"a"}
    assert world.states("b") == ["planned"]
    assert "was cancelled in Dagster. 1 batches were not sent" in world.tick().skip_message


def test_partitions_of_a_cancelled_run_are_sent_when_they_are_materialized_again(world):
    a_cancelled_run(world)

    world.submit("b")

    assert world.states("b") == ["submitted"]


def test_a_cancelled_run_is_gone_on_with_when_a_person_resumes_it(world):
    run_id = a_cancelled_run(world)

    ordered = world.order("resume_batches", backfill=run_id)
    [request] = world.tick().run_requests
    world.launch(request)

    assert ordered.success
    assert world.states("b") == ["submitted"]


def test_what_a_cancelled_run_has_at_the_provider_can_be_cancelled_with_it(world):
    run_id = a_cancelled_run(world)
    world.submit("a")

    ordered = world.order("cancel_batches", backfill=run_id, reason="not needed", at_provider=True)
    world.collect()
    world.collect()

    assert ordered.success
    assert world.ledger.request_sets.current("words", "b").cancelled_at is not None


def test_an_order_about_an_unknown_backfill_names_those_that_wait(world):
    run_id = a_cancelled_run(world)

    ordered = world.order("pause_batches", backfill="abcdefgh", reason="later")

    assert not ordered.success
    assert run_id in world.reason_of(ordered)


def a_cancelled_run(world) -> str:
    """Its first partition is done, its second one was not sent when it was cancelled."""
    openai = ba.OpenAIResource(
        api_key="sk-test", base_url=world.sandbox.base_url, max_open_batches=1
    )
    world.declare(world.inference(world.corpus(a=2, b=2)), openai=openai)
    submitted = world.submit("a", "b")
    cancel_in_dagster(world, submitted)
    world.collect()
    return submitted.run_id


def cancel_in_dagster(world, result: dg.ExecuteInProcessResult) -> None:
    run = world.instance.get_run_by_id(result.run_id)
    world.instance.report_run_canceled(run)
