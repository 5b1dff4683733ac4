"""Replies of Gemini's Batch API in our own words: operations of the Developer API, whose metadata
are the batch, and jobs of Vertex AI.

They are read as they came: the SDK leaves the counts and the error of the Developer API out
(google-genai 3.4, `batches.py`: _BatchJob_from_mldev), and warns of a state that it does not know.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from batch_assets.domain.batch import BatchProblem
from batch_assets.domain.provider import Phase, ProviderBatch, RemoteFile

#: Every state of `types.py` (JobState), and the same of the Developer API, which begin with
#: BATCH_STATE_. The SDK's own list of those that have ended lacks the partial success.
PHASES = {
    "QUEUED": Phase.OPEN,
    "PENDING": Phase.OPEN,
    "RUNNING": Phase.OPEN,
    "UPDATING": Phase.OPEN,
    "PAUSED": Phase.OPEN,
    "CANCELLING": Phase.OPEN,
    "SUCCEEDED": Phase.ENDED,
    "PARTIALLY_SUCCEEDED": Phase.ENDED,
    "FAILED": Phase.ENDED,
    "CANCELLED": Phase.ENDED,
    "EXPIRED": Phase.ENDED,
}

_SUCCEEDED = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED"})

_PREFIX = re.compile(r"(?:JOB|BATCH)_STATE_")

#: The form of our keys, by which a name that we gave is told from what others write there.
KEY = re.compile(r"[0-9a-f]{32}")

#: Names of the counts at the Developer API and at Vertex AI (`types.py`: CompletionStats).
_COMPLETED = ("successfulRequestCount", "successfulCount")
_FAILED = ("failedRequestCount", "failedCount")
_WAITING = ("pendingRequestCount", "incompleteCount")

_Json = Mapping[str, Any]


class Unreadable(ValueError):
    """A reply came, and it does not hold what the API promises."""


def described(reply: object) -> ProviderBatch:
    """The batch of a reply. Raises Unreadable without name, state or time."""
    batch = _batch_of(reply)
    state = _required(batch, "state")
    word = _PREFIX.sub("", state)
    phase = PHASES.get(word, Phase.UNKNOWN)
    stats = _mapping(batch, "batchStats") or _mapping(batch, "completionStats")
    name = key_of(reply)
    is_ours = name is not None and KEY.fullmatch(name) is not None
    completed, failed = _count(stats, _COMPLETED), _count(stats, _FAILED)
    total = _count(stats, ("requestCount",))
    if total is None and stats:
        total = _total(word, completed, failed, _count(stats, _WAITING))
    return ProviderBatch(
        id=_required(reply, "name"),
        phase=phase,
        status=word.lower(),
        created_at=created_at(reply),
        key=name if is_ours else None,
        input_file_id=_input_of(batch),
        output_file_id=_output_of(batch, word) if phase is Phase.ENDED else None,
        # Numbers that are zero are left out of such JSON.
        completed=(completed or 0) if stats else None,
        failed=(failed or 0) if stats else None,
        total=total,
        problems=_problems(reply),
        metadata={} if is_ours or name is None else {"displayName": name},
    )


def file_described(file: object) -> RemoteFile:
    """A file of the Developer API's list. Raises Unreadable without name or time."""
    size, source = text_of(file, "sizeBytes"), text_of(file, "source")
    return RemoteFile(
        id=_required(file, "name"),
        name=text_of(file, "displayName"),
        bytes=int(size) if size and size.isdecimal() else None,
        created_at=created_at(file),
        # An uploaded file may be for anything; of the others the source is what there is: answers
        # are GENERATED (`types.py`: FileSource).
        purpose=None if source == "UPLOADED" else source,
    )


def created_at(entry: object) -> datetime:
    """When a batch or a file was created. Raises Unreadable without it."""
    written = _required(_batch_of(entry), "createTime")
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise Unreadable(f"createTime is {written!r}, which is no time") from error
    if moment.tzinfo is None:
        raise Unreadable(f"createTime is {written!r}, which has no time zone")
    return moment


def key_of(entry: object) -> str | None:
    """The name that a batch or a file was given: of ours, the key."""
    return text_of(_batch_of(entry), "displayName")


def text_of(value: object, name: str) -> str | None:
    """The field where it is a text that is not empty."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) and found else None


def check_length(headers: Mapping[str, str], received: int) -> None:
    """Raise Unreadable unless as many bytes came as the reply announced."""
    announced = headers.get("content-length")
    if announced is None or "content-encoding" in headers:
        return
    if announced.isdecimal() and int(announced) != received:
        raise Unreadable(f"{received:,} bytes came of {int(announced):,} announced")


def _batch_of(reply: object) -> _Json:
    """What describes the batch: the metadata of an operation, or the reply itself."""
    if not isinstance(reply, Mapping):
        raise Unreadable("the reply is no JSON object")
    metadata = reply.get("metadata")
    return metadata if isinstance(metadata, Mapping) else reply


def _required(value: object, name: str) -> str:
    text = text_of(value, name)
    if text is None:
        raise Unreadable(f"the reply has no {name}")
    return text


def _mapping(value: object, *path: str) -> _Json:
    """What the path leads to; empty where it leads to no object."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _input_of(batch: _Json) -> str | None:
    source = _mapping(batch, "inputConfig")
    uris = _mapping(source, "gcsSource").get("uris")
    if isinstance(uris, list) and uris and isinstance(uris[0], str):
        return uris[0]
    return text_of(source, "fileName")


def _output_of(batch: _Json, word: str) -> str | None:
    """The output file, or the folder of the output files at Vertex AI.

    Of a job that was broken off nothing says whether it wrote: it is looked for where it would.
    """
    if (file := text_of(_mapping(batch, "output"), "responsesFile")) is not None:
        return file
    if word in _SUCCEEDED:
        return text_of(_mapping(batch, "outputInfo"), "gcsOutputDirectory")
    return text_of(_mapping(batch, "outputConfig", "gcsDestination"), "outputUriPrefix")


def _total(word: str, completed: int | None, failed: int | None, waiting: int | None) -> int | None:
    """How many requests there are, where those that wait are counted or there are none."""
    if waiting is None and word not in _SUCCEEDED:
        return None
    return sum(filter(None, (completed, failed, waiting))) or None


def _problems(reply: object) -> tuple[BatchProblem, ...]:
    error = _mapping(reply, "error")
    message = text_of(error, "message")
    if not error:
        return ()
    code = text_of(error, "status") or error.get("code")
    return (BatchProblem(code=None if code is None else str(code), message=message, line=None),)


def _count(stats: _Json, names: tuple[str, ...]) -> int | None:
    """A number of 64 bits, which such JSON has as text; -1 is Vertex AI's word for unknown."""
    found = next((stats[name] for name in names if name in stats), None)
    try:
        return None if found is None or int(found) < 0 else int(found)
    except (TypeError, ValueError):
        return None
