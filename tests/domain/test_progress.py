import pytest
from factories import a_batch

from batch_assets.domain.batch import BatchState
from batch_assets.domain.progress import Progress, progress_of


def batches(*states: BatchState, shard: int | None = None):
    """A batch in each state; each of a shard of its own unless one is named."""
    return [
        a_batch(id=n, shard=n if shard is None else shard, state=state)
        for n, state in enumerate(states)
    ]


def test_each_shard_counts_once_by_its_state():
    assert progress_of(batches(*BatchState)) == Progress(
        planned=1, open=2, ended=1, collected=1, stopped=1
    )


@pytest.mark.parametrize("state", BatchState)
def test_a_shard_offered_again_counts_as_its_newest_batch(state):
    """Row 20: earlier attempts stay in the ledger and are not counted twice."""
    earlier = [BatchState.ABANDONED, BatchState.ABANDONED]

    assert progress_of(batches(*earlier, state, shard=7)) == progress_of(batches(state))


def test_a_wave_without_batches_is_collected():
    assert progress_of([]).is_collected


@pytest.mark.parametrize("state", [s for s in BatchState if s is not BatchState.COLLECTED])
def test_one_batch_that_is_not_collected_keeps_the_wave_open(state):
    """Row 19: numbers come from the ledger's rows only."""
    assert not progress_of(batches(BatchState.COLLECTED, state)).is_collected


@pytest.mark.parametrize("state", BatchState)
def test_there_is_something_to_collect_once_a_batch_ended(state):
    assert progress_of(batches(state)).has_ended_batches is (state is BatchState.ENDED)


def test_progress_is_told_in_words_without_the_noughts():
    progress = Progress(planned=2, open=1, collected=3)

    assert str(progress) == "2 waiting to be sent, 1 at the provider, 3 collected"
    assert str(Progress()) == "none"
