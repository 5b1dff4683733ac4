"""A request is one line of a batch file; its custom_id joins the answer without a hash table."""

import re
from typing import NewType

#: Hex sha256 over everything that determines the requests of one partition.
RequestSetDigest = NewType("RequestSetDigest", str)

#: Anthropic's pattern, the narrowest of the providers' (provider SDKs and documentation).
CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

#: As we write it: no leading zero, and no more digits than a 64-bit integer has; behind it, where
#: an adapter put one, the mark of its batch.
_ORDINAL = re.compile(r"(0|[1-9][0-9]{0,17})(?:-[0-9a-f]{16})?")

_SHORT = 16


def short_digest(digest: RequestSetDigest) -> str:
    """The first 64 bits of the digest: enough to recognise a request set among a corpus's own."""
    return digest[:_SHORT]


def custom_id_prefix(digest: RequestSetDigest) -> str:
    """What every custom_id of a request set begins with; the ordinal follows."""
    return f"{short_digest(digest)}-"


def ordinal_of(custom_id: str, prefix: str) -> int | None:
    """The ordinal in a custom_id that begins with `prefix`, or None where the id is another's."""
    rest = custom_id.removeprefix(prefix)
    found = None if rest == custom_id else _ORDINAL.fullmatch(rest)
    return None if found is None else int(found[1])


def mark_of(key: str) -> str:
    """What a batch's custom_ids end with at a provider that keeps no other word of ours.

    A provider without metadata shows whose a batch is by the ids of its requests alone.
    """
    return f"-{key[:_SHORT]}"
