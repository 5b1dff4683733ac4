"""Rows of the ledger as frozen facts, and facts as columns: the one place that knows both."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from batch_assets.domain.batch import (
    Account,
    Batch,
    BatchId,
    BatchProblem,
    BatchState,
    CanaryState,
    Event,
    RequestSet,
    RequestSetId,
)
from batch_assets.domain.budget import Reservation
from batch_assets.domain.provider import ProviderBatch
from batch_assets.domain.request import RequestSetDigest

#: Prefix of the request set's columns in a row that also holds a batch's.
SET_PREFIX = "set_"

_SHARED = (
    "wave",
    "shard",
    "attempt",
    "endpoint",
    "key",
    "created_at",
    "lease_owner",
    "lease_until",
    "reserved_at",
    "submitted_at",
    "ended_at",
    "polled_at",
    "missed_at",
    "woken_at",
    "wanted_at",
    "cancel_requested_at",
    "rescued_at",
    "provider_id",
    "input_file_id",
    "provider_status",
    "output_file_id",
    "error_file_id",
    "completed",
    "failed",
    "reason",
    "error_code",
    "refusals",
    "not_before",
)


def request_set_of(row: Mapping[Any, Any], prefix: str = "") -> RequestSet:
    """The request set in a row whose columns begin with `prefix`."""
    state = row[f"{prefix}canary_state"]
    return RequestSet(
        id=RequestSetId(row[f"{prefix}id"]),
        inference=row[f"{prefix}inference"],
        partition_key=row[f"{prefix}partition_key"],
        digest=RequestSetDigest(row[f"{prefix}digest"]),
        created_at=row[f"{prefix}created_at"],
        wave=row[f"{prefix}wave"],
        resolved_at=row[f"{prefix}resolved_at"],
        origin=row[f"{prefix}origin"],
        cancelled_at=row[f"{prefix}cancelled_at"],
        cancels_batches=row[f"{prefix}cancels_batches"],
        carried=row[f"{prefix}carried"],
        awaits=row[f"{prefix}awaits"],
        needs_approval=row[f"{prefix}needs_approval"],
        canary=row[f"{prefix}canary"],
        canary_state=None if state is None else CanaryState(state),
        canary_reason=row[f"{prefix}canary_reason"],
        released_wave=row[f"{prefix}released_wave"],
        submitted_at=row[f"{prefix}submitted_at"],
        rescued_at=row[f"{prefix}rescued_at"],
        rescue_wave=row[f"{prefix}rescue_wave"],
        rescue_asks=row[f"{prefix}rescue_asks"],
    )


def batch_of(row: Mapping[Any, Any]) -> Batch:
    """The batch in a row that also holds its request set."""
    return Batch(
        id=BatchId(row["id"]),
        request_set=request_set_of(row, SET_PREFIX),
        account=Account(row["account"]),
        state=BatchState(row["state"]),
        reservation=Reservation(
            requests=row["requests"], tokens=row["tokens"], inputs=row["inputs"], batches=1
        ),
        problems=tuple(BatchProblem(**problem) for problem in row["problems"]),
        **{name: row[name] for name in _SHARED},
    )


def observed(found: ProviderBatch) -> dict[str, Any]:
    """The columns that follow what the provider says, whatever the state."""
    return {
        "provider_status": found.status,
        "completed": found.completed,
        "failed": found.failed,
    }


def problems_of(found: ProviderBatch) -> list[dict[str, Any]]:
    """The provider's reasons as the ledger keeps them."""
    return [asdict(problem) for problem in found.problems]


def event_of(row: Mapping[Any, Any]) -> Event:
    """The event in a row."""
    return Event(
        batch_id=BatchId(row["batch_id"]),
        at=row["at"],
        from_state=None if row["from_state"] is None else BatchState(row["from_state"]),
        to_state=BatchState(row["to_state"]),
        owner=row["owner"],
        reason=row["reason"],
    )


def why_it_failed(found: ProviderBatch) -> str | None:
    """The provider's reasons for failing a batch as a whole, as one line."""
    reasons = [
        " ".join(
            part
            for part in (
                f"line {problem.line}:" if problem.line is not None else "",
                problem.code or "",
                problem.message or "",
            )
            if part
        )
        for problem in found.problems
    ]
    return "; ".join(reasons[:5]) or None
