"""The retry policy of a component file is the one that Python takes."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

import batch_assets as ba
from batch_assets.component import RetriesModel


def test_left_out_it_is_the_default_policy():
    assert RetriesModel().policy() == ba.RetryPolicy()


def test_every_field_can_be_given():
    retries = RetriesModel(
        max_waves=5,
        ask_again=["expired", "truncated"],
        first_wait_seconds=30,
        longest_wait_seconds=90,
    )

    assert retries.policy() == ba.RetryPolicy(
        max_waves=5,
        ask_again=frozenset({"expired", "truncated"}),
        first_wait=timedelta(seconds=30),
        longest_wait=timedelta(seconds=90),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_waves": 0}, "retries: max_waves is 0"),
        ({"ask_again": ["429"]}, "retries: ask_again has '429'; .*rate_limited, refused"),
        ({"first_wait_seconds": -1}, "retries: first_wait is"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused_by_its_field(given, said):
    with pytest.raises(ValidationError, match=said):
        RetriesModel(**given)


@pytest.mark.parametrize(
    "given", [{"ask_again": "expired"}, {"first_wait_seconds": float("nan")}, {"waves": 2}], ids=str
)
def test_what_yaml_cannot_mean_is_refused_by_its_field(given):
    with pytest.raises(ValidationError, match=next(iter(given))):
        RetriesModel(**given)
