"""Request sets whose stragglers are asked live, as the ledger knows it."""

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from batch_assets.domain.batch import RequestSet
from batch_assets.ledger import schema
from batch_assets.ledger.engine import writing
from batch_assets.ledger.request_sets import drop_planned


class Rescues:
    """A rescue begins once for a request set; the wave that asks live follows by `Ledger.plan`."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._writing = writing(engine)
        self._clock = clock

    def ask(self, request_set: RequestSet, reason: str) -> None:
        """A person is to approve the rescue before it begins; until then it does not."""
        sets = schema.request_set
        with self._writing.begin() as connection:
            connection.execute(
                sets.update()
                .where(
                    sets.c.id == request_set.id,
                    sets.c.is_current,
                    sets.c.resolved_at.is_(None),
                    sets.c.cancelled_at.is_(None),
                    sets.c.rescued_at.is_(None),
                )
                .values(rescue_asks=reason)
            )

    def begin(self, request_set: RequestSet, *, owner: str, reason: str) -> bool:
        """Drop what of the request set was not sent; what is at the provider is to be cancelled.

        False where it began before, the request set is resolved, cancelled or replaced, or another
        live run has its partition.
        """
        sets, now = schema.request_set, self._clock()
        with self._writing.begin() as connection:
            begun = connection.execute(
                sets.update()
                .where(
                    sets.c.id == request_set.id,
                    sets.c.is_current,
                    sets.c.resolved_at.is_(None),
                    sets.c.cancelled_at.is_(None),
                    sets.c.rescued_at.is_(None),
                    # A run that has it may be planning its next wave: it begins the rescue itself.
                    sa.or_(
                        sets.c.holder.is_(None),
                        sets.c.holder == owner,
                        sets.c.held_until < now,
                    ),
                )
                .values(rescued_at=now, rescue_asks=None)
            )
            if begun.rowcount == 0:
                return False
            drop_planned(connection, now, request_set, owner=owner, reason=reason)
        return True
