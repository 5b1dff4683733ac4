"""Batches: their rows, and the batch object the API shows (API reference, Batch object)."""

import json
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

from batch_assets.sandbox.database import Database
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.execution import Outcome
from batch_assets.sandbox.executions import count_executions
from batch_assets.sandbox.settings import Settings
from batch_assets.sandbox.timeline import WITH_RESULTS, Standing, Timeline
from batch_assets.sandbox.validation import Validation

TIMESTAMPS = (
    "in_progress_at", "finalizing_at", "completed_at", "failed_at",
    "expired_at", "cancelling_at", "cancelled_at",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BatchOrder:
    """What a client asks for when it creates a batch."""

    endpoint: str
    input_file_id: str
    metadata: dict[str, str] | None
    output_lifetime: float


@dataclass(frozen=True, kw_only=True)
class StoredBatch:
    seq: int
    id: str
    endpoint: str
    input_file_id: str
    metadata: str | None
    output_lifetime: float
    created_at: float
    latency: float
    cancel_delay: float
    errors: str | None
    model: str | None
    total: int
    refused: int
    enqueued_tokens: int
    cancelling_at: float | None
    executed: int
    completed: int
    failed: int
    input_tokens: int
    output_tokens: int
    output_file_id: str | None
    error_file_id: str | None

    @property
    def timeline(self) -> Timeline:
        return Timeline(
            created_at=self.created_at,
            latency=self.latency,
            cancel_delay=self.cancel_delay,
            valid=self.errors is None,
            cancelling_at=self.cancelling_at,
        )

    def executable(self, standing: Standing) -> bool:
        """Whether its results are due and have not been made."""
        return not self.executed and self.errors is None and standing.status in WITH_RESULTS

    def done(self, standing: Standing) -> int:
        return int(self.total * standing.share)

    def to_json(self, now: float) -> dict[str, Any]:
        standing = self.timeline.standing(now)
        validated = "in_progress_at" in standing.times
        errors = json.loads(self.errors) if self.errors and standing.status == "failed" else None
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "model": self.model if validated else None,
            "errors": {"object": "list", "data": errors} if errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": "24h",
            "status": standing.status,
            "output_file_id": self.output_file_id if standing.terminal else None,
            "error_file_id": self.error_file_id if standing.terminal else None,
            "created_at": int(self.created_at),
            "expires_at": int(self.timeline.expires_at),
            **{name: standing.times.get(name) for name in TIMESTAMPS},
            "request_counts": self._request_counts(standing, validated),
            "usage": self._usage() if standing.terminal else None,
            "metadata": json.loads(self.metadata) if self.metadata else None,
        }

    def _request_counts(self, standing: Standing, validated: bool) -> dict[str, int]:
        if self.executed:
            return {"total": self.total, "completed": self.completed, "failed": self.failed}
        if not validated:
            return {"total": 0, "completed": 0, "failed": 0}
        # Both grow with the share, so neither ever goes back between two polls.
        return {
            "total": self.total,
            "completed": int((self.total - self.refused) * standing.share),
            "failed": int(self.refused * standing.share),
        }

    def _usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.input_tokens + self.output_tokens,
        }


class StoredBatches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, order: BatchOrder, found: Validation, settings: Settings, now: float) -> str:
        columns = {
            "id": f"batch_{secrets.token_hex(16)}",
            "endpoint": order.endpoint,
            "input_file_id": order.input_file_id,
            "metadata": json.dumps(order.metadata) if order.metadata is not None else None,
            "output_lifetime": order.output_lifetime,
            "created_at": now,
            "latency": settings.latency,
            "cancel_delay": settings.cancel_delay,
            "errors": json.dumps(found.errors) if found.errors else None,
            "model": found.model,
            "total": 0 if found.errors else found.total,
            "refused": found.refused,
            "enqueued_tokens": 0 if found.errors else found.input_tokens,
        }
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT INTO batches ({names}) VALUES ({marks})", tuple(columns.values())
            )
        return str(columns["id"])

    def get(self, batch_id: str) -> StoredBatch:
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM batches WHERE id = ?", (batch_id,)).fetchone()
        if row is None:
            raise ApiError(404, f"No batch found with id '{batch_id}'.")
        return StoredBatch(**row)

    def page(self, *, after: str | None, limit: int) -> tuple[list[StoredBatch], bool]:
        """The newest first, and whether older ones follow."""
        before = self.get(after).seq if after is not None else 2**62
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM batches WHERE seq < ? ORDER BY seq DESC LIMIT ?", (before, limit + 1)
            ).fetchall()
        return [StoredBatch(**row) for row in rows[:limit]], len(rows) > limit

    def enqueued_tokens(self, model: str, now: float) -> int:
        """Input tokens of the unfinished batches of `model`."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM batches WHERE model = ? AND errors IS NULL", (model,)
            ).fetchall()
        batches = [StoredBatch(**row) for row in rows]
        return sum(b.enqueued_tokens for b in batches if not b.timeline.standing(now).terminal)

    def set_cancelling(self, batch_id: str, now: float) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE batches SET cancelling_at = ? WHERE id = ?", (now, batch_id))

    def set_executed(
        self,
        connection: sqlite3.Connection,
        batch_id: str,
        outcome: Outcome,
        output_file_id: str | None,
        error_file_id: str | None,
    ) -> None:
        count_executions(connection, outcome.digests, outcome.custom_ids)
        connection.execute(
            "UPDATE batches SET executed = 1, completed = ?, failed = ?, input_tokens = ?,"
            " output_tokens = ?, output_file_id = ?, error_file_id = ? WHERE id = ?",
            (
                outcome.completed, outcome.failed, outcome.input_tokens,
                outcome.output_tokens, output_file_id, error_file_id, batch_id,
            ),
        )  # fmt: skip

    def created(self) -> int:
        with self._database.transaction() as connection:
            count: int = connection.execute("SELECT count(*) FROM batches").fetchone()[0]
        return count
