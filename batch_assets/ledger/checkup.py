"""Whether a ledger is as it must be: its version, its database, and the sentences it keeps.

It is looked at as it is: nothing is migrated, and no file is made.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from batch_assets.domain.batch import HOLDING, MOVES, BatchState
from batch_assets.domain.errors import LedgerError
from batch_assets.ledger import schema
from batch_assets.ledger.engine import open_engine
from batch_assets.ledger.migrations import MIGRATIONS

NEWEST = MIGRATIONS[-1].number

_LIVE = (BatchState.PLANNED, *HOLDING, BatchState.ENDED)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One sentence about the ledger, and whether it holds."""

    rule: str
    holds: bool
    #: What is otherwise; empty where it holds.
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """What was found."""

    #: 0 of an empty database.
    version: int
    findings: Sequence[Finding]
    #: Rows by table, and batches by state as `batch.STATE`.
    counts: Mapping[str, int]


@contextmanager
def looked_at(url: str) -> Iterator[sa.Engine]:
    """The database of a ledger that is there. Raises LedgerError where it is not."""
    with suppress(sa.exc.ArgumentError):
        parsed = sa.make_url(url)
        file = parsed.database if parsed.get_backend_name() == "sqlite" else None
        if file and not file.startswith((":memory:", "file:")) and not Path(file).exists():
            raise LedgerError(
                f"there is no ledger at {file}: `batch-assets ledger migrate` makes it"
            )
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def version_of(engine: sa.Engine) -> int:
    """The newest migration of the ledger; 0 of an empty database."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(schema.migration.name):
            return 0
        return connection.scalar(sa.select(sa.func.max(schema.migration.c.number))) or 0


def database_time(engine: sa.Engine) -> datetime | None:
    """What the database takes for now; None of SQLite, which has this machine's clock."""
    if engine.dialect.name == "sqlite":
        return None
    with engine.connect() as connection:
        now = connection.execute(sa.select(sa.func.now())).scalar_one()
    return now.astimezone(UTC)


def check(engine: sa.Engine) -> Checkup:
    """Look at the ledger. Of one of another version only that is found."""
    version = version_of(engine)
    if version != NEWEST:
        return Checkup(version=version, findings=[_of_version(version)], counts={})
    with engine.connect() as connection:
        findings = [_of_version(version), *_of_database(connection)]
        findings += [_of_rule(connection, rule, query) for rule, query in _RULES.items()]
        findings += [_of_moves(connection), _of_sequences(connection)]
        return Checkup(version=version, findings=findings, counts=_counts(connection))


