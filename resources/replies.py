"""Reading what a provider replied: a model of its SDK, or plain JSON, that may hold anything."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from batch_assets.domain.provider import KEY_METADATA


class Unreadable(ValueError):
    """A reply came, and it does not hold what the API promises."""


class NotListed(LookupError):
    """The server has no such list: it speaks a part of the API only."""


class CursorGone(LookupError):
    """The list cannot be entered there: the server knows the cursor's batch or file no more."""


def created_at(entry: object) -> int | None:
    """Unix seconds; a time in ISO's form that names no zone is in UTC."""
    time = field_of(entry, "created_at")
    seconds = number_of(time)
    if seconds is None and isinstance(time, str):
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(time)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return int(moment.timestamp())
    return seconds


def moment_of(seconds: int) -> datetime:
    """The time of so many Unix seconds, in UTC. Raises Unreadable where it is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OSError, OverflowError, ValueError) as error:
        raise Unreadable(f"created_at is {seconds}, which is no time in seconds") from error


def words_in(metadata: object) -> dict[str, str]:
    """What a person wrote on a batch, without our key; a value that is no text is in JSON."""
    if not isinstance(metadata, Mapping):
        return {}
    return {
        str(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in metadata.items()
        if name != KEY_METADATA
    }


def field_of(value: object, name: str) -> object:
    """The field of a model of the SDK or of plain JSON; None where there is none."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def text_of(value: object, name: str) -> str | None:
    """The field where it is a text that is not empty."""
    found = field_of(value, name)
    return found if isinstance(found, str) and found else None


def required_text(reply: object, name: str) -> str:
    """A field that the API promises. Raises Unreadable without it."""
    text = text_of(reply, name)
    if text is None:
        raise Unreadable(f"the reply has no {name}")
    return text


def check_length(headers: Mapping[str, str], received: int) -> None:
    """Raise Unreadable unless as many bytes came as the reply announced.

    The HTTP client checks a plain reply itself. It does not where a proxy sends it in chunks and
    keeps the header. The length of an encoded reply is that of its encoded form: not compared.
    """
    announced = number_of(headers.get("content-length"))
    if announced not in (None, received) and "content-encoding" not in headers:
        raise Unreadable(f"{received:,} bytes came of {announced:,} announced")


def check_whole(file: object, received: int) -> None:
    """Raise Unreadable where less came than the server says the file has.

    More is let pass: a server that does not count says 0.
    """
    size = number_of(field_of(file, "bytes"))
    if size is not None and received < size:
        raise Unreadable(f"{received:,} bytes came of a file of {size:,}")


def number_of(value: object) -> int | None:
    if not isinstance(value, int | float | str):
        return None
    try:
        return int(float(value))
    except (OverflowError, ValueError):
        return None
