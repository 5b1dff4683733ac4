"""Text of rows, answers and providers, as plain text of a bounded length."""

import json
import re
from typing import Any

#: Longest text of one table cell; the whole text is in the files.
_LONGEST_CELL = 300

#: Bytes that a character may have on average, as the event log has it: it escapes all but ASCII.
_BYTES_EACH = 2

#: What no page shows as it is, or what would change how the text beside it is shown: control
#: characters but tab and newline, halves of surrogate pairs, changes of the writing direction.
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def cell(value: Any, *, longest: int = _LONGEST_CELL) -> str:
    """The value as plain text, cut where it is long."""
    whole = "" if value is None else str(value)
    beginning = _UNSHOWABLE.sub("\ufffd", whole[:longest].replace("\r\n", "\n"))
    text = beginning
    most_bytes = _BYTES_EACH * longest
    while (size := len(json.dumps(text)) - len('""')) > most_bytes:
        # No character has more bytes than a pair of escapes, so never more is cut than has to be.
        text = text[: -max(1, (size - most_bytes) // len("\\ud83d\\ude00"))]
    return text if len(whole) <= longest and text == beginning else f"{text}…"


def both_ends(text: str, *, longest: int = _LONGEST_CELL) -> str:
    """A prompt as plain text, cut in its middle: instructions begin it, the row's text ends it."""
    if len(text) <= longest:
        return cell(text, longest=longest)
    head = longest // 3
    tail = longest - head
    return f"{cell(text[:head], longest=head)} … {cell(text[-tail:], longest=tail)}"
