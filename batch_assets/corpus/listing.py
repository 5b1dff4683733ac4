"""The files that a corpus's paths stand for, and the key of each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import fsspec
from fsspec.utils import glob_translate

from batch_assets.corpus.formats import Compression, Format, ending_of, endings
from batch_assets.corpus.partitioning import Arrivals
from batch_assets.domain.errors import CorpusError
from batch_assets.files.parquet import complaint_of

#: Characters that make a path a pattern.
_MAGIC = frozenset("*?[")

#: What Dagster refuses in a partition key: the dots of a range, and what a page cannot show.
_REFUSED = re.compile(r"\.\.\.|[\a\b\f\n\r\t\v\0]")

#: File systems that can list the names with a given beginning without listing the others.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs"})

#: Bytes that are asked for at a time where a file is remote; s3fs itself would take 50 MiB.
_REMOTE_BLOCK = 4 * 1024 * 1024

#: How Hive writes a value that is missing.
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file of a corpus."""

    filesystem: Any
    #: Its path on the file system.
    name: str
    #: Its name for people.
    ref: str
    #: Its path below the corpus's root without its ending.
    key: str
    format: Format
    compression: Compression | None

    def open(self) -> Any:
        """The file's bytes as they are stored."""
        return self.filesystem.open(self.name, "rb", block_size=_REMOTE_BLOCK)

    @property
    def folder_values(self) -> dict[str, str | None]:
        """What folders named `column=value` say about all rows of the file."""
        pairs = (folder.partition("=") for folder in self.key.split("/")[:-1])
        return {
            unquote(column): None if value == _HIVE_NULL else unquote(value)
            for column, equals, value in pairs
            if equals
        }


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of a corpus, looked up anew each time: a corpus grows."""

    paths: Sequence[str]
    #: None: by each file's ending.
    format: Format | None
    storage_options: Mapping[str, Any] = field(repr=False)

    @property
    def ref(self) -> str:
        """The corpus's paths, for people."""
        return ", ".join(self.paths)

    @property
    def is_one_file(self) -> bool:
        """Whether the corpus is a file given by its name, which nothing can join."""
        return len(self.paths) == 1 and self._places()[0].is_file

    def files(self, *, may_be_none: bool = False) -> dict[str, SourceFile]:
        """All files by their keys, sorted by key."""
        files: dict[str, SourceFile] = {}
        for place in self._places():
            with _listing(place.path):
                found = sorted(place.names())
            if not found and not may_be_none:
                raise CorpusError(
                    f"{place.path}: no such file, and no folder or pattern with files of a format "
                    f"that is read here ({', '.join(self._endings())}, and the text formats also "
                    "with .gz, .bz2, .zst or .lz4); check the corpus's path (a relative one "
                    "starts at the project's root), or give the format"
                )
            for name in found:
                _add(files, place.file(name))
        return dict(sorted(files.items()))

    def arrivals(self) -> Arrivals:
        """All files by their keys, sorted by key; one with a bad name keeps no other out."""
        files: dict[str, SourceFile] = {}
        written_at: dict[str, datetime | None] = {}
        refused: list[str] = []
        for place in self._places():
            with _listing(place.path):
                entries = sorted(place.entries(), key=lambda entry: str(entry["name"]))
            for entry in entries:
                try:
                    file = place.file(entry["name"])
                    _add(files, file)
                except CorpusError as error:
                    refused.append(str(error))
                else:
                    written_at[file.key] = _written_at(entry)
        return Arrivals(written_at=dict(sorted(written_at.items())), refused=refused)

    def file(self, key: str) -> SourceFile:
        """One file by its key, where possible without listing the others."""
        found: dict[str, SourceFile] = {}
        for place in self._places():
            with _listing(place.path):
                names = list(place.names_for(key))
            for name in names:
                file = place.file(name)
                if file.key == key:
                    _add(found, file)
        if key not in found:
            raise CorpusError(
                f"{self.ref} has no file for partition {key}: put it back, "
                "or reload the code location so that the partition disappears"
            )
        return found[key]

    def _places(self) -> "list[_Place]":
        return [
            _Place(path=path, format=self.format, storage_options=self.storage_options)
            for path in self.paths
        ]

    def _endings(self) -> list[str]:
        return [end for end in endings()[:5] if self.format in (None, ending_of(end).format)]


@contextmanager
def _listing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be listed: {complaint_of(error)}; check that you may read it"
        ) from error


