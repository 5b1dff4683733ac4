from batch_assets.domain.usage import Usage


def test_usage_adds_up_kind_by_kind():
    """Row 48: cached and reasoning tokens are kept apart from those they are a part of."""
    one = Usage(input_tokens=100, cached_tokens=80, output_tokens=20, reasoning_tokens=15)
    other = Usage(input_tokens=1, cached_tokens=2, output_tokens=3, reasoning_tokens=4)

    assert one + other == Usage(
        input_tokens=101, cached_tokens=82, output_tokens=23, reasoning_tokens=19
    )


def test_nothing_used_changes_no_sum():
    assert Usage(output_tokens=5) + Usage() == Usage(output_tokens=5)
