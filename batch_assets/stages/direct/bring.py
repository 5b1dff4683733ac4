"""bring: what the provider returned for a batch, as a file, whole or not at all."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import msgspec

from batch_assets.domain.errors import ArtifactError, TerminalError
from batch_assets.domain.provider import Phase, Provider, ProviderBatch
from batch_assets.files import Files

#: The file's name that is standard output.
STDOUT = "-"


class NothingThere(TerminalError):
    """The batch has no such file."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A file that was written."""

    lines: int
    bytes: int


def bring_output(
    provider: Provider, batch: ProviderBatch, target: str, *, overwrite: bool = False
) -> Brought:
    """Every line that the provider has of the batch's answers, byte for byte.

    Raises NothingThere where it has none, and ArtifactError where a file is there already.
    """
    _check_free(target, overwrite=overwrite)
    if batch.output_file_id is None:
        raise NothingThere(_no_answers(batch))
    with _written(target, overwrite=overwrite) as sink:
        provider.download(batch.output_file_id, cast(BinaryIO, sink))
        return sink.brought()


def bring_errors(
    provider: Provider, batch: ProviderBatch, target: str, *, overwrite: bool = False
) -> Brought:
    """The lines of requests that failed: the batch's error file, or those among its answers.

    Raises NothingThere where there is none, and ArtifactError where a file is there already.
    """
    _check_free(target, overwrite=overwrite)
    if batch.error_file_id is not None:
        with _written(target, overwrite=overwrite) as sink:
            provider.download(batch.error_file_id, cast(BinaryIO, sink))
            return sink.brought()
    if batch.output_file_id is None:
        raise NothingThere(_no_answers(batch))
    none_failed = NothingThere(f"{batch.id} has no errors: it is {batch.status}")
    if batch.total is not None and batch.completed == batch.total and not batch.failed:
        raise none_failed
    with tempfile.TemporaryFile() as whole:
        provider.download(batch.output_file_id, cast(BinaryIO, whole))
        whole.seek(0)
        if not any(map(_is_failure, whole)):
            raise none_failed
        whole.seek(0)
        with _written(target, overwrite=overwrite) as sink:
            for line in filter(_is_failure, whole):
                sink.write(line)
            return sink.brought()


def bring_file(
    provider: Provider, file_id: str, target: str, *, overwrite: bool = False
) -> Brought:
    """A file of the provider's, byte for byte.

    Raises what `Provider.download` raises, and ArtifactError where a file is there already.
    """
    _check_free(target, overwrite=overwrite)
    with _written(target, overwrite=overwrite) as sink:
        provider.download(file_id, cast(BinaryIO, sink))
        return sink.brought()


class _Result(msgspec.Struct):
    type: str | None = None


class _Response(msgspec.Struct):
    status_code: int | None = None
    error: Any = None


class _Line(msgspec.Struct):
    """A line of any provider's: one has `result`, the others a response, an error or a status."""

    result: _Result | None = None
    response: _Response | None = None
    error: Any = None
    status: Any = None


_read_line = msgspec.json.Decoder(_Line).decode


def _is_failure(line: bytes) -> bool:
    """Whether the line has no answer; one that cannot be read has none."""
    if not line.strip():
        return False
    try:
        found = _read_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
    if found.result is not None:
        return found.result.type != "succeeded"
    response = found.response
    if response is None or found.error or found.status or response.error:
        return True
    return response.status_code not in (200, None)


class _Sink:
    """Counts what goes through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lines = self._bytes = 0
        self._ends_whole = True

    def write(self, block: bytes) -> int:
        self._lines += block.count(b"\n")
        self._bytes += len(block)
        if block:
            self._ends_whole = block.endswith(b"\n")
        self._file.write(block)
        return len(block)

    def brought(self) -> Brought:
        return Brought(lines=self._lines + (not self._ends_whole), bytes=self._bytes)


@contextmanager
def _written(target: str, *, overwrite: bool) -> Iterator[_Sink]:
    """What goes to the target once it is whole; of standard output, too."""
    if target == STDOUT:
        with tempfile.TemporaryFile() as spool:
            yield _Sink(spool)
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.flush()
        return
    path = Path(target)
    with Files(str(path.parent)).create(path.name) as new:
        yield _Sink(cast("IO[bytes]", new))
        # A download takes its time, and another may have been faster.
        _check_free(target, overwrite=overwrite)


def _check_free(target: str, *, overwrite: bool) -> None:
    if target == STDOUT:
        return
    path = Path(target)
    if path.exists() and not path.is_file():
        raise ArtifactError(f"{target} is there already and is no file: name a file")
    if path.exists() and not overwrite:
        raise ArtifactError(
            f"{target} is there already: name another file with --output-file, or give --overwrite"
        )


def _no_answers(batch: ProviderBatch) -> str:
    if batch.phase is Phase.ENDED:
        why = "; ".join(filter(None, (each.message or each.code for each in batch.problems)))
        return f"{batch.id} is {batch.status} and has no answers" + (f": {why}" if why else "")
    return f"{batch.id} is {batch.status}: what it brings is there once it has ended"
