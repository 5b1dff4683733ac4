"""What an audit reads of the ledger: ids and times, since an account may have very many batches."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from batch_assets.domain.batch import Account, Batch, BatchId, BatchState
from batch_assets.ledger import schema
from batch_assets.ledger.queries import batch_select
from batch_assets.ledger.rows import batch_of
from batch_assets.ledger.statements import in_portions


@dataclass(frozen=True, kw_only=True)
class AccountTally:
    """What the ledger has of one account."""

    account: Account
    batches: int
    #: Those at the provider, and when the oldest of them was offered.
    open: int
    oldest_open: datetime | None


class Audits:
    """Reads of all batches of an account; nothing is changed."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def accounts(self) -> Sequence[AccountTally]:
        """Every account that a batch was ever planned for, by its name."""
        table = schema.batch
        counted = sa.select(table.c.account, sa.func.count()).group_by(table.c.account)
        is_open = table.c.state == BatchState.SUBMITTED
        with self._engine.connect() as connection:
            batches: dict[str, int] = {name: count for name, count in connection.execute(counted)}
            opened = connection.execute(
                sa.select(table.c.account, sa.func.count(), sa.func.min(table.c.reserved_at))
                .where(is_open)
                .group_by(table.c.account)
            )
            found = {account: (count, oldest) for account, count, oldest in opened}
        return [
            AccountTally(
                account=Account(name),
                batches=count,
                open=found.get(name, (0, None))[0],
                oldest_open=found.get(name, (0, None))[1],
            )
            for name, count in sorted(batches.items())
        ]

    def open_ids(self, account: Account) -> Mapping[str, datetime]:
        """The provider's ids of the account's batches there, oldest first, with when each was
        offered.
        """
        table = schema.batch
        found = (
            sa.select(table.c.provider_id, table.c.reserved_at)
            .where(table.c.account == account, table.c.state == BatchState.SUBMITTED)
            .order_by(table.c.reserved_at, table.c.id)
        )
        with self._engine.connect() as connection:
            return {id_: offered for id_, offered in connection.execute(found)}

    def answer_files(self, account: Account) -> Mapping[str, BatchId]:
        """The files of answers and errors of the account's collected batches."""
        table = schema.batch
        found = sa.select(table.c.id, table.c.output_file_id, table.c.error_file_id).where(
            table.c.account == account, table.c.state == BatchState.COLLECTED
        )
        with self._engine.connect() as connection:
            return {
                file_id: BatchId(id_)
                for id_, *file_ids in connection.execute(found)
                for file_id in file_ids
                if file_id is not None
            }

    def by_provider_id(self, account: Account, ids: Collection[str]) -> Mapping[str, Batch]:
        """The account's batches of these ids, as far as the ledger has them."""
        table = schema.batch
        return {
            str(batch.provider_id): batch
            for some in in_portions(list(ids))
            for batch in self._batches(table.c.account == account, table.c.provider_id.in_(some))
        }

    def of_numbers(self, numbers: Collection[BatchId]) -> Mapping[BatchId, Batch]:
        """The batches of these numbers."""
        return {
            batch.id: batch
            for some in in_portions(list(numbers))
            for batch in self._batches(schema.batch.c.id.in_(some))
        }

    def _batches(self, *conditions: sa.ColumnElement[bool]) -> Sequence[Batch]:
        with self._engine.connect() as connection:
            rows = connection.execute(batch_select().where(*conditions)).mappings()
            return [batch_of(row) for row in rows]
