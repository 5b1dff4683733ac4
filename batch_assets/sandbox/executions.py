"""The count of executed requests: the judge of "nothing is executed twice".

An execution is a request that got an answer, which is what a provider charges for; a 400, an
expired or a cancelled request is none.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

_canonical = msgspec.json.Encoder(order="sorted")


def body_digest(body: dict[str, Any]) -> bytes:
    return hashlib.sha256(_canonical.encode(body)).digest()


def count_executions(
    connection: sqlite3.Connection, digests: Sequence[bytes], custom_ids: Sequence[str]
) -> None:
    connection.executemany(
        "INSERT INTO executed_bodies VALUES (?, 1)"
        " ON CONFLICT (digest) DO UPDATE SET times = times + 1",
        [(digest,) for digest in digests],
    )
    connection.executemany(
        "INSERT INTO executed_custom_ids VALUES (?, 1)"
        " ON CONFLICT (custom_id) DO UPDATE SET times = times + 1",
        [(custom_id,) for custom_id in custom_ids],
    )


def executions(connection: sqlite3.Connection) -> dict[str, int]:
    row = connection.execute(
        "SELECT coalesce(sum(times), 0) AS requests_executed,"
        " count(*) AS distinct_bodies,"
        " coalesce(max(times), 0) AS max_executions_of_one_body,"
        " count(*) FILTER (WHERE times > 1) AS bodies_executed_more_than_once"
        " FROM executed_bodies"
    ).fetchone()
    return dict(row)


def executions_of(connection: sqlite3.Connection, custom_id: str) -> int:
    row = connection.execute(
        "SELECT times FROM executed_custom_ids WHERE custom_id = ?", (custom_id,)
    ).fetchone()
    times: int = row["times"] if row else 0
    return times


def executions_of_body(connection: sqlite3.Connection, body: dict[str, Any]) -> int:
    row = connection.execute(
        "SELECT times FROM executed_bodies WHERE digest = ?", (body_digest(body),)
    ).fetchone()
    times: int = row["times"] if row else 0
    return times


def executed_custom_ids(connection: sqlite3.Connection) -> dict[str, int]:
    rows = connection.execute("SELECT custom_id, times FROM executed_custom_ids ORDER BY custom_id")
    return {row["custom_id"]: row["times"] for row in rows}
