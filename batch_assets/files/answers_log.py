"""Lines that come one by one and must outlive the process they come to."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from batch_assets.files.store import Files, make_private_folder

#: Seconds of lines that a power cut may take. One that a process died on is in the system's hands.
_SYNC_EVERY = 1.0


class AnswersLog(ABC):
    """Lines in the parts below one folder. Every writer has parts of its own, and never goes on
    with another's, so that two that know nothing of each other spoil nothing.
    """

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder
        self._lock = threading.Lock()

    def lines(self) -> Iterator[bytes]:
        """The whole lines of all parts; the torn end of a dead writer's is left out."""
        for path in self._files.names(self._folder):
            with self._files.open(path) as part:
                for line in part:
                    if line.endswith(b"\n"):
                        yield line

    @abstractmethod
    def add(self, line: bytes) -> None:
        """Keep a line, its end included; threads may do so at once."""

    @abstractmethod
    def close(self) -> None:
        """Nothing more is added."""

    def copy_to(self, path: str) -> int:
        """All lines as one file; how many they are. Where there is none, there is no file."""
        if next(self.lines(), None) is None:
            return 0
        count = 0
        with self._files.create(path) as new:
            for line in self.lines():
                new.write(line)
                count += 1
        return count

    def delete(self) -> None:
        """Give the parts up, once they are copied."""
        self._files.delete(self._folder)


def open_log(files: Files, folder: str, *, writer: str) -> AnswersLog:
    """The log in that folder; `writer` is a name that nobody else ever has."""
    local = files.local_path(folder)
    if local is None:
        return _RemoteLog(files, folder, writer)
    return _LocalLog(files, folder, local / f"{writer}.jsonl")


class _LocalLog(AnswersLog):
    """One file to which each line is appended by one write."""

    def __init__(self, files: Files, folder: str, part: Path) -> None:
        super().__init__(files, folder)
        self._part = part
        self._descriptor: int | None = None
        self._synced = time.monotonic()

    def add(self, line: bytes) -> None:
        with self._lock:
            if self._descriptor is None:
                make_private_folder(self._part.parent)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                self._descriptor = os.open(self._part, flags, 0o600)
            self._append(self._descriptor, line)
            if time.monotonic() - self._synced > _SYNC_EVERY:
                os.fsync(self._descriptor)
                self._synced = time.monotonic()

    def _append(self, descriptor: int, line: bytes) -> None:
        """The whole line or, where the disk is full, nothing of it."""
        before = os.fstat(descriptor).st_size
        written = 0
        try:
            while written < len(line):
                written += os.write(descriptor, line[written:])
        except OSError:
            os.ftruncate(descriptor, before)
            raise

    def close(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.fsync(self._descriptor)
                os.close(self._descriptor)
                self._descriptor = None


class _RemoteLog(AnswersLog):
    """Objects of a few lines each: while one is written, those that come wait for the next."""

    def __init__(self, files: Files, folder: str, writer: str) -> None:
        super().__init__(files, folder)
        self._writer = writer
        self._waiting: list[bytes] = []
        self._parts = self._added = self._written = 0
        self._writing = threading.Lock()

    def add(self, line: bytes) -> None:
        with self._lock:
            self._waiting.append(line)
            self._added += 1
            ticket = self._added
        with self._writing:
            if self._written >= ticket:
                return
            with self._lock:
                lines = list(self._waiting)
            path = f"{self._folder}/{self._writer}-{self._parts:06}.jsonl"
            self._files.write(path, b"".join(lines))
            with self._lock:
                del self._waiting[: len(lines)]
            self._parts += 1
            self._written += len(lines)

    def close(self) -> None:
        """Every line was written before its `add` returned."""
