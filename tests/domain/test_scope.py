"""A person's orders name just what they cover."""

import pytest

from batch_assets.domain.batch import Account
from batch_assets.domain.control import Scope


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({"account": "openai"}, "account openai"),
        ({"inference": "glosses"}, "inference glosses"),
        ({"inference": "glosses", "partition_key": "a-b"}, "partition a-b of glosses"),
    ],
)
def test_a_scope_says_what_it_covers(scope, words):
    assert str(Scope(**scope)) == words


@pytest.mark.parametrize(
    ("scope", "complaint"),
    [
        ({}, "names an account or an inference"),
        ({"account": Account("openai"), "inference": "glosses"}, "not both"),
        ({"account": Account("openai"), "partition_key": "a-b"}, "of which inference"),
        ({"partition_key": "a-b"}, "names an account or an inference"),
    ],
)
def test_a_scope_that_names_nothing_or_too_much_is_refused(scope, complaint):
    with pytest.raises(ValueError, match=complaint):
        Scope(**scope)
