from itertools import pairwise

import pytest
from factories import a_shard
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.shard import Limits, ShardFill, Size

limits = st.builds(
    Limits,
    requests=st.integers(1, 4),
    bytes=st.integers(1, 9),
    tokens=st.none() | st.integers(1, 7),
    inputs=st.none() | st.integers(1, 7),
)
#: Small enough that limits are met exactly and often.
sizes = st.builds(Size, bytes=st.integers(1, 5), tokens=st.integers(0, 4), inputs=st.integers(0, 4))
requests = st.lists(sizes, max_size=40)


def cut(limits: Limits, requests: list[Size]) -> tuple[list[list[int]], list[int]]:
    """Positions of the requests shard by shard, and those that no batch can hold."""
    fill, shards, oversize = ShardFill(limits), [[]], []
    for position, size in enumerate(requests):
        if fill.never_fits(size):
            oversize.append(position)
            continue
        if not fill.has_room(size):
            fill.empty()
            shards.append([])
        fill.take(size)
        shards[-1].append(position)
    return [shard for shard in shards if shard], oversize


@given(limits, requests)
def test_every_shard_stays_within_every_limit(limits, requests):
    shards, _ = cut(limits, requests)

    for shard in shards:
        assert len(shard) <= limits.requests
        assert sum(requests[position].bytes for position in shard) <= limits.bytes
        assert limits.tokens is None or sum(requests[p].tokens for p in shard) <= limits.tokens
        assert limits.inputs is None or sum(requests[p].inputs for p in shard) <= limits.inputs


@given(limits, requests)
def test_no_request_is_lost_or_doubled_and_their_order_stays(limits, requests):
    shards, oversize = cut(limits, requests)
    sent = [position for shard in shards for position in shard]

    assert sent == sorted(sent)
    assert sorted(sent + oversize) == list(range(len(requests)))


@given(limits, requests)
def test_a_shard_ends_only_where_the_next_request_does_not_fit(limits, requests):
    shards, _ = cut(limits, requests)

    for shard, following in pairwise(shards):
        together = [requests[position] for position in (*shard, following[0])]
        assert (
            len(together) > limits.requests
            or sum(size.bytes for size in together) > limits.bytes
            or sum(size.tokens for size in together) > (limits.tokens or 1000)
            or sum(size.inputs for size in together) > (limits.inputs or 1000)
        )


@given(limits, requests)
def test_a_request_is_oversize_only_where_it_alone_is_more_than_a_batch_holds(limits, requests):
    _, oversize = cut(limits, requests)

    assert oversize == [
        position
        for position, size in enumerate(requests)
        if size.bytes > limits.bytes
        or (limits.tokens is not None and size.tokens > limits.tokens)
        or (limits.inputs is not None and size.inputs > limits.inputs)
    ]


@pytest.mark.parametrize("unit", ["requests", "bytes", "tokens", "inputs"])
@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nothing_through_is_refused(unit, limit):
    allowed = {"requests": 1, "bytes": 1, "tokens": None}

    with pytest.raises(ValueError, match=f"a batch limit of {limit} {unit}"):
        Limits(**allowed | {unit: limit})


@pytest.mark.parametrize(
    ("ordinal", "held"), [(None, False), (9, False), (10, True), (19, True), (20, False)]
)
def test_a_shard_holds_the_ordinals_from_its_first_to_its_last(ordinal, held):
    assert a_shard(number=1).holds(ordinal) is held


@pytest.mark.parametrize(
    ("first", "last", "overlap"),
    [(0, 9, False), (0, 10, True), (12, 14, True), (5, 30, True), (19, 40, True), (20, 29, False)],
)
def test_shards_of_two_waves_overlap_where_both_may_hold_a_request(first, last, overlap):
    shard, other = a_shard(number=1), a_shard(wave=1, first_ordinal=first, last_ordinal=last)

    assert shard.overlaps(other) is overlap
    assert other.overlaps(shard) is overlap
