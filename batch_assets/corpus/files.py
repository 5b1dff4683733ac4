"""A corpus of Parquet files, one partition each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa

from batch_assets.corpus.corpus import Corpus, Rows
from batch_assets.domain.errors import CorpusError
from batch_assets.files.parquet import BATCH_ROWS, DAMAGED, complaint_of, open_parquet

_ENDING = ".parquet"

#: Characters that make a path a pattern.
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, kw_only=True)
class FileCorpus(Corpus):
    """Parquet files in a folder; each file is a partition, named as the file without its ending.

    `path` is a folder, a glob or one file: a local path or any URL that fsspec opens. Files whose
    names begin with a dot are left out. `item_id` names the column that holds each item's key; its
    values are unique within a partition. Raises CorpusError, naming the file, the row and the way
    out, where something cannot be read.
    """

    path: str
    item_id: str

    def partition_keys(self) -> list[str]:
        """The partitions, sorted by key."""
        return sorted(self._files())

    def source_ref(self, partition_key: str) -> str:
        """The partition's file, for lineage and error texts."""
        return self._file(partition_key).ref

    def schema(self, partition_key: str) -> pa.Schema:
        """Columns of the partition's file."""
        with _opened(self._file(partition_key)) as parquet:
            return parquet.schema_arrow

    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[Rows]:
        """The partition's rows in the file's order, these columns only, in small batches."""
        file = self._file(partition_key)
        with _opened(file) as parquet:
            _check_columns(file, parquet.schema_arrow, columns)
            rows = 0
            batches = parquet.iter_batches(batch_size=BATCH_ROWS, columns=list(columns))
            while True:
                with _reading(file, rows):
                    batch = next(batches, None)
                    if batch is None:
                        return
                    # Parquet lets bytes pass as text that are none.
                    batch.validate(full=True)
                # The file decides the order of columns; the caller named its own.
                yield Rows(
                    batch=batch.select(list(columns)),
                    source_ref=file.ref,
                    positions=range(rows, rows + batch.num_rows),
                )
                rows += batch.num_rows

    def _file(self, partition_key: str) -> "_File":
        files = self._files()
        if partition_key not in files:
            raise CorpusError(
                f"{self.path} has no file {partition_key}{_ENDING}: put it back, "
                "or reload the code location so that the partition disappears"
            )
        return files[partition_key]

    def _files(self) -> "dict[str, _File]":
        """Each partition's file, looked up anew: a corpus grows."""
        try:
            filesystem, path = fsspec.core.url_to_fs(self.path, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise CorpusError(f"{self.path} cannot be opened: {error}") from error
        found = sorted(_names(filesystem, path))
        if not found:
            raise CorpusError(
                f"{self.path}: no such Parquet file or folder of Parquet files; "
                "check the corpus's path (a relative one starts at the project's root)"
            )
        files: dict[str, _File] = {}
        for name in found:
            ref = filesystem.unstrip_protocol(name) if "://" in self.path else name
            key = name.rsplit("/", 1)[-1].removesuffix(_ENDING)
            if not _is_text(key):
                raise CorpusError(f"{ref!a}: the name is not UTF-8: rename the file")
            if key in files:
                raise CorpusError(
                    f"{files[key].ref} and {ref} would both be partition {key!r}: "
                    "rename one of the files"
                )
            files[key] = _File(filesystem=filesystem, name=name, ref=ref)
        return files


@dataclass(frozen=True, kw_only=True)
class _File:
    filesystem: Any
    #: Its path on the filesystem.
    name: str
    #: Its name for people.
    ref: str


def _names(filesystem: Any, path: str) -> Iterator[str]:
    """Paths of the files a corpus's path stands for."""
    if filesystem.isdir(path):
        found = filesystem.ls(path, detail=True)
        found = [file for file in found if file["name"].endswith(_ENDING)]
    elif filesystem.exists(path):
        yield path
        return
    else:
        found = filesystem.glob(path, detail=True).values() if _MAGIC & set(path) else []
    for file in found:
        # What a link leads to, `type` does not say.
        is_folder = file["type"] == "directory" or (
            file["type"] != "file" and filesystem.isdir(file["name"])
        )
        if not is_folder and not file["name"].rsplit("/", 1)[-1].startswith("."):
            yield file["name"]


def _is_text(key: str) -> bool:
    # Bytes of a file's name that are no UTF-8 come as halves of surrogate pairs.
    return key.encode(errors="ignore").decode() == key


def _check_columns(file: _File, schema: pa.Schema, columns: Sequence[str]) -> None:
    for name in columns:
        count = len(schema.get_all_field_indices(name))
        if count != 1:
            there = f"has {count} columns named" if count else "no longer has a column"
            raise CorpusError(
                f"{file.ref} {there} {name!r}; its columns are {', '.join(schema.names)}: "
                "write the file with one"
            )


@contextmanager
def _opened(file: _File) -> Iterator[Any]:
    with _reading(file, 0):
        source = file.filesystem.open(file.name, "rb")
    with source:
        with _reading(file, 0):
            parquet = open_parquet(source)
        yield parquet


@contextmanager
def _reading(file: _File, row: int) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise CorpusError(
            f"{file.ref} is gone: put it back, or reload the code location"
        ) from error
    except DAMAGED as error:
        raise CorpusError(
            f"{file.ref}, at row {row} or after it: not readable as Parquet "
            f"({complaint_of(error)}); write the file again, or take it out of the corpus"
        ) from error
