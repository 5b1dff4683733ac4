"""What several items ask is asked once, also where fingerprints are half the same."""

import numpy as np

from batch_assets.stages.shared_asks import SharedAsks
from batch_assets.stages.survey import short_form


def shared(*fingerprints: bytes) -> SharedAsks:
    """The asks of which these are the fingerprints that several items have."""
    short_forms = {short_form(fingerprint) for fingerprint in fingerprints}
    return SharedAsks(np.array(sorted(short_forms), dtype=np.int64))


ONE, TWO = b"first half 1 ...", b"\xff" * 16


def test_a_shared_ask_is_known_by_the_ordinal_of_its_first_item():
    asks = shared(ONE, TWO)

    asks.note(ONE, 0)
    asks.note(TWO, 7)

    assert [asks.ordinal(ONE), asks.ordinal(TWO)] == [0, 7]


def test_an_ask_is_new_until_it_is_noted():
    asks = shared(ONE, TWO)

    asks.note(TWO, 0)

    assert (ONE in asks, TWO in asks) == (False, True)


def test_an_oversize_ask_is_known_and_has_no_ordinal():
    asks = shared(ONE)

    asks.note(ONE, None)

    assert ONE in asks
    assert asks.ordinal(ONE) is None


def test_the_ask_of_one_item_only_is_not_kept():
    asks = shared(ONE)

    asks.note(TWO, 3)

    assert TWO not in asks


def test_two_asks_whose_fingerprints_begin_alike_are_two():
    begins_alike, neither = ONE[:8] + b"two 5678", ONE[:8] + b"three 78"
    asks = shared(ONE)

    asks.note(ONE, 1)
    asks.note(begins_alike, 2)

    assert [asks.ordinal(ONE), asks.ordinal(begins_alike)] == [1, 2]
    assert neither not in asks