def _add(files: dict[str, SourceFile], file: SourceFile) -> None:
    known = files.setdefault(file.key, file)
    if known.ref != file.ref:
        raise CorpusError(
            f"{known.ref} and {file.ref} would both be partition {file.key!r}: "
            "rename one of the files"
        )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """One path of a corpus."""

    path: str
    format: Format | None
    storage_options: Mapping[str, Any] = field(repr=False)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        try:
            filesystem, path = fsspec.core.url_to_fs(
                self.path, use_listings_cache=False, **self.storage_options
            )
        except (ImportError, ValueError) as error:
            raise CorpusError(f"{self.path} cannot be opened: {error}") from error
        return filesystem, path

    @cached_property
    def _is_object_store(self) -> bool:
        filesystem, _ = self._opened
        return bool(_OBJECT_STORES & _protocols(filesystem))

    @cached_property
    def _kind(self) -> str | None:
        """What the path is, if it is not a pattern: file or directory."""
        filesystem, path = self._opened
        if self._is_object_store:
            # Here `isdir` would list the whole folder.
            try:
                return str(filesystem.info(path)["type"])
            except FileNotFoundError:
                return None
        if filesystem.isdir(path):
            return "directory"
        return "file" if filesystem.exists(path) else None

    @property
    def is_folder(self) -> bool:
        return self._kind == "directory"

    @property
    def is_file(self) -> bool:
        return self._kind == "file"

    @cached_property
    def _root(self) -> str:
        """What every file's path begins with, up to where keys begin."""
        _, path = self._opened
        if self.is_folder:
            return path.rstrip("/") + "/"
        segments = path.split("/")
        plain = next((n for n, part in enumerate(segments) if _MAGIC & set(part)), None)
        if self.is_file or plain is None:
            plain = len(segments) - 1
        return "".join(f"{segment}/" for segment in segments[:plain])

    def names(self) -> Iterator[str]:
        """Paths of the files that the path stands for."""
        return (entry["name"] for entry in self.entries())

    def entries(self) -> Iterator[dict[str, Any]]:
        """What the file system says of each of these files, its path as `name`."""
        filesystem, path = self._opened
        if self.is_file:
            yield {**filesystem.info(path), "name": path}
            return
        if self.is_folder:
            found = filesystem.ls(path, detail=True)
        else:
            found = filesystem.glob(path, detail=True).values() if _MAGIC & set(path) else []
        for entry in found:
            # What a link leads to, `type` does not say.
            is_folder = entry["type"] == "directory" or (
                entry["type"] != "file" and filesystem.isdir(entry["name"])
            )
            if not is_folder and self._takes(entry["name"]):
                yield entry

    def names_for(self, key: str) -> Iterator[str]:
        """Paths of the files that may have the key: few, or all that there are."""
        filesystem, path = self._opened
        beginning = f"{self._root}{key}"
        if self.is_file:
            yield path
            return
        if "file" in _protocols(filesystem):
            found = [beginning + end for end in ["", *endings()]]
            # A link that leads nowhere is missed by its own name when it is opened.
            found = [
                name for name in found if filesystem.lexists(name) and not filesystem.isdir(name)
            ]
            # The ending may be written in capitals.
            found = found or list(self.names())
        elif self._is_object_store:
            parent, _, name = beginning.rpartition("/")
            found = filesystem.find(parent, prefix=name)
        else:
            yield from self.names()
            return
        if self.is_folder:
            found = [name for name in found if "/" not in name.removeprefix(self._root)]
        else:
            matches = re.compile(glob_translate(path)).match
            found = [name for name in found if matches(name)]
        yield from (name for name in found if self._takes(name))

    def file(self, name: str) -> SourceFile:
        """A file by its path. Raises CorpusError where its name cannot be a partition's key."""
        filesystem, _ = self._opened
        ref = filesystem.unstrip_protocol(name) if "://" in self.path else name
        ending = ending_of(name)
        key = name.removeprefix(self._root).removesuffix(ending.text)
        _check_key(key, ref)
        return SourceFile(
            filesystem=filesystem,
            name=name,
            ref=ref,
            key=key,
            # A file that was given by its name may have any.
            format=self.format or ending.format or "parquet",
            compression=ending.compression,
        )

    def _takes(self, name: str) -> bool:
        """Whether a file that was found is part of the corpus."""
        *folders, base = name.removeprefix(self._root).split("/")
        # Names that writers of data sets use for themselves.
        if base.startswith(".") or any(folder.startswith((".", "_")) for folder in folders):
            return False
        written_in = ending_of(base).format
        if self.format is None:
            return written_in is not None
        # A pattern says which files are meant, a folder does not.
        return not self.is_folder or written_in == self.format


def _written_at(entry: Mapping[str, Any]) -> datetime | None:
    """When a file was written to last; fsspec leaves it to each file system how to say so."""
    said = (entry.get(name) for name in ("mtime", "LastModified", "last_modified"))
    match next((at for at in said if at is not None), None):
        case datetime() as at:
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        case int() | float() as seconds:
            return datetime.fromtimestamp(seconds, UTC)
        case _:
            return None


def _protocols(filesystem: Any) -> set[str]:
    protocols = filesystem.protocol
    return {protocols} if isinstance(protocols, str) else set(protocols)


def _check_key(key: str, ref: str) -> None:
    # Bytes of a file's name that are no UTF-8 come as halves of surrogate pairs.
    if key.encode(errors="ignore").decode() != key:
        raise CorpusError(f"{ref!a}: the name is not UTF-8: rename the file")
    refused = _REFUSED.search(key)
    if refused:
        raise CorpusError(
            f"{ref!a}: Dagster takes no partition key with {refused.group()!r} in it: "
            "rename the file"
        )
