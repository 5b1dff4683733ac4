"""The ledger's tables as the queries see them. `migrations` makes them; a test holds both equal."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class UtcTimestamp(sa.types.TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite keeps no zone of its own."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name != "sqlite" else _naive(value)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _naive(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None)


metadata = sa.MetaData()

migration = sa.Table(
    "migration",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("applied_at", UtcTimestamp, nullable=False),
)

account = sa.Table(
    "account",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("believed_tokens", sa.BigInteger),
    sa.Column("refusals", sa.Integer, nullable=False),
    sa.Column("not_before", UtcTimestamp),
    sa.Column("refusal", sa.Text),
    sa.Column("swept_at", UtcTimestamp),
)

request_set = sa.Table(
    "request_set",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("inference", sa.Text, nullable=False),
    sa.Column("partition_key", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("is_current", sa.Boolean, nullable=False),
    sa.Column("wave", sa.Integer, nullable=False),
    sa.Column("resolved_at", UtcTimestamp),
    sa.Column("holder", sa.Text),
    sa.Column("held_until", UtcTimestamp),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("cancelled_at", UtcTimestamp),
    sa.Column("cancels_batches", sa.Boolean, nullable=False),
    sa.Column("increment_mark", sa.Text),
    sa.Column("carried", sa.BigInteger),
    sa.Column("awaits", sa.ForeignKey("request_set.id")),
    sa.Column("needs_approval", sa.Boolean, nullable=False),
    sa.Column("canary", sa.BigInteger),
    sa.Column("canary_state", sa.Text),
    sa.Column("canary_reason", sa.Text),
    sa.Column("released_wave", sa.Integer),
    sa.Column("told", sa.Text),
    sa.Column("submitted_at", UtcTimestamp),
    sa.Column("rescued_at", UtcTimestamp),
    sa.Column("rescue_wave", sa.Integer),
    sa.Column("rescue_asks", sa.Text),
)

approval = sa.Table(
    "approval",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("inference", sa.Text, nullable=False),
    sa.Column("partition_key", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Column("given_by", sa.Text, nullable=False),
    sa.Column("quote", sa.JSON, nullable=False),
)

sketch = sa.Table(
    "sketch",
    metadata,
    sa.Column("request_set_id", sa.ForeignKey("request_set.id"), primary_key=True),
    sa.Column("fingerprint", sa.BigInteger, primary_key=True, autoincrement=False),
)

batch = sa.Table(
    "batch",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("request_set_id", sa.ForeignKey("request_set.id"), nullable=False),
    sa.Column("wave", sa.Integer, nullable=False),
    sa.Column("shard", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("account", sa.ForeignKey("account.name"), nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", UtcTimestamp),
    sa.Column("reserved_at", UtcTimestamp),
    sa.Column("submitted_at", UtcTimestamp),
    sa.Column("ended_at", UtcTimestamp),
    sa.Column("polled_at", UtcTimestamp),
    sa.Column("provider_id", sa.Text),
    sa.Column("provider_status", sa.Text),
    sa.Column("output_file_id", sa.Text),
    sa.Column("error_file_id", sa.Text),
    sa.Column("completed", sa.BigInteger),
    sa.Column("failed", sa.BigInteger),
    sa.Column("reason", sa.Text),
    sa.Column("error_code", sa.Text),
    sa.Column("refusals", sa.Integer, nullable=False),
    sa.Column("not_before", UtcTimestamp),
    sa.Column("inputs", sa.BigInteger, nullable=False),
    sa.Column("input_file_id", sa.Text),
    sa.Column("problems", sa.JSON, nullable=False),
    sa.Column("wanted_at", UtcTimestamp),
    sa.Column("cancel_requested_at", UtcTimestamp),
    sa.Column("missed_at", UtcTimestamp),
    sa.Column("woken_at", UtcTimestamp),
    sa.Column("rescued_at", UtcTimestamp),
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("batch_id", sa.ForeignKey("batch.id"), nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Column("from_state", sa.Text),
    sa.Column("to_state", sa.Text, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("reason", sa.Text),
)

pause = sa.Table(
    "pause",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.Text),
    sa.Column("inference", sa.Text),
    sa.Column("partition_key", sa.Text),
    sa.Column("origin", sa.Text),
    sa.Column("since", UtcTimestamp, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("is_stop", sa.Boolean, nullable=False),
    sa.Column("lifted_at", UtcTimestamp),
    sa.Column("lifted_by", sa.Text),
)

increment = sa.Table(
    "increment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("request_set_id", sa.ForeignKey("request_set.id"), nullable=False),
    sa.Column("inference", sa.Text, nullable=False),
    sa.Column("first_sequence", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
)
