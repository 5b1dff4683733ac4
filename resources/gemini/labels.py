"""The labels that say at Vertex AI whose an answer is.

An output line repeats the request that it answers (page "Batch inference from Cloud Storage"), and
not what else stood in the request's line: so the key goes into the request, as one of the labels
that Vertex AI takes (google-genai 3.4, `types.py`: GenerateContentConfig.labels).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from batch_assets.domain.errors import CorpusError

#: Name of the label that holds the key of a request.
LABEL = "batch_assets_key"

#: What the value of a label may be ("Labels overview" of Google Cloud's Resource Manager). Our own
#: keys are of it.
_VALUE = re.compile(r"[a-z0-9_-]{1,63}")

#: How a line begins that our endpoint wrote (`prompt/envelope.py`).
_OURS = re.compile(rb'\{"key":"([a-z0-9_-]{1,63})","request":\{')


class _Line(msgspec.Struct):
    key: str
    request: dict[str, msgspec.Raw]


class _Request(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Answer(msgspec.Struct):
    key: str | None = None
    request: _Request | None = None


_decode = msgspec.json.Decoder(_Answer).decode
_decode_line = msgspec.json.Decoder(_Line).decode
_decode_labels = msgspec.json.Decoder(dict[str, str]).decode
_encode = msgspec.json.Encoder().encode

_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def labelled(path: Path) -> Iterator[bytes]:
    """The lines of a request file, each with its key as a label of its request.

    Raises OSError, and CorpusError for a line whose answer could not be told from others.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            found = _OURS.match(line)
            if found is None:
                yield _written_anew(line, f"{path}, line {number}")
                continue
            end = found.end()
            more = b"" if line.startswith(b"}", end) else b","
            yield b"".join((line[:end], _label(found[1]), more, line[end:]))


def with_key(line: bytes) -> bytes:
    """An output line with its key, where it can be told and is not there."""
    try:
        found = _decode(line)
    except _UNDECODABLE:
        return line
    labels = (found.request and found.request.labels) or {}
    if found.key is not None or LABEL not in labels:
        return line
    return b'{"key":' + _encode(labels[LABEL]) + b"," + line.lstrip()[1:]


def _label(key: bytes) -> bytes:
    return b'"labels":{"' + LABEL.encode() + b'":"' + key + b'"}'


def _written_anew(line: bytes, place: str) -> bytes:
    """A line of a person's own file, whose fields may stand in any order.

    What is no JSON stays as it is: the provider says what is wrong with it.
    """
    try:
        found = _decode_line(line)
        labels = _decode_labels(found.request.get("labels", b"{}"))
    except msgspec.ValidationError as error:
        raise CorpusError(
            f'{place}: {error}: write {{"key": "…", "request": {{…}}}} on one line'
        ) from error
    except _UNDECODABLE:
        return line
    if not _VALUE.fullmatch(found.key):
        raise CorpusError(
            f"{place}: the key {found.key[:80]!r} cannot be a label, by which Vertex AI gives it "
            "back: give the request one of at most 63 lower-case letters, digits, dashes and "
            "underscores"
        )
    request = found.request | {"labels": msgspec.Raw(_encode(labels | {LABEL: found.key}))}
    return _encode({"key": found.key, "request": request}) + b"\n"
