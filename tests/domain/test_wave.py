import pytest

from batch_assets.domain.wave import RetryPolicy


@pytest.mark.parametrize(("wave", "allowed"), [(0, True), (1, True), (2, False), (3, False)])
def test_three_waves_are_the_first_and_two_more(wave, allowed):
    assert RetryPolicy(max_waves=3).allows_after(wave) is allowed


def test_one_wave_never_asks_again():
    """Row 27: what the policy says is what happens."""
    assert not RetryPolicy(max_waves=1).allows_after(0)


@pytest.mark.parametrize("waves", [0, -1])
def test_a_policy_without_the_first_wave_is_refused(waves):
    with pytest.raises(ValueError, match=f"max_waves is {waves}"):
        RetryPolicy(max_waves=waves)
