"""Approvals: who let a request set be sent, when, and what it was to cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from batch_assets.domain.batch import BatchState, CanaryState, RequestSet
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.rows import request_set_of


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A person's word that a request set may be sent, or what its canary held back."""

    digest: str
    at: datetime
    given_by: str
    #: What was known of its cost: requests, prompt_tokens, and what else the giver was shown.
    quote: Mapping[str, Any]


class Approvals:
    """Every approval that was ever given; a request set of another digest needs its own."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._writing = writing(engine)
        self._clock = clock

    def give(
        self,
        inference: str,
        partition_key: str,
        digest: str,
        *,
        given_by: str,
        quote: Mapping[str, Any],
    ) -> None:
        """Let the request set be sent, what its canary holds back, and its stragglers that wait for
        it; it need not be there yet.
        """
        sets = schema.request_set
        is_named = sa.and_(
            sets.c.inference == inference,
            sets.c.partition_key == partition_key,
            sets.c.digest == digest,
        )
        waits = sa.or_(
            sa.and_(sets.c.needs_approval, ~has_approval(sets)),
            sets.c.canary_state == CanaryState.HELD,
        )
        with self._writing.begin() as connection:
            # It goes on from now: its stragglers are not those of the time that it waited.
            connection.execute(
                sets.update().where(is_named, waits).values(submitted_at=self._clock())
            )
            connection.execute(
                schema.approval.insert().values(
                    inference=inference,
                    partition_key=partition_key,
                    digest=digest,
                    at=self._clock(),
                    given_by=given_by,
                    quote=dict(quote),
                )
            )
            connection.execute(
                sets.update()
                .where(is_named, sets.c.canary_state == CanaryState.HELD)
                .values(canary_state=CanaryState.RELEASED, canary_reason=f"released by {given_by}")
            )
            connection.execute(sets.update().where(is_named).values(rescue_asks=None))

    def of(self, inference: str, partition_key: str) -> Sequence[Approval]:
        """The approvals of a partition's request sets, oldest first."""
        table = schema.approval
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(table)
                .where(table.c.inference == inference, table.c.partition_key == partition_key)
                .order_by(table.c.id)
            )
            return [
                Approval(digest=row.digest, at=row.at, given_by=row.given_by, quote=row.quote)
                for row in rows
            ]

    def has(self, request_set: RequestSet) -> bool:
        """Whether somebody approved the request set."""
        with self._engine.connect() as connection:
            return is_approved(connection, request_set)

    def wanted(self, inference: str | None = None) -> Sequence[RequestSet]:
        """Current request sets that go on once a person approves them, oldest first."""
        sets, batches = schema.request_set, schema.batch
        is_planned = sa.exists().where(
            batches.c.request_set_id == sets.c.id, batches.c.state == BatchState.PLANNED
        )
        is_unapproved = sa.and_(sets.c.needs_approval, is_planned, ~has_approval(sets))
        conditions = [
            sets.c.is_current,
            sets.c.resolved_at.is_(None),
            sets.c.cancelled_at.is_(None),
            sa.or_(
                is_unapproved,
                sets.c.canary_state == CanaryState.HELD,
                sets.c.rescue_asks.is_not(None),
            ),
        ]
        if inference is not None:
            conditions.append(sets.c.inference == inference)
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(sets).where(*conditions).order_by(sets.c.id)
            ).mappings()
            return [request_set_of(row) for row in rows]


def has_approval(sets: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether somebody approved the request set beside it."""
    table = schema.approval
    return sa.exists().where(
        table.c.inference == sets.c.inference,
        table.c.partition_key == sets.c.partition_key,
        table.c.digest == sets.c.digest,
    )


def is_approved(connection: sa.Connection, request_set: RequestSet) -> bool:
    """Whether somebody approved the request set."""
    sets = schema.request_set
    found = sa.select(sets.c.id).where(sets.c.id == request_set.id, has_approval(sets))
    return connection.execute(found).first() is not None
