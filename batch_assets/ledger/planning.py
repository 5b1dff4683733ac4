"""What is planned inside a move's transaction: a wave, its batches, and the next try of one."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from batch_assets.domain.batch import (
    Account,
    Batch,
    BatchState,
    CanaryState,
    RequestSet,
    RequestSetId,
)
from batch_assets.domain.shard import Shard
from batch_assets.ledger import schema
from batch_assets.ledger.statements import insert_planned


def begin_wave(
    connection: sa.Connection,
    now: datetime,
    request_set: RequestSet,
    *,
    wave: int,
    has_shards: bool,
    carried: int | None,
    canary: int | None,
    releases_canary: bool,
) -> bool:
    """The wave is on its way. False where the request set, as it was read, is to have no other."""
    sets = schema.request_set
    is_it = sets.c.id == request_set.id
    stands = connection.execute(sa.select(sets).where(is_it).with_for_update()).one()
    if stands.cancelled_at is not None or stands.rescued_at != request_set.rescued_at:
        return False
    awaits_rescue = stands.rescued_at is not None and stands.rescue_wave is None
    if awaits_rescue and carried is None and wave <= stands.wave:
        return False
    if carried is not None:
        connection.execute(
            sets.update()
            .where(is_it)
            .values(
                carried=carried,
                awaits=None,
                canary=canary,
                canary_state=None if canary is None else CanaryState.OPEN,
                canary_reason=None,
                released_wave=None,
            )
        )
    if releases_canary:
        connection.execute(
            sets.update()
            .where(is_it, sets.c.released_wave.is_(None))
            .values(canary_state=CanaryState.RELEASED, released_wave=wave)
        )
    connection.execute(
        sets.update()
        .where(is_it, sets.c.wave < wave)
        .values(
            wave=wave,
            resolved_at=None,
            # Of results that were there, a person has some items asked again.
            submitted_at=now if stands.resolved_at else stands.submitted_at,
        )
    )
    if awaits_rescue and has_shards:
        connection.execute(sets.update().where(is_it).values(rescue_wave=wave))
    return True


def plan_missing(
    connection: sa.Connection,
    now: datetime,
    request_set: RequestSetId,
    shards: Sequence[Shard],
    *,
    owner: str,
    wave: int,
    account: Account,
    endpoint: str,
    not_before: datetime | None,
) -> None:
    """A planned batch for each shard of the wave that has no live one."""
    table = schema.batch
    offered = connection.execute(
        sa.select(table.c.shard, table.c.state, table.c.attempt).where(
            table.c.request_set_id == request_set, table.c.wave == wave
        )
    ).all()
    live = {row.shard for row in offered if row.state != BatchState.ABANDONED}
    attempts = Counter(row.shard for row in offered)
    for shard in shards:
        if shard.number not in live:
            insert_planned(
                connection,
                now,
                owner=owner,
                request_set_id=request_set,
                wave=wave,
                shard=shard.number,
                attempt=attempts[shard.number] + 1,
                account=account,
                endpoint=endpoint,
                requests=shard.requests,
                tokens=shard.tokens,
                inputs=shard.inputs,
                not_before=not_before,
            )


def plan_again(
    connection: sa.Connection, now: datetime, batch: Batch, *, owner: str, **columns: Any
) -> None:
    """The shard's next attempt, beside the one that was given up."""
    insert_planned(
        connection,
        now,
        owner=owner,
        request_set_id=batch.request_set.id,
        wave=batch.wave,
        shard=batch.shard,
        attempt=batch.attempt + 1,
        account=batch.account,
        endpoint=batch.endpoint,
        requests=batch.reservation.requests,
        tokens=batch.reservation.tokens,
        inputs=batch.reservation.inputs,
        **columns,
    )
