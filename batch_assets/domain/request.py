"""A request is one line of a batch file; its custom_id joins the answer without a hash table."""

import re
from typing import NewType

#: Hex sha256 over everything that determines the requests of one partition.
RequestSetDigest = NewType("RequestSetDigest", str)

#: Anthropic's pattern, the narrowest of the providers' (provider SDKs and documentation).
CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

#: As we write it: no leading zero, and no more digits than a 64-bit integer has.
_ORDINAL = re.compile(r"0|[1-9][0-9]{0,17}")

_SHORT = 16


def short_digest(digest: RequestSetDigest) -> str:
    """The first 64 bits of the digest: enough to recognise a request set among a corpus's own."""
    return digest[:_SHORT]


def custom_id_prefix(digest: RequestSetDigest) -> str:
    """What every custom_id of a request set begins with; the ordinal follows."""
    return f"{short_digest(digest)}-"


def ordinal_of(custom_id: str, prefix: str) -> int | None:
    """The ordinal in a custom_id that begins with `prefix`, or None where the id is another's."""
    ordinal = custom_id.removeprefix(prefix)
    if ordinal == custom_id or _ORDINAL.fullmatch(ordinal) is None:
        return None
    return int(ordinal)
