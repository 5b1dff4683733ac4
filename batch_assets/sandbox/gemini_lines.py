"""Lines of Gemini's files and of the engine's, each as the other has them (guide "Batch API")."""

import sqlite3
import threading
from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec

from batch_assets.sandbox.gemini_answers import GENERATE_CONTENT
from batch_assets.sandbox.gemini_errors import name_of, status_of
from batch_assets.sandbox.gemini_files import LIFETIME, WIRE
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.stored_files import StoredFile, new_file_id

FILE_IDS = ("output_file_id", "error_file_id")

#: Why a request never ran, by the engine's words.
UNRUN = {"batch_expired": "DEADLINE_EXCEEDED", "batch_cancelled": "CANCELLED"}

#: Two that look at once make one file.
_MAKING = threading.Lock()

_encode = msgspec.json.Encoder().encode


def lines_for_the_engine(sandbox: Sandbox, file: StoredFile, model: str) -> str:
    """The id of a file with the same requests in the engine's form; a damaged line stays."""
    file_id = new_file_id()
    with (
        sandbox.files.content_path(file.id).open("rb") as source,
        sandbox.receiving(file_id) as sink,
    ):
        for line in source:
            sink.write(_for_the_engine(line, model))
    sandbox.add_upload(file_id, file.filename, LIFETIME, wire=WIRE, purpose="engine")
    return file_id


def _for_the_engine(line: bytes, model: str) -> bytes:
    try:
        asked = msgspec.json.decode(line)
        body = {**asked["request"], "model": model}
        address = {"method": "POST", "url": GENERATE_CONTENT}
        return _encode({"custom_id": asked["key"], **address, "body": body}) + b"\n"
    except (msgspec.DecodeError, LookupError, TypeError, RecursionError):
        return line


def responses_file(sandbox: Sandbox, batch: dict[str, Any]) -> str | None:
    """The name of the output file, which is made when it is first looked for.

    A batch that expired has no results to retrieve (guide "Batch API", "Monitor job status").
    """
    sources = [batch[name] for name in FILE_IDS if batch[name]]
    if not sources or batch["status"] == "expired":
        return None
    file_id = f"batch-{sha256(batch['id'].encode()).hexdigest()[:20]}"
    with _MAKING:
        # The engine's own files go once they are read, so that this is done once.
        if all(sandbox.files.content_path(source).exists() for source in sources):
            _write(sandbox, file_id, batch, sources)
            for source in sources:
                sandbox.files.delete(source)
    return f"files/{file_id}"


def _write(sandbox: Sandbox, file_id: str, batch: dict[str, Any], sources: list[str]) -> None:
    with sandbox.receiving(file_id) as sink:
        for source in sources:
            with sandbox.files.content_path(source).open("rb") as lines:
                for line in lines:
                    sink.write(_as_answered(line, batch["status"]))
    # A crash in between leaves its row, and the same content is written again.
    with suppress(sqlite3.IntegrityError):
        sandbox.add_upload(file_id, "", LIFETIME, wire=WIRE, purpose="batch_output")


def _as_answered(line: bytes, status: str) -> bytes:
    """A line of the output file; nothing for a request that a cancelled batch did not get to."""
    try:
        found = msgspec.json.decode(line)
        key, response, error = found["custom_id"], found["response"], found["error"]
    except (msgspec.DecodeError, LookupError, TypeError):
        return line
    if error is not None:
        if status == "cancelled" and error["code"] == "batch_cancelled":
            return b""
        failed = status_of(UNRUN.get(error["code"], "INTERNAL"), error["message"])
        return _encode({"key": key, "error": failed}) + b"\n"
    if response is None:
        return _encode({"key": key}) + b"\n"
    if response["status_code"] in (200, 0):
        return _encode({"key": key, "response": response["body"]}) + b"\n"
    failed = status_of(name_of(response["status_code"]), response["body"]["error"]["message"])
    return _encode({"key": key, "error": failed}) + b"\n"
