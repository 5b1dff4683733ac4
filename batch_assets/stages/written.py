"""Results as a file for people and other tools: Parquet, CSV, TSV or JSON lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_assets.corpus.formats import Ending, Format, ending_of, endings
from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files
from batch_assets.files.parquet import create_parquet
from batch_assets.files.store import NewFile
from batch_assets.stages.text_rows import CsvRows, JsonLines


def write_results(
    reader: pa.RecordBatchReader,
    path: str | Path,
    format: Format | None = None,
    *,
    overwrite: bool = False,
) -> int:
    """Write all rows to one file; how many they are.

    The ending of the path, local or any URL that fsspec opens, says the format and how text is
    compressed: `results.csv.gz`. A `format` stands above it. The file takes its name when it is
    complete. What CSV and JSON lines make of the values, CsvRows and JsonLines say.

    Raises ArtifactError where the path says no format, and where a file is there, unless it may be
    overwritten.
    """
    folder, slash, name = str(path).rpartition("/")
    files = Files(folder or slash or ".")
    ending = _ending(name, format)
    _check_free(files, name, overwrite)
    rows = 0
    with _opened(files, name, ending, reader.schema) as write:
        for batch in reader:
            write(batch)
            rows += batch.num_rows
        # Writing takes its time, and another may have been faster.
        _check_free(files, name, overwrite)
    return rows


def _ending(name: str, format: Format | None) -> Ending:
    if format is None:
        ending = ending_of(name)
        if ending.format is None:
            raise ArtifactError(
                f"{name!r} does not say in which format it is to be written: let it end in one of "
                f"{', '.join(endings())}, or name a format"
            )
        return ending
    last = name.rpartition(".")[2]
    return replace(ending_of(f".{format}"), compression=ending_of(f".csv.{last}").compression)


def _check_free(files: Files, name: str, overwrite: bool) -> None:
    if not overwrite and files.exists(name):
        raise ArtifactError(
            f"{files.url(name)} is there already: name another file, or say overwrite=True"
        )


@contextmanager
def _opened(
    files: Files, name: str, ending: Ending, schema: pa.Schema
) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """What writes batches to a new file, which is complete when the block ends well."""
    if ending.format == "parquet":
        with create_parquet(files, name, schema) as parquet:
            yield parquet.write
        return
    with files.create(name) as new, _packed(new, ending.compression) as sink:
        if ending.format == "jsonl":
            yield JsonLines(sink).write
        else:
            delimiter = "\t" if ending.format == "tsv" else ","
            with CsvRows(sink, schema, delimiter=delimiter) as rows:
                yield rows.write


def _packed(new: NewFile, compression: str | None) -> Any:
    if compression is None:
        return nullcontext(new)
    return pa.CompressedOutputStream(pa.PythonFile(new, "w"), compression)
