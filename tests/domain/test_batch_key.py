"""Keys of batches that a person creates."""

import re

from batch_assets.domain.batch_key import content_of, is_for_a_person, key_for_a_person


def test_a_persons_keys_are_keys_that_differ_and_are_told_from_others():
    keys = {key_for_a_person() for _ in range(100)}

    assert len(keys) == 100
    assert all(re.fullmatch(r"[0-9a-f]{32}", key) for key in keys)
    assert all(map(is_for_a_person, keys))
    assert not is_for_a_person("0123456789abcdef" * 2)


def test_keys_of_the_same_requests_differ_and_say_that_they_are_the_same():
    first, second, other = (key_for_a_person(digest * 64) for digest in "aab")

    assert first != second
    assert content_of(first) == content_of(second) != content_of(other)


def test_a_key_of_the_ledgers_says_nothing_of_the_requests():
    assert content_of("0123456789abcdef" * 2) is None
