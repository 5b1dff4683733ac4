"""A person's orders name just what they cover."""

import pytest
from factories import NOON, a_batch, a_request_set

from batch_assets.domain.batch import Account
from batch_assets.domain.control import Pause, Scope


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({"account": "openai"}, "account openai"),
        ({"inference": "glosses"}, "inference glosses"),
        ({"inference": "glosses", "partition_key": "a-b"}, "partition a-b of glosses"),
        ({"origin": "abcdefgh-1"}, "what backfill or run abcdefgh asked for"),
    ],
)
def test_a_scope_says_what_it_covers(scope, words):
    assert str(Scope(**scope)) == words


@pytest.mark.parametrize(
    ("scope", "complaint"),
    [
        ({}, "exactly one of account, inference and backfill"),
        ({"account": Account("openai"), "inference": "glosses"}, "exactly one of"),
        ({"account": Account("openai"), "origin": "abcdefgh"}, "exactly one of"),
        ({"account": Account("openai"), "partition_key": "a-b"}, "of which inference"),
        ({"partition_key": "a-b"}, "of which inference"),
    ],
)
def test_a_scope_that_names_nothing_or_too_much_is_refused(scope, complaint):
    with pytest.raises(ValueError, match=complaint):
        Scope(**scope)


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"account": Account("openai")}, True),
        ({"account": Account("another")}, False),
        ({"inference": "words"}, True),
        ({"inference": "others"}, False),
        ({"inference": "words", "partition_key": "p"}, True),
        ({"inference": "words", "partition_key": "q"}, False),
        ({"origin": "backfill-1"}, True),
        ({"origin": "backfill-2"}, False),
    ],
)
def test_a_scope_covers_the_batches_of_what_it_names(scope, covered):
    batch = a_batch(
        account=Account("openai"),
        request_set=a_request_set(inference="words", partition_key="p", origin="backfill-1"),
    )

    assert Scope(**scope).covers(batch) is covered


@pytest.mark.parametrize(
    ("is_stop", "words"),
    [
        (True, "account openai is stopped: no credit"),
        (False, "account openai is paused by Ann: no credit"),
    ],
)
def test_an_order_says_what_it_is(is_stop, words):
    scope = Scope(account=Account("openai"))

    assert words == str(
        Pause(scope=scope, since=NOON, owner="Ann", reason="no credit", is_stop=is_stop)
    )