def dump(engine: sa.Engine) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every row of every table, with the name of its table, as of one moment.

    Raises LedgerError for a ledger of another version.
    """
    if not (finding := _of_version(version_of(engine))).holds:
        raise LedgerError(finding.detail)
    if engine.dialect.name != "sqlite":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        for table in schema.metadata.sorted_tables:
            rows = connection.execution_options(stream_results=True).execute(
                sa.select(table).order_by(*table.primary_key.columns)
            )
            for row in rows.mappings():
                # SQLAlchemy's names are strings of a class of their own, which no encoder takes.
                yield str(table.name), {str(name): value for name, value in row.items()}


def _of_version(version: int) -> Finding:
    detail = ""
    if version > NEWEST:
        detail = (
            f"the ledger is at version {version}, this batch-assets knows up to {NEWEST}: upgrade "
            "batch-assets, or point it at another ledger"
        )
    elif version < NEWEST:
        detail = (
            f"the ledger is at version {version}, this batch-assets is at {NEWEST}: back it up, "
            "and `batch-assets ledger migrate`"
        )
    return Finding(rule=f"its version is {NEWEST}", holds=not detail, detail=detail)


def _of_database(connection: sa.Connection) -> Iterator[Finding]:
    if connection.dialect.name != "sqlite":
        return
    said = connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars().all()
    yield Finding(
        rule="the database file is whole",
        holds=list(said) == ["ok"],
        detail="" if list(said) == ["ok"] else f"{'; '.join(said)}: restore it from a back-up",
    )
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    yield _finding("every row is of rows that are there", [str(each[0]) for each in orphans])


def _of_rule(connection: sa.Connection, rule: str, query: Callable[[], sa.Select[Any]]) -> Finding:
    return _finding(rule, [str(each) for each in connection.scalars(query().limit(_SHOWN + 1))])


def _finding(rule: str, broken: Sequence[str]) -> Finding:
    more = ", …" if len(broken) > _SHOWN else ""
    return Finding(
        rule=rule,
        holds=not broken,
        detail="" if not broken else f"not so for {', '.join(broken[:_SHOWN])}{more}",
    )


#: Ids that a finding names.
_SHOWN = 5


def _without_provider_id() -> sa.Select[Any]:
    table = schema.batch
    with_one = [BatchState.SUBMITTED, BatchState.ENDED, BatchState.COLLECTED]
    return sa.select(table.c.id).where(table.c.state.in_(with_one), table.c.provider_id.is_(None))


def _without_lease() -> sa.Select[Any]:
    table = schema.batch
    return sa.select(table.c.id).where(
        table.c.state == BatchState.RESERVED,
        sa.or_(table.c.lease_owner.is_(None), table.c.lease_until.is_(None)),
    )


def _live_twice() -> sa.Select[Any]:
    table = schema.batch
    shard = (table.c.request_set_id, table.c.wave, table.c.shard)
    return (
        sa.select(sa.func.max(table.c.id))
        .where(table.c.state != BatchState.ABANDONED)
        .group_by(*shard)
        .having(sa.func.count() > 1)
    )


def _current_twice() -> sa.Select[Any]:
    sets = schema.request_set
    return (
        sa.select(sa.func.max(sets.c.id))
        .where(sets.c.is_current)
        .group_by(sets.c.inference, sets.c.partition_key)
        .having(sa.func.count() > 1)
    )


def _ahead_of_its_set() -> sa.Select[Any]:
    table, sets = schema.batch, schema.request_set
    return (
        sa.select(table.c.id)
        .join(sets, sets.c.id == table.c.request_set_id)
        .where(table.c.wave > sets.c.wave)
    )


def _resolved_too_early() -> sa.Select[Any]:
    table, sets = schema.batch, schema.request_set
    return (
        sa.select(table.c.id)
        .join(sets, sets.c.id == table.c.request_set_id)
        .where(sets.c.resolved_at.is_not(None), table.c.state.in_(_LIVE))
    )


def _not_where_its_events_end() -> sa.Select[Any]:
    table, events = schema.batch, schema.event
    newest = (
        sa.select(events.c.batch_id, sa.func.max(events.c.id).label("id"))
        .group_by(events.c.batch_id)
        .subquery()
    )
    return (
        sa.select(table.c.id)
        .outerjoin(newest, newest.c.batch_id == table.c.id)
        .outerjoin(events, events.c.id == newest.c.id)
        .where(sa.or_(events.c.id.is_(None), events.c.to_state != table.c.state))
    )


#: Ids that break each sentence; most of them the database itself refuses to have.
_RULES: Mapping[str, Callable[[], sa.Select[Any]]] = {
    "a batch at the provider has the provider's id": _without_provider_id,
    "a reserved batch is in somebody's hands": _without_lease,
    "a shard has one live batch": _live_twice,
    "a partition has one current request set": _current_twice,
    "no batch is of a wave that its request set has not begun": _ahead_of_its_set,
    "nothing of a resolved request set is on its way": _resolved_too_early,
    "every batch is where its last event left it": _not_where_its_events_end,
}


def _of_moves(connection: sa.Connection) -> Finding:
    """Each event is a legal move, from where the one before it ended."""
    table = schema.event
    before = sa.func.lag(table.c.to_state).over(partition_by=table.c.batch_id, order_by=table.c.id)
    events = sa.select(table.c.id, table.c.from_state, table.c.to_state, before.label("before"))
    kinds = events.subquery()
    legal = sa.or_(
        sa.and_(
            kinds.c.before.is_(None),
            kinds.c.from_state.is_(None),
            kinds.c.to_state == BatchState.PLANNED,
        ),
        sa.and_(
            kinds.c.before == kinds.c.from_state,
            sa.tuple_(kinds.c.from_state, kinds.c.to_state).in_(
                [(start.value, end.value) for start, end in MOVES]
            ),
        ),
    )
    wrong = sa.select(kinds.c.id).where(~sa.func.coalesce(legal, sa.false()))
    broken = [str(each) for each in connection.scalars(wrong.limit(_SHOWN + 1))]
    return _finding("every event is a legal move", broken)


def _of_sequences(connection: sa.Connection) -> Finding:
    """Sequence numbers of an inference follow each other."""
    table = schema.increment
    end = table.c.first_sequence + table.c.rows
    before = sa.func.lag(end).over(partition_by=table.c.inference, order_by=table.c.first_sequence)
    rows = sa.select(table.c.id, table.c.first_sequence, before.label("expected")).subquery()
    wrong = sa.select(rows.c.id).where(
        rows.c.first_sequence != sa.func.coalesce(rows.c.expected, 1)
    )
    broken = [str(each) for each in connection.scalars(wrong.limit(_SHOWN + 1))]
    return _finding("sequence numbers have no gap and no twin", broken)


def _counts(connection: sa.Connection) -> Mapping[str, int]:
    counts = {
        str(table.name): connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        for table in schema.metadata.sorted_tables
    }
    states = schema.batch.c.state
    found = connection.execute(sa.select(states, sa.func.count()).group_by(states))
    return counts | {f"batch.{state}": count for state, count in sorted(map(tuple, found))}
