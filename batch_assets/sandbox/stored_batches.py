"""Batches: their rows, and the batch object the API shows (API reference, Batch object)."""

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from batch_assets.sandbox.batch_faults import (
    AnyBatchFault,
    BatchFault,
    CancelledOutside,
    Expires,
    Stuck,
)
from batch_assets.sandbox.database import Database
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.execution import Outcome
from batch_assets.sandbox.executions import count_executions
from batch_assets.sandbox.settings import Settings
from batch_assets.sandbox.timeline import COMPLETION_WINDOW, WITH_RESULTS, Standing, Timeline
from batch_assets.sandbox.validation import Validation

TIMESTAMPS = (
    "in_progress_at", "finalizing_at", "completed_at", "failed_at",
    "expired_at", "cancelling_at", "cancelled_at",
)  # fmt: skip

#: Seconds that a batch has at a wire whose provider gives it more than OpenAI's: Gemini's 48 hours
#: (guide "Batch API", "Monitor job status").
WINDOWS = {"gemini": 48 * 60 * 60}

#: A batch's row with its faults beside it.
SELECT = """
SELECT batches.*, (
    SELECT json_group_array(json_array(json(fault), looks)) FROM (
        SELECT fault, looks FROM batch_faults WHERE batch_id = batches.id ORDER BY position
    )
) AS faults FROM batches
"""

FaultT = TypeVar("FaultT", bound=BatchFault)


@dataclass(frozen=True, kw_only=True)
class BatchOrder:
    """What a client asks for when it creates a batch."""

    endpoint: str
    input_file_id: str
    metadata: dict[str, str] | None
    output_lifetime: float
    wire: str = "openai"
    found: Validation | None = None
    """What the wire found in the input itself; without it the engine reads it as OpenAI does."""


@dataclass(frozen=True, kw_only=True)
class StoredBatch:
    seq: int
    id: str
    wire: str
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
    faults: str
    """JSON: pairs of a fault and how often it was seen."""

    @property
    def seen_faults(self) -> list[tuple[AnyBatchFault, int]]:
        return msgspec.json.decode(self.faults, type=list[tuple[AnyBatchFault, int]])

    @property
    def timeline(self) -> Timeline:
        faults = [fault for fault, _ in self.seen_faults]
        stuck = _first(faults, Stuck)
        return Timeline(
            created_at=self.created_at,
            latency=self.latency,
            cancel_delay=self.cancel_delay,
            valid=self.errors is None,
            cancelling_at=self.cancelling_at,
            stuck_in=stuck.status if stuck else None,
            expiring=_first(faults, Expires) is not None,
            window=WINDOWS.get(self.wire, COMPLETION_WINDOW),
            most=min(fault.most for fault in faults) if faults else 1.0,
        )

    def executable(self, standing: Standing) -> bool:
        """Whether its results are due and have not been made."""
        return not self.executed and self.errors is None and standing.status in WITH_RESULTS

    def done(self, standing: Standing) -> int:
        # A share such as 0.29 is a little less than it says, and so is its part of a hundred.
        return int(round(self.total * standing.share, 6))

    def to_json(self, now: float) -> dict[str, Any]:
        batch = self._undisturbed(now)
        for fault, looks in self.seen_faults:
            batch = fault.shown(batch, looks=looks, now=now)
        return batch

    def faults_seen_by_a_look(self, now: float) -> list[int]:
        """The positions of the faults that count looks, and count this one."""
        batch = self._undisturbed(now)
        return [
            position
            for position, (fault, _) in enumerate(self.seen_faults)
            if fault.counts_look(batch)
        ]

    def _undisturbed(self, now: float) -> dict[str, Any]:
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
            # OpenAI alone counts when it has validated.
            total = 0 if self.wire == "openai" else self.total
            return {"total": total, "completed": 0, "failed": 0}
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

    def add(
        self,
        order: BatchOrder,
        found: Validation,
        settings: Settings,
        faults: Sequence[BatchFault],
        now: float,
    ) -> str:
        outside = _first(faults, CancelledOutside)
        columns = {
            "id": f"batch_{secrets.token_hex(16)}",
            "wire": order.wire,
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
            "cancelling_at": outside and not found.errors and outside.moment(now, settings.latency),
        }
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT INTO batches ({names}) VALUES ({marks})", tuple(columns.values())
            )
            connection.executemany(
                "INSERT INTO batch_faults (batch_id, position, fault) VALUES (?, ?, ?)",
                [
                    (columns["id"], position, msgspec.json.encode(fault).decode())
                    for position, fault in enumerate(faults)
                ],
            )
        return str(columns["id"])

    def get(self, batch_id: str) -> StoredBatch:
        with self._database.transaction() as connection:
            row = connection.execute(f"{SELECT} WHERE id = ?", (batch_id,)).fetchone()
        if row is None:
            raise ApiError(404, f"No batch found with id '{batch_id}'.")
        return StoredBatch(**row)

    def page(
        self, *, after: str | None, limit: int, wire: str = "openai", before: str | None = None
    ) -> tuple[list[StoredBatch], bool]:
        """Of one wire, the newest first, and whether older ones follow.

        With `before` those that come just before it, and whether newer ones do, too.
        """
        oldest = 0 if before is None else self.get(before).seq
        newest = 2**62 if after is None else self.get(after).seq
        order = "DESC" if before is None else "ASC"
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"{SELECT} WHERE seq > ? AND seq < ? AND wire = ? ORDER BY seq {order} LIMIT ?",
                (oldest, newest, wire, limit + 1),
            ).fetchall()
        page = [StoredBatch(**row) for row in rows[:limit]]
        return page if before is None else page[::-1], len(rows) > limit

    def enqueued_tokens(self, model: str, now: float) -> int:
        """Input tokens of the unfinished batches of `model`."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"{SELECT} WHERE model = ? AND errors IS NULL", (model,)
            ).fetchall()
        batches = [StoredBatch(**row) for row in rows]
        return sum(b.enqueued_tokens for b in batches if not b.timeline.standing(now).terminal)

    def set_cancelling(self, batch_id: str, now: float) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE batches SET cancelling_at = ? WHERE id = ?", (now, batch_id))

    def count_look(self, batch: StoredBatch, now: float) -> None:
        positions = batch.faults_seen_by_a_look(now)
        if not positions:
            return
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE batch_faults SET looks = looks + 1 WHERE batch_id = ? AND position = ?",
                [(batch.id, position) for position in positions],
            )

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

    def forget(self, batch_id: str) -> None:
        """No wire shows it any more; the row stays, since batches are counted."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE batches SET wire = '' WHERE id = ?", (batch_id,))

    def created(self) -> int:
        with self._database.transaction() as connection:
            count: int = connection.execute("SELECT count(*) FROM batches").fetchone()[0]
        return count


def _first(faults: Sequence[BatchFault], kind: type[FaultT]) -> FaultT | None:
    return next((fault for fault in faults if isinstance(fault, kind)), None)
