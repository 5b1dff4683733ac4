"""Estimated tokens: never too few on purpose, from rows spread over the whole input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.prompt.tokens import Sample, TokenEstimate, estimate_from

counted = pytest.mark.skipif(
    estimate_from(["word"]).method == "assumed", reason="no exact counter is installed"
)


def sampled(batches: list[int], rows: int) -> list[int]:
    """The rows of an input that a sample keeps, by their position."""
    sample, first = Sample(rows), 0
    for length in batches:
        sample.add([str(first + position) for position in sample.positions(length)])
        first += length
    return [int(text) for text in sample.texts]


@counted
def test_the_ratio_is_that_of_the_sample():
    text = "The quick brown fox jumps over the lazy dog. " * 20

    estimate = estimate_from([text, text])

    assert estimate.method == "sampled"
    assert estimate.bytes_per_token == pytest.approx(len(text) / 200, rel=0.05)


@counted
@pytest.mark.parametrize("script", ["word ", "слово ", "語", "😀"])
def test_an_estimate_is_a_little_too_high_in_any_script(script):
    text = script * 500
    estimate = estimate_from([text])
    size = len(text.encode())

    exact = size / estimate.bytes_per_token

    assert exact < estimate.tokens(size) <= exact * 1.06


@counted
@pytest.mark.parametrize("text", ["<|endoftext|>", "\x00", "\u2028", "a" * 100_000])
def test_no_text_is_too_odd_to_be_counted(text):
    assert estimate_from([text]).tokens(len(text)) >= 1


@pytest.mark.parametrize("sample", [[], [""], ["", ""]])
def test_without_any_text_the_ratio_is_assumed(sample):
    assert estimate_from(sample) == TokenEstimate(bytes_per_token=3.0, method="assumed")


def test_every_request_has_a_token_at_least():
    assert TokenEstimate(bytes_per_token=4.0, method="sampled").tokens(0) == 1


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 8))
def test_a_sample_is_every_kth_row_of_the_whole_input(batches, rows):
    kept, length = sampled(batches, rows), sum(batches)
    step = kept[1] if len(kept) > 1 else max(length, 1)

    assert kept == list(range(0, length, step))


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 8))
def test_a_sample_has_the_rows_asked_for_where_the_input_has_them(batches, rows):
    kept = sampled(batches, rows)

    assert min(rows, sum(batches)) <= len(kept) < 2 * rows
