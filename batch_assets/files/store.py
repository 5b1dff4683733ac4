"""Files under one root. A file appears under its name when it is complete, so all are whole."""

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from batch_assets.domain.errors import ArtifactError

_COPY_BLOCK = 1 << 20

#: Bytes that are asked for at a time where the store is remote; s3fs itself would take 50 MiB.
_REMOTE_BLOCK = 4 << 20

#: Bytes of a remote file that are looked through for the ends of lines.
_LINES_BLOCK = 256 << 10

#: How the names of files begin that are still being written, or never will be any further.
_UNFINISHED = ".new-"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was stored."""

    sha256: str
    bytes: int


class NewFile(io.RawIOBase):
    """A file that is being written. Counts and hashes what passes through.

    A writer on top of it may close it; the file itself is completed by `Files.create`.
    """

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self._bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self._digest.update(block)
        written = self._sink.write(block)
        self._bytes += written
        return written

    def tell(self) -> int:
        return self._bytes

    @property
    def written(self) -> Written:
        """Size and checksum of what was written so far."""
        return Written(sha256=self._digest.hexdigest(), bytes=self._bytes)


class Files:
    """The store below one root: a local folder, or any URL that fsspec opens.

    Paths are relative to the root, as `layout` makes them. Raises ArtifactError where a file that
    must be there is not.
    """

    def __init__(self, root: str) -> None:
        # Other processes write here too: a listing that was true once is not kept.
        self._fs, self._root = fsspec.core.url_to_fs(root, use_listings_cache=False)
        self.root = root
        self._local = Path(self._root).absolute() if isinstance(self._fs, LocalFileSystem) else None

    def url(self, path: str) -> str:
        """The file's full name, for a person or another tool."""
        if self._local is not None:
            return str(self._local / path)
        return str(self._fs.unstrip_protocol(f"{self._root}/{path}"))

    def local_path(self, path: str) -> Path | None:
        """Where it lies in a local folder; None where the store is elsewhere."""
        return None if self._local is None else self._local / path

    def exists(self, path: str) -> bool:
        return bool(self._fs.exists(self._full(path)))

    def names(self, folder: str) -> list[str]:
        """Paths of the files directly in a folder, sorted; none where there is no folder."""
        full = self._full(folder)
        if not self._fs.exists(full):
            return []
        found = (
            entry["name"] for entry in self._fs.ls(full, detail=True) if entry["type"] == "file"
        )
        names = (name.rsplit("/", 1)[-1] for name in found)
        return sorted(f"{folder}/{name}" for name in names if not name.startswith(_UNFINISHED))

    def folders(self, folder: str) -> list[str]:
        """Paths of the folders directly in a folder, sorted; none where there is no folder."""
        full = self._full(folder)
        if not self._fs.exists(full):
            return []
        found = self._fs.ls(full, detail=True)
        names = (each["name"] for each in found if each["type"] == "directory")
        return sorted(f"{folder}/{name.rstrip('/').rsplit('/', 1)[-1]}" for name in names)

    def size(self, path: str) -> int:
        """Bytes of a stored file."""
        return int(self._fs.size(self._full(path)))

    def open(self, path: str) -> BinaryIO:
        """The file for reading, seekable."""
        try:
            if self._local is not None:
                return (self._local / path).open("rb")
            stored = self._fs.open(self._full(path), "rb", block_size=_REMOTE_BLOCK)
            # fsspec's own files read a block anew for each line.
            return io.BufferedReader(stored, _LINES_BLOCK)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise ArtifactError(
                f"{self.url(path)} is missing from the store: restore it, "
                "or materialize the asset that writes it again"
            ) from error

    def read(self, path: str) -> bytes:
        """A small file whole."""
        with self.open(path) as source:
            return source.read()

    def write(self, path: str, content: bytes) -> Written:
        """A small file whole."""
        with self.create(path) as new:
            new.write(content)
        return new.written

    @contextmanager
    def create(self, path: str) -> Iterator[NewFile]:
        """A new file that takes its name, in place of an older one, when the block ends well."""
        if self._local is not None:
            target = self._local / path
            make_private_folder(target.parent)
            folder = target.parent
        else:
            folder = None
        descriptor, spool = tempfile.mkstemp(prefix=_UNFINISHED, dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as sink:
                new = NewFile(sink)
                yield new
                sink.flush()
                os.fsync(sink.fileno())
            if self._local is not None:
                os.replace(spool, target)
                _sync_folder(target.parent)
            else:
                self._fs.put_file(spool, self._full(path))
        finally:
            Path(spool).unlink(missing_ok=True)

    @contextmanager
    def on_disk(self, path: str) -> Iterator[Path]:
        """The file as a local path: itself, or a copy that lives as long as the block."""
        if self._local is not None:
            self.open(path).close()
            yield self._local / path
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.rsplit("/", 1)[-1]
            with self.open(path) as source, copy.open("wb") as sink:
                shutil.copyfileobj(source, sink, _COPY_BLOCK)
            yield copy

    def for_pyarrow(self, paths: Sequence[str]) -> tuple[list[str], Any]:
        """The files as pyarrow's datasets take them: full paths, and the filesystem."""
        return [self._full(path) for path in paths], self._fs

    def delete(self, path: str) -> None:
        if self.exists(path):
            self._fs.rm(self._full(path), recursive=True)

    def checksum(self, path: str) -> Written:
        """Size and sha256 of a stored file, read through."""
        digest, size = hashlib.sha256(), 0
        with self.open(path) as source:
            while block := source.read(_COPY_BLOCK):
                digest.update(block)
                size += len(block)
        return Written(sha256=digest.hexdigest(), bytes=size)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"


def make_private_folder(folder: Path) -> None:
    """Make a folder and its missing parents, readable by their owner only."""
    for missing in reversed([folder, *folder.parents]):
        missing.mkdir(mode=0o700, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
