"""Row 57: where the provider refuses the account, a person is asked and nobody else is."""

import pytest
from factories import a_corpus
from stage_world import World

from batch_assets.domain.batch import Account
from batch_assets.domain.control import Scope, WaitKind
from batch_assets.domain.errors import AccountRefused, ArtifactError
from batch_assets.domain.shard import Limits
from batch_assets.domain.wave import MOST_UNCOUNTED
from batch_assets.sandbox import ItemError
from batch_assets.stages.advance import Pending
from batch_assets.stages.control import resume

THREE_ROWS = Limits(requests=3, bytes=10**6)
OPENAI = Scope(account=Account("openai"))
NO_CREDIT = ItemError(status=429, code="insufficient_quota", message="You exceeded your quota.")


def stop_of(world: World) -> str:
    """Why the account is stopped."""
    [order] = world.ledger.pauses.standing()
    assert (order.scope, order.is_stop) == (OPENAI, True)
    return order.reason


def stopped(world: World) -> Pending:
    """The partition after its first wave."""
    world.submit()
    world.poll(after=100)
    state = world.advance()
    assert isinstance(state, Pending)
    return state


def test_items_without_credit_stop_the_account_and_wait(a_world, script):
    """The next wave is planned, and nothing of it is sent however long one waits."""
    script.items(NO_CREDIT, containing="word 1")
    world = a_world(3)

    stopped(world)

    reason = stop_of(world)
    assert "insufficient_quota: You exceeded your quota." in reason
    assert "1 requests of partition p of words" in reason
    assert "add credit" in reason
    assert f"resume {OPENAI}" in reason
    world.poll(after=7 * 24 * 3600)
    state = world.advance()
    assert (state.progress.planned, state.waiting_for.kind) == (1, WaitKind.STOPPED)
    assert world.executions["batches_created"] == 1


def test_once_it_is_resumed_the_items_are_asked_with_all_their_attempts(a_world, script):
    script.items(NO_CREDIT, containing="word 1", times=1)
    world = a_world(3, max_waves=1)
    stopped(world)

    resume(world.ledger, OPENAI, owner="Ann")
    world.finish()

    assert world.column("outcome") == ["ok"] * 3
    assert (world.column("attempts"), world.column("wave")) == ([1, 1, 1], [0, 1, 0])


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        (ItemError(status=401, code="invalid_api_key"), "correct the provider's key"),
        (ItemError(status=403, code="model_not_allowed"), "the right to use the model"),
        (ItemError(status=404, code="model_not_found"), "the right to use the model"),
        (ItemError(status=400, code="billing_hard_limit_reached"), "raise the limit"),
    ],
)
def test_a_stop_says_what_a_person_has_to_do(a_world, script, fault, remedy):
    script.items(fault, containing="word 1")
    world = a_world(3)

    stopped(world)

    assert remedy in stop_of(world)


def test_a_stopped_account_keeps_other_partitions_from_sending(a_world, script, tmp_path):
    script.items(NO_CREDIT, containing="word 1")
    world = a_world(3, reuse=False)
    stopped(world)
    a_corpus(tmp_path / "corpus", 3, key="q")
    world.partition_key = "q"

    with pytest.raises(AccountRefused, match="add credit"):
        world.submit()

    assert world.executions["batches_created"] == 1


def test_an_item_that_finds_the_account_wrong_each_time_has_an_end(a_world, script):
    """The key is right, since others have answers: five times is the item's own fault."""
    script.items(ItemError(status=403), containing="word 1")
    world = a_world(3)
    stopped(world)
    for _ in range(MOST_UNCOUNTED - 2):
        resume(world.ledger, OPENAI, owner="Ann")
        for _ in range(3):
            world.poll(after=2 * 3600)
            assert isinstance(world.advance(), Pending)
        stop_of(world)

    resume(world.ledger, OPENAI, owner="Ann")
    world.finish(after=2 * 3600)

    row = world.results()[1]
    assert (row["outcome"], row["attempts"], row["executions"]) == ("errored", 0, 0)
    assert world.ledger.pauses.standing() == []
    assert world.executions["batches_created"] == MOST_UNCOUNTED


def test_what_failed_before_the_account_was_resumed_does_not_stop_it_again(a_world, script):
    """A partition that is looked at late brings old news."""
    script.items(NO_CREDIT, containing="word 1", times=1)
    world = a_world(3)
    world.submit()
    world.poll(after=100)
    world.ledger.pauses.add(OPENAI, owner="p-2", reason="no credit", is_stop=True)
    world.clock.advance(60)
    resume(world.ledger, OPENAI, owner="Ann")

    world.finish()

    assert world.column("outcome") == ["ok"] * 3
    assert world.ledger.pauses.standing() == []


def test_a_stop_is_on_record_before_the_next_wave_is_planned(a_world, script):
    """A process that ends between the two leaves nothing that another one could send."""
    script.items(NO_CREDIT, containing="word 1")
    world = a_world(3)
    world.submit()
    world.poll(after=100)
    [shard] = world.manifest.shards
    world.files.delete(shard.path)

    with pytest.raises(ArtifactError):
        world.advance()

    assert "add credit" in stop_of(world)
    assert len(world.batches) == 1
