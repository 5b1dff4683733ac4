import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.request import (
    CUSTOM_ID,
    RequestSetDigest,
    custom_id_prefix,
    ordinal_of,
    short_digest,
)

DIGEST = RequestSetDigest("0123456789abcdef" * 4)
PREFIX = custom_id_prefix(DIGEST)


def test_a_custom_id_begins_with_what_names_its_request_set():
    assert (short_digest(DIGEST), PREFIX) == ("0123456789abcdef", "0123456789abcdef-")


@given(st.integers(0, 10**18 - 1))
def test_an_ordinal_comes_back_from_a_custom_id_that_every_provider_takes(ordinal):
    custom_id = f"{PREFIX}{ordinal}"

    assert CUSTOM_ID.fullmatch(custom_id)
    assert ordinal_of(custom_id, PREFIX) == ordinal


@pytest.mark.parametrize(
    "custom_id",
    ["", "r-1", PREFIX, f"{PREFIX}x", f"{PREFIX}-1", f"{PREFIX}1 ", f"{PREFIX}1.0", f"x{PREFIX}1"],
)
def test_an_id_that_is_not_one_of_ours_has_no_ordinal(custom_id):
    """Row 16: a foreign line is nobody's answer."""
    assert ordinal_of(custom_id, PREFIX) is None


@pytest.mark.parametrize("digits", ["\u0661", "\u00b2", "\u2460", "\uff11"])
def test_digits_of_other_scripts_are_not_ours(digits):
    assert ordinal_of(f"{PREFIX}{digits}", PREFIX) is None


def test_a_number_written_in_another_way_is_not_ours():
    assert ordinal_of(f"{PREFIX}007", PREFIX) is None


def test_a_number_of_thousands_of_digits_is_nobodys_request():
    assert ordinal_of(PREFIX + "9" * 5_000, PREFIX) is None


@given(st.text())
def test_no_text_makes_reading_a_custom_id_fail(text):
    ordinal = ordinal_of(PREFIX + text, PREFIX)

    assert ordinal is None or str(ordinal) == text
