"""The key of a batch: 32 hexadecimal digits, by which it is found at its provider."""

import secrets

#: What the keys begin with of batches that a person creates directly. One of the ledger's, which
#: are random (`ledger/statements.py`), does so once in four billion, and is then left to a person.
_OF_A_PERSON = "0" * 8

#: How many digits follow that say what is asked. Two files among a million have the same by chance
#: once in five hundred.
_CONTENT = 12


def key_for_a_person(digest: str | None = None) -> str:
    """A new key, for `Provider.create`; `digest` is a hexadecimal one of what is asked."""
    content = secrets.token_hex(_CONTENT // 2) if digest is None else digest[:_CONTENT]
    return _OF_A_PERSON + content + secrets.token_hex(6)


def is_for_a_person(key: str) -> bool:
    """Whether a person created its batch, whose requests go out without a mark of ours."""
    return key.startswith(_OF_A_PERSON)


def content_of(key: str) -> str | None:
    """What a person's key has in common with those of the same requests; None of the ledger's."""
    begin = len(_OF_A_PERSON)
    return key[begin : begin + _CONTENT] if is_for_a_person(key) else None
