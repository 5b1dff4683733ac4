"""Files: their rows, their contents, and how they are received (API reference, Files)."""

import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from batch_assets.sandbox.clock import Clock
from batch_assets.sandbox.database import Database
from batch_assets.sandbox.errors import ApiError

LIFETIME = 30 * 24 * 60 * 60.0
MIN_LIFETIME = 3_600
MAX_LIFETIME = 2_592_000
VISIBLE = "deleted = 0 AND expires_at > ?"


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    seq: int
    id: str
    filename: str
    purpose: str
    wire: str
    bytes: int
    created_at: float
    expires_at: float
    deleted: int

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": int(self.created_at),
            "expires_at": int(self.expires_at),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


def new_file_id() -> str:
    return f"file-{secrets.token_hex(11)}"


def result_file_id(batch_id: str, kind: str) -> str:
    """The same for every attempt to write it, so that a crash leaves no second file."""
    return f"file-{hashlib.sha256(f'{batch_id}/{kind}'.encode()).hexdigest()[:22]}"


def no_such_file(file_id: str) -> ApiError:
    return ApiError(404, f"No such File object: {file_id}", param="id")


class StoredFiles:
    def __init__(self, folder: Path, database: Database, clock: Clock) -> None:
        self._contents = folder / "contents"
        self._unfinished = folder / "unfinished"
        #: A folder per bucket, for wires whose files lie in buckets.
        self.buckets = folder / "buckets"
        self._database = database
        self._clock = clock
        self._contents.mkdir(parents=True, exist_ok=True)
        self._unfinished.mkdir(exist_ok=True)
        self.buckets.mkdir(exist_ok=True)
        self._remove_all(self._unfinished)

    def content_path(self, file_id: str) -> Path:
        return self._contents / file_id

    @contextmanager
    def writing(self, file_id: str) -> Iterator[BinaryIO]:
        """The content appears under its name only once it is whole."""
        unfinished = self._unfinished / f"{file_id}.{secrets.token_hex(4)}"
        try:
            with unfinished.open("wb") as sink:
                yield sink
            os.replace(unfinished, self.content_path(file_id))
        finally:
            unfinished.unlink(missing_ok=True)

    def add(
        self,
        connection: sqlite3.Connection,
        file_id: str,
        *,
        filename: str,
        purpose: str,
        wire: str,
        created_at: float,
        lifetime: float,
    ) -> None:
        size = self.content_path(file_id).stat().st_size
        connection.execute(
            "INSERT INTO files (id, filename, purpose, wire, bytes, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (file_id, filename, purpose, wire, size, created_at, created_at + lifetime),
        )

    def get(self, file_id: str) -> StoredFile:
        with self._database.transaction() as connection:
            row = connection.execute(
                f"SELECT * FROM files WHERE id = ? AND {VISIBLE}", (file_id, self._clock.now())
            ).fetchone()
        if row is None:
            raise no_such_file(file_id)
        return StoredFile(**row)

    def page(
        self,
        *,
        purpose: str | None,
        after: str | None,
        limit: int,
        descending: bool,
        wire: str = "openai",
    ) -> tuple[list[StoredFile], bool]:
        """One page of a wire's files and whether more follow."""
        conditions: list[str] = [VISIBLE, "wire = ?"]
        values: list[str | float] = [self._clock.now(), wire]
        if purpose is not None:
            conditions.append("purpose = ?")
            values.append(purpose)
        if after is not None:
            conditions.append("seq < ?" if descending else "seq > ?")
            values.append(self.get(after).seq)
        query = (
            f"SELECT * FROM files WHERE {' AND '.join(conditions)}"
            f" ORDER BY seq {'DESC' if descending else 'ASC'} LIMIT ?"
        )
        with self._database.transaction() as connection:
            rows = connection.execute(query, (*values, limit + 1)).fetchall()
        return [StoredFile(**row) for row in rows[:limit]], len(rows) > limit

    def delete(self, file_id: str) -> None:
        self.get(file_id)
        with self._database.transaction() as connection:
            connection.execute("UPDATE files SET deleted = 1 WHERE id = ?", (file_id,))
        self.drop_unneeded_content(file_id)

    def drop_unneeded_content(self, file_id: str) -> None:
        """The content of a deleted input outlives its row until its batches are executed."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT (SELECT deleted FROM files WHERE id = :id) AND NOT EXISTS"
                " (SELECT 1 FROM batches WHERE input_file_id = :id AND executed = 0"
                " AND errors IS NULL)",
                {"id": file_id},
            ).fetchone()
        if row[0]:
            self.content_path(file_id).unlink(missing_ok=True)

    def uploaded(self) -> int:
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT count(*) FROM files WHERE purpose = 'batch'"
            ).fetchone()
        count: int = row[0]
        return count

    def remove_contents(self) -> None:
        self._remove_all(self._contents)
        for bucket in self.buckets.iterdir():
            shutil.rmtree(bucket)

    @staticmethod
    def _remove_all(folder: Path) -> None:
        for path in folder.iterdir():
            path.unlink()
