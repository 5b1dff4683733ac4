"""The key of a batch: 32 hexadecimal digits, by which it is found at its provider."""

import secrets

#: What the keys begin with of batches that a person creates directly. One of the ledger's, which
#: are random (`ledger/statements.py`), does so once in four billion, and is then left to a person.
_OF_A_PERSON = "0" * 8


def key_for_a_person() -> str:
    """A new key, for `Provider.create`."""
    return _OF_A_PERSON + secrets.token_hex(12)


def is_for_a_person(key: str) -> bool:
    """Whether a person created its batch, whose requests go out without a mark of ours."""
    return key.startswith(_OF_A_PERSON)
