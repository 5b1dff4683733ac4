from datetime import timedelta
from itertools import pairwise

import pytest

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.outcome import Failure
from batch_assets.domain.wave import MOST_UNCOUNTED, RetryPolicy, counts_as_attempt

#: Asked again unless a policy says otherwise.
BY_DEFAULT = {
    "rate_limited",
    "server_error",
    "timeout",
    "expired",
    "missing",
    "invalid",
    "not_run",
}


def test_what_another_try_can_cure_is_asked_again():
    """Rows 8, 16 and 27: by name, and nothing else."""
    policy = RetryPolicy()

    again = {failure for failure in Failure if policy.asks_again(failure, 1, 0)}

    assert again == BY_DEFAULT | {"account", "withdrawn", "packed", "held", "straggler"}
    assert not policy.asks_again(None, 1, 0)


def test_a_policy_names_what_is_asked_again():
    policy = RetryPolicy(ask_again=["truncated", "expired"])

    again = {failure for failure in Failure if policy.asks_again(failure, 1, 0)}

    others = {"account", "withdrawn", "packed", "held", "straggler"}
    assert again == {"truncated", "expired"} | others


def test_what_a_pack_lost_is_asked_again_whatever_the_policy_says():
    """Packs are halved with each wave, so that it has an end."""
    policy = RetryPolicy(max_waves=1, ask_again=[])

    assert policy.asks_again(Failure.PACKED, 9, 9)
    assert not counts_as_attempt(Failure.PACKED)


@pytest.mark.parametrize(("attempts", "allowed"), [(1, True), (2, True), (3, False), (4, False)])
def test_an_item_is_asked_three_times_at_most(attempts, allowed):
    assert RetryPolicy(max_waves=3).asks_again(Failure.EXPIRED, attempts, 0) is allowed


def test_one_wave_never_asks_again():
    """Row 27: what the policy says is what happens."""
    assert not RetryPolicy(max_waves=1).asks_again(Failure.EXPIRED, 1, 0)


@pytest.mark.parametrize("failure", [Failure.ACCOUNT, Failure.WITHDRAWN])
def test_what_a_person_puts_right_uses_up_no_attempt_but_has_an_end(failure):
    """Row 57. Five times the account was put right, and this item found it wrong again."""
    policy = RetryPolicy(max_waves=1, ask_again=[])

    asked = [policy.asks_again(failure, 0, uncounted) for uncounted in range(1, 8)]

    assert asked == [True] * (MOST_UNCOUNTED - 1) + [False] * (8 - MOST_UNCOUNTED)


def test_a_rescue_asks_what_was_never_answered_whatever_is_left():
    policy = RetryPolicy(max_waves=1, ask_again=["server_error", "invalid"])

    rescued = {failure for failure in Failure if policy.rescues(failure, 1, MOST_UNCOUNTED)}

    left = {"cancelled", "expired", "missing", "straggler", "withdrawn"}
    assert rescued == left | {"server_error", "packed", "held"}
    assert not policy.rescues(None, 1, 0)


def test_a_rescue_asks_what_the_policy_asks():
    policy = RetryPolicy(max_waves=2, ask_again=["invalid", "refused"])

    assert policy.rescues(Failure.INVALID, 1, 0)
    assert not policy.rescues(Failure.INVALID, 2, 0)


def test_a_straggler_uses_up_no_attempt():
    assert RetryPolicy(max_waves=1, ask_again=[]).asks_again(Failure.STRAGGLER, 9, 9)
    assert not counts_as_attempt(Failure.STRAGGLER)


def test_waits_between_waves_grow_to_the_longest():
    policy = RetryPolicy(first_wait=timedelta(minutes=1), longest_wait=timedelta(hours=1))

    waits = [policy.wait_before(wave, "words/p") for wave in range(1, 12)]

    assert timedelta(seconds=45) <= waits[0] <= timedelta(seconds=75)
    assert all(later > earlier for earlier, later in pairwise(waits[:5]))
    assert all(timedelta(minutes=45) <= wait <= timedelta(minutes=75) for wait in waits[6:])


def test_partitions_do_not_come_back_at_the_same_moment():
    waits = {RetryPolicy().wait_before(1, f"words/{number}") for number in range(10)}

    assert len(waits) > 5


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"max_waves": 0}, "max_waves is 0"),
        ({"max_waves": -1}, "max_waves is -1"),
        ({"ask_again": ["expired", "400"]}, "ask_again has '400'; it is a list of names among exp"),
        ({"ask_again": ["rejected", "oversize"]}, "ask_again has 'oversize', 'rejected'"),
        ({"ask_again": "expired"}, "ask_again has 'expired'; it is a list"),
        ({"first_wait": timedelta(seconds=-1)}, "first_wait is -1 day"),
        ({"first_wait": timedelta(hours=2)}, "no longer than the longest"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused_with_what_is_allowed(over, said):
    with pytest.raises(DeclarationError, match=f"retries: .*{said}"):
        RetryPolicy(**over)
