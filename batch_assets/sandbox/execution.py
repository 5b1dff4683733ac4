"""Executing a batch: its input file becomes an output file and an error file.

Everything is a function of the batch's row and its input file, ids included, so an execution
that a crash cut off before its transaction is simply done again.
"""

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from batch_assets.sandbox.endpoints import ENDPOINTS, Endpoint
from batch_assets.sandbox.executions import body_digest
from batch_assets.sandbox.faults import Faults
from batch_assets.sandbox.item_faults import Written, as_answered, encoded

UNEXECUTED = {
    "expired": (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "cancelled": (
        "batch_cancelled",
        "This request could not be executed because the batch was cancelled.",
    ),
}


@dataclass(kw_only=True)
class Outcome:
    """What an execution did; the output and the error file exist when they have lines."""

    completed: int = 0
    failed: int = 0
    output_lines: int = 0
    error_lines: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    digests: list[bytes] = field(default_factory=list)
    custom_ids: list[str] = field(default_factory=list)


class Execution:
    """One pass over the lines of one batch, in an order shuffled by the batch's id."""

    def __init__(
        self,
        *,
        batch_id: str,
        url: str,
        created: int,
        faults: Faults,
        files: tuple[BinaryIO, BinaryIO],
    ) -> None:
        self.outcome = Outcome()
        self._batch_id = batch_id
        self._endpoint: Endpoint = ENDPOINTS[url]
        self._created = created
        self._faults = faults
        self._output, self._errors = files
        self._cut_lines: list[bytes] = []

    def run(self, input_path: Path, done: int, ended_as: str) -> Outcome:
        """Executes `done` of the requests; the others are reported as `ended_as` says."""
        offsets = _line_offsets(input_path)
        order = list(range(len(offsets)))
        random.Random(self._batch_id).shuffle(order)
        with input_path.open("rb") as lines:
            for position, index in enumerate(order):
                lines.seek(offsets[index])
                request = msgspec.json.decode(lines.readline())
                if position < done:
                    self._execute(request)
                else:
                    self._leave(request["custom_id"], ended_as)
        # Only the very last one is a half line without a newline.
        self._output.write(b"\n".join(self._cut_lines))
        return self.outcome

    def _execute(self, request: dict[str, Any]) -> None:
        custom_id, body = request["custom_id"], request["body"]
        digest = self._digest(custom_id)
        scripted = self._faults.on_item(self._batch_id, custom_id)
        if scripted is not None:
            self._write(Written(errors=(encoded(scripted),), executed=False, completed=False))
            return
        reply = self._endpoint.reply(body, digest[:29], self._created)
        response = {"status_code": reply.status_code, "request_id": digest[32:], "body": reply.body}
        line = self._line(custom_id, response=response, error=None)
        if reply.status_code != 200:
            self._write(Written(errors=(encoded(line),), executed=False, completed=False))
            return
        fault = self._faults.on_request(custom_id, body)
        written = as_answered(line) if fault is None else fault.written(line)
        self._write(written)
        if written.executed:
            self.outcome.input_tokens += reply.input_tokens
            self.outcome.output_tokens += reply.output_tokens
            self.outcome.digests.append(body_digest(body))
            self.outcome.custom_ids.append(custom_id)

    def _leave(self, custom_id: str, ended_as: str) -> None:
        code, message = UNEXECUTED[ended_as]
        error = {"code": code, "message": message}
        line = encoded(self._line(custom_id, response=None, error=error))
        self._errors.write(line)
        self.outcome.error_lines += 1

    def _line(self, custom_id: str, **result: Any) -> dict[str, Any]:
        return {"id": f"batch_req_{self._digest(custom_id)[:32]}", "custom_id": custom_id, **result}

    def _write(self, written: Written) -> None:
        self._output.writelines(written.output)
        self._errors.writelines(written.errors)
        if written.last is not None:
            self._cut_lines.append(written.last)
        self.outcome.output_lines += len(written.output)
        self.outcome.error_lines += len(written.errors)
        if written.completed:
            self.outcome.completed += 1
        else:
            self.outcome.failed += 1

    def _digest(self, custom_id: str) -> str:
        return hashlib.sha256(f"{self._batch_id}/{custom_id}".encode()).hexdigest()


def _line_offsets(path: Path) -> list[int]:
    offsets: list[int] = []
    at = 0
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                offsets.append(at)
            at += len(line)
    return offsets
