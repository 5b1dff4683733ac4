"""The provider behind the routes: every method is one thing a client can ask for."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from batch_assets.sandbox.batch_faults import BatchFault
from batch_assets.sandbox.clock import Clock
from batch_assets.sandbox.database import Database
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.execution import Execution, Outcome
from batch_assets.sandbox.executions import (
    executed_custom_ids,
    executions,
    executions_of,
    executions_of_body,
)
from batch_assets.sandbox.faults import Faults, NewBatch
from batch_assets.sandbox.live_calls import LiveCalls
from batch_assets.sandbox.settings import Settings
from batch_assets.sandbox.stored_batches import BatchOrder, StoredBatch, StoredBatches
from batch_assets.sandbox.stored_files import StoredFile, StoredFiles, result_file_id
from batch_assets.sandbox.timeline import Standing
from batch_assets.sandbox.validation import (
    Validation,
    enqueued_token_error,
    unreadable_file,
    validate_input,
)


class Sandbox:
    """There is no worker: whoever looks at a batch whose results are due makes them first."""

    def __init__(self, state_dir: Path, clock: Clock, settings: Settings, faults: Faults) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self.settings = settings
        self.faults = faults
        self._database = Database(state_dir / "sandbox.sqlite3")
        self.files = StoredFiles(state_dir, self._database, clock)
        self.batches = StoredBatches(self._database)
        self.live = LiveCalls(clock, self._database)
        self._creating = threading.Lock()
        self._executing = threading.Lock()

    def close(self) -> None:
        self._database.close()

    def receiving(self, file_id: str) -> AbstractContextManager[BinaryIO]:
        return self.files.writing(file_id)

    def add_upload(
        self,
        file_id: str,
        filename: str,
        lifetime: float,
        *,
        wire: str = "openai",
        purpose: str = "batch",
    ) -> StoredFile:
        with self._database.transaction() as connection:
            self.files.add(
                connection,
                file_id,
                filename=filename,
                purpose=purpose,
                wire=wire,
                created_at=self.clock.now(),
                lifetime=lifetime,
            )
        return self.files.get(file_id)

    def create_batch(self, order: BatchOrder) -> dict[str, Any]:
        """The input is read now, while it exists; what was found shows after `validating`."""
        found = self._validate(order)
        with self._creating:
            now = self.clock.now()
            limit = self.settings.enqueued_token_limit
            if limit is not None and found.model is not None and not found.errors:
                enqueued = self.batches.enqueued_tokens(found.model, now)
                if enqueued + found.input_tokens > limit:
                    found = Validation(errors=[enqueued_token_error(found.model, limit)])
            scripted = self._scripted(order, found, now)
            failing = [error for fault in scripted for error in fault.errors()]
            if failing:
                found = Validation(errors=failing)
            batch_id = self.batches.add(order, found, self.settings, scripted, now)
        return self.batch(batch_id)

    def _scripted(self, order: BatchOrder, found: Validation, now: float) -> Sequence[BatchFault]:
        """The faults of a new batch; raises ApiError where one refuses its creation."""
        input_path = self.files.content_path(order.input_file_id)
        model = found.model or "unknown"
        new = NewBatch(
            input_path=input_path if input_path.is_file() else None,
            input_tokens=found.input_tokens,
            enqueued_tokens=lambda: self.batches.enqueued_tokens(model, now),
        )
        scripted = self.faults.on_batch(new)
        for fault in scripted:
            fault.check_creation(model)
        return scripted

    def _validate(self, order: BatchOrder) -> Validation:
        if order.found is not None:
            return order.found
        try:
            file = self.files.get(order.input_file_id)
        except ApiError:
            return unreadable_file(order.input_file_id)
        return validate_input(self.files.content_path(file.id), order.endpoint, self.settings)

    def batch(self, batch_id: str) -> dict[str, Any]:
        return self._looked_at(self.batches.get(batch_id), self.clock.now())

    def batch_page(
        self, *, after: str | None, limit: int, wire: str = "openai", before: str | None = None
    ) -> tuple[list[dict[str, Any]], bool]:
        now = self.clock.now()
        batches, more = self.batches.page(after=after, limit=limit, wire=wire, before=before)
        return [self._looked_at(batch, now) for batch in batches], more

    def _looked_at(self, batch: StoredBatch, now: float) -> dict[str, Any]:
        batch = self._executed_when_due(batch, now)
        shown = batch.to_json(now)
        self.batches.count_look(batch, now)
        return shown

    def cancel(self, batch_id: str) -> dict[str, Any]:
        with self._creating:
            now = self.clock.now()
            batch = self.batches.get(batch_id)
            status = batch.timeline.standing(now).status
            if status in ("failed", "completed", "expired"):
                raise ApiError(409, f"Cannot cancel a batch with status '{status}'.")
            if batch.cancelling_at is None or batch.cancelling_at > now:
                self.batches.set_cancelling(batch_id, now)
        return self.batch(batch_id)

    def _executed_when_due(self, batch: StoredBatch, now: float) -> StoredBatch:
        if not batch.executable(batch.timeline.standing(now)):
            return batch
        with self._executing:
            batch = self.batches.get(batch.id)
            standing = batch.timeline.standing(now)
            if batch.executable(standing):
                self._execute(batch, standing)
        return self.batches.get(batch.id)

    def _execute(self, batch: StoredBatch, standing: Standing) -> None:
        """Files first, under their final names; then one transaction makes them true."""
        ended_at = max(standing.times.values())
        output_id = result_file_id(batch.id, "output")
        error_id = result_file_id(batch.id, "error")
        with self.files.writing(output_id) as output, self.files.writing(error_id) as errors:
            outcome = Execution(
                batch_id=batch.id,
                url=batch.endpoint,
                created=ended_at,
                faults=self.faults,
                files=(output, errors),
            ).run(
                self.files.content_path(batch.input_file_id),
                batch.done(standing),
                standing.status,
            )
        self._publish(batch, outcome, {"output": output_id, "error": error_id}, float(ended_at))
        self.files.drop_unneeded_content(batch.input_file_id)

    def _publish(
        self, batch: StoredBatch, outcome: Outcome, file_ids: Mapping[str, str], created_at: float
    ) -> None:
        # Where answers were given, there is an output file, even if all lines of it are missing.
        lines = {"output": outcome.output_lines or outcome.completed, "error": outcome.error_lines}
        written = {kind: file_ids[kind] if lines[kind] else None for kind in lines}
        with self._database.transaction() as connection:
            for kind, file_id in written.items():
                if file_id is None:
                    self.files.content_path(file_ids[kind]).unlink()
                    continue
                self.files.add(
                    connection,
                    file_id,
                    filename=f"{batch.id}_{kind}.jsonl",
                    purpose="batch_output",
                    wire=batch.wire,
                    created_at=created_at,
                    lifetime=batch.output_lifetime,
                )
            self.batches.set_executed(
                connection, batch.id, outcome, written["output"], written["error"]
            )

    def executions(self) -> dict[str, int]:
        with self._database.transaction() as connection:
            counted = executions(connection)
        return counted | {
            "batches_created": self.batches.created(),
            "files_uploaded": self.files.uploaded(),
        }

    def executions_of(self, custom_id: str) -> int:
        with self._database.transaction() as connection:
            return executions_of(connection, custom_id)

    def executions_of_body(self, body: dict[str, Any]) -> int:
        with self._database.transaction() as connection:
            return executions_of_body(connection, body)

    def executed_custom_ids(self) -> dict[str, int]:
        """How often each request was executed, by the custom_id it was sent under."""
        with self._database.transaction() as connection:
            return executed_custom_ids(connection)

    def change_settings(self, changes: dict[str, Any]) -> Settings:
        """For batches created from now on; raises `msgspec.ValidationError`."""
        current = msgspec.to_builtins(self.settings)
        self.settings = msgspec.convert(current | changes, Settings)
        return self.settings

    def reset(self) -> None:
        with self._creating, self._executing:
            self._database.clear()
            self.files.remove_contents()
            self.live.forget()
            self.faults.on_reset()
