"""What servers of OpenAI's Batch API do otherwise than OpenAI: options, and what they make of it.

The oddities of each known server are in `compatible_wire`; those of `/compatible/v1` are a setting
of the sandbox, so that a pipeline can be tried against any combination of them.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

#: Hours of a window such as 24h or 7d.
HOURS = {"h": 1, "d": 24}


class Oddities(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As OpenAI does it, unless said otherwise."""

    purpose: str = "batch"
    upload_path: str = "/files"
    names_file: bool = False
    """Whether an upload must have a field `file_name`, which is the file's name then."""
    equal_files: Literal["taken", "refused"] = "taken"
    """Whether a file of the same content as another is answered with 409 and that one's id."""
    pending_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Seconds from its upload for which a file is `pending`, and no batch can be made of it."""
    keeps_for: bool = True
    """Whether it can be said how long files are kept."""
    window_hours: tuple[int, ...] = (24,)
    endpoints: tuple[str, ...] | None = None
    versioned: bool = True
    """Whether endpoints are spelled with /v1, in requests and in the lines of files."""
    metadata: Literal["kept", "dropped", "refused"] = "kept"
    metadata_bytes: int | None = None
    """Bytes of all metadata together, in place of the limits of pairs."""
    max_batch_bytes: int | None = None
    """A larger file can be uploaded, and its batch fails."""
    created_in: str | None = None
    """The field that a new batch stands in."""
    statuses: Literal["lower", "upper"] = "lower"
    status_words: dict[str, str] = {}
    """Other words for OpenAI's statuses."""
    times: Literal["seconds", "digits", "iso"] = "seconds"
    errors: Literal["object", "list", "text"] = "object"
    counts: bool = True
    """Whether there are counts, or one number of `progress` from 0 to 100."""
    usage: bool = True
    listing: Literal["pages", "whole", "array", "shuffled"] = "pages"
    """Pages from new to old, or in no order; or all at once, as a list object or a bare array."""
    file_list: bool = True
    file_status: bool = True
    """Whether one file can be asked about."""
    text_bodies: bool = False
    """Whether the bodies of answers are JSON inside a string."""
    api_version: str | None = None
    """The query parameter that every call must have, with the key in the header `api-key`."""


def shown(batch: dict[str, Any], oddities: Oddities) -> dict[str, Any]:
    """OpenAI's batch object as the server has it."""
    batch = dict(batch)
    if not oddities.versioned:
        batch["endpoint"] = batch["endpoint"].removeprefix("/v1")
    word = batch["status"]
    word = oddities.status_words.get(word, word)
    batch["status"] = word.upper() if oddities.statuses == "upper" else word
    for name, value in batch.items():
        if name.endswith("_at") and value is not None:
            batch[name] = _time(value, oddities.times)
    if oddities.errors != "object":
        problems = (batch.pop("errors") or {}).get("data", [])
        if oddities.errors == "list":
            batch["errors"] = problems
        else:
            batch["errors"] = "; ".join(problem["message"] for problem in problems)
    if oddities.metadata != "kept":
        del batch["metadata"]
    if not oddities.usage:
        del batch["usage"]
    if not oddities.counts:
        counts = batch.pop("request_counts")
        done = counts["completed"] + counts["failed"]
        batch["progress"] = 100.0 * done / counts["total"] if counts["total"] else 0.0
    return batch


def with_text_body(line: bytes) -> bytes:
    """A line of an output file whose body is JSON inside a string; half a line stays as it is."""
    try:
        answer = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    response = answer.get("response")
    if response:
        response["body"] = msgspec.json.encode(response["body"]).decode()
    return msgspec.json.encode(answer) + b"\n"


def hours_of(window: str) -> int | None:
    """The hours of a window; None for what is none."""
    number, unit = window[:-1], window[-1:]
    return int(number) * HOURS[unit] if number.isdecimal() and unit in HOURS else None


def _time(seconds: int, form: str) -> int | str:
    match form:
        case "digits":
            return str(seconds)
        case "iso":
            return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
        case _:
            return seconds
