"""A corpus of files, whatever they are written in and wherever they lie."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from batch_assets.corpus.column_types import casted, common_schema, type_named
from batch_assets.corpus.corpus import Corpus, Rows
from batch_assets.corpus.csv_source import CsvDialect
from batch_assets.corpus.formats import FORMAT_NAMES, Format
from batch_assets.corpus.listing import Listing, SourceFile
from batch_assets.corpus.open_source import open_source
from batch_assets.corpus.partition_by import ByFile, PartitionBy, Slice
from batch_assets.corpus.partitioning import Arrivals, Partitioning
from batch_assets.corpus.row_filter import UnfitTime
from batch_assets.corpus.source import Source, check_columns
from batch_assets.domain.errors import CorpusError, DeclarationError


@dataclass(frozen=True, kw_only=True)
class FileCorpus(Corpus):
    """CSV, TSV, JSONL and Parquet files, the text formats also packed with gzip, zstd, bz2 or lz4.

    `path` is a folder, a pattern or one file, or several of them: local paths, or URLs that fsspec
    opens. Of a folder the files directly in it are read; a pattern with `**` reaches deeper. Files
    and folders whose names begin with a dot are left out, as are folders that begin with `_`.

    Raises CorpusError, naming the file, the row and the way out, where something cannot be read.
    """

    path: str | Sequence[str]
    item_id: str
    #: None: by the ending of each file's name.
    format: Format | None = None
    partition_by: PartitionBy = field(default_factory=ByFile)
    #: Types of columns that are not to be read as they come, by Arrow's names: `int64`, `string`,
    #: `double`, `bool`, `date32`, `timestamp[us]`.
    types: Mapping[str, str] = field(default_factory=dict)
    csv: CsvDialect = field(default_factory=CsvDialect)
    #: What fsspec's file system is opened with. A secret is safer in fsspec's own configuration.
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self._listing.paths:
            raise DeclarationError("FileCorpus(path=[]): name one path at least")
        if self.format is not None and self.format not in FORMAT_NAMES:
            raise DeclarationError(
                f"FileCorpus(format={self.format!r}): use one of {', '.join(FORMAT_NAMES)}"
            )
        for column, name in self.types.items():
            type_named(name, column)

    @property
    def _listing(self) -> Listing:
        paths = (self.path,) if isinstance(self.path, str) else tuple(self.path)
        return Listing(paths=paths, format=self.format, storage_options=self.storage_options)

    def partition_keys(self) -> list[str]:
        """The partitions that are there now, in their order."""
        return self.partition_by.keys(self._listing, self._count)

    @property
    def partitioning(self) -> Partitioning:
        """How Dagster knows the partitions."""
        return self.partition_by.partitioning(self._listing, self._count)

    def arrivals(self) -> Arrivals:
        """The files that are there now."""
        return self._listing.arrivals()

    def source_ref(self, partition_key: str) -> str:
        """The partition's file for lineage and error texts, or the paths where it has several."""
        slices = self._slices(partition_key)
        return slices[0].file.ref if len(slices) == 1 else self._listing.ref

    def schema(self, partition_key: str) -> pa.Schema:
        """Columns of the partition's first file, and those that its folders name."""
        first = self._slices(partition_key)[0]
        file = first.file
        with open_source(file, self.csv) as source:
            schema = source.whole_schema()
        for name in file.folder_values:
            if name not in schema.names:
                schema = schema.append(pa.field(name, pa.string()))
        if first.only is not None and first.only.column not in schema.names:
            raise CorpusError(
                f"{file.ref}: no column {first.only.column!r} to cut partitions by; it has "
                f"{', '.join(schema.names)}: name one of them in partition_by"
            )
        return self._typed(schema)

    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[Rows]:
        """The partition's rows in the files' order, these columns only, in small batches."""
        slices = self._slices(partition_key)
        filtered = (slice_.only.column for slice_ in slices if slice_.only)
        wanted = list(dict.fromkeys(chain(columns, filtered)))
        common = self._common_schema(slices, wanted) if len(slices) > 1 else None
        for slice_ in slices:
            with open_source(slice_.file, self.csv) as source:
                written = _written_schema(source, slice_, wanted)
                target = common or self._target(slice_.file, written, wanted)
                for row, batch in source.batches(written, slice_.rows, slice_.only):
                    rows = casted(slice_.file, row, batch, target)
                    yield from _selected(slice_, row, rows, columns)

    def _common_schema(self, slices: Sequence[Slice], wanted: Sequence[str]) -> pa.Schema:
        """One schema for all files of a partition."""
        schemas = {}
        for slice_ in slices:
            with open_source(slice_.file, self.csv) as source:
                written = _written_schema(source, slice_, wanted)
            schemas[slice_.file.ref] = self._target(slice_.file, written, wanted)
        return common_schema(schemas)

    def _target(self, file: SourceFile, written: pa.Schema, wanted: Sequence[str]) -> pa.Schema:
        """What a file's columns are given as; what its folders name comes first."""
        folders = file.folder_values
        fields = [
            pa.field(name, pa.string()) if name in folders else written.field(name)
            for name in wanted
        ]
        return self._typed(pa.schema(fields))

    def _typed(self, schema: pa.Schema) -> pa.Schema:
        return pa.schema(
            [
                pa.field(field.name, type_named(self.types[field.name], field.name))
                if field.name in self.types
                else field
                for field in schema
            ]
        )

    def _slices(self, partition_key: str) -> list[Slice]:
        slices = self.partition_by.slices(self._listing, partition_key)
        if not slices:
            raise CorpusError(
                f"{self._listing.ref}: no file has rows of partition {partition_key}; "
                "put one there, or take the partition out of the corpus"
            )
        return slices

    def _count(self, file: SourceFile) -> int:
        with open_source(file, self.csv) as source:
            return source.count()


def _written_schema(source: Source, slice_: Slice, wanted: Sequence[str]) -> pa.Schema:
    """The columns that are read from a file, with the types they are written in."""
    names = [name for name in wanted if name not in slice_.file.folder_values]
    if not names:
        # How many rows there are only a column of the file can say.
        there = source.whole_schema().names
        names = [name for name in there if there.count(name) == 1][:1]
        check_columns(slice_.file, there, names or there[:1])
    return source.schema(names, slice_.rows)


def _selected(
    slice_: Slice, row: int, rows: pa.RecordBatch, columns: Sequence[str]
) -> Iterator[Rows]:
    """The rows of a batch that belong to the partition."""
    positions: Sequence[int] = range(row, row + rows.num_rows)
    if slice_.only is not None:
        try:
            mask = slice_.only.mask(rows.column(slice_.only.column))
        except UnfitTime as error:
            raise CorpusError(
                f"{slice_.file.ref}, row {row + error.row}, column {slice_.only.column!r}: "
                f"{error}; correct it, or cut the corpus by another column"
            ) from error
        rows = rows.filter(mask)
        positions = (np.flatnonzero(mask.to_numpy(zero_copy_only=False)) + row).tolist()
    if rows.num_rows:
        yield Rows(batch=rows.select(columns), source_ref=slice_.file.ref, positions=positions)
