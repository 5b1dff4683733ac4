"""Writes request lines into shard files that fit a provider's batch."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from batch_assets.domain.shard import Limits, Shard, ShardFill, Size
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.store import NewFile

#: Bytes in hand before they are written.
_BLOCK = 256 * 1024


class ShardSink:
    """Takes the requests of one wave in the order of their ordinals."""

    def __init__(self, files: Files, layout: RequestSetLayout, wave: int, limits: Limits) -> None:
        self._files = files
        self._layout = layout
        self._wave = wave
        self._fill = ShardFill(limits)
        self._open = ExitStack()
        self._file: NewFile | None = None
        self._lines: list[bytes] = []
        self._waiting = 0
        self._first = self._last = 0
        self.shards: list[Shard] = []

    def fits(self, size: Size) -> bool:
        """Whether a batch can hold the request at all."""
        return not self._fill.never_fits(size)

    def write(self, ordinal: int, line: bytes, size: Size, *, last: int | None = None) -> None:
        """Append a request; begins the next shard where this one is full.

        `ordinal` is that of its first item, `last` of its last one where it has several.
        """
        if not self._fill.has_room(size):
            self.finish_shard()
        if self._file is None:
            path = self._layout.shard(self._wave, len(self.shards))
            self._file = self._open.enter_context(self._files.create(path))
            self._first = ordinal
        self._fill.take(size)
        self._last = ordinal if last is None else last
        self._lines.append(line)
        self._waiting += len(line)
        if self._waiting >= _BLOCK:
            self._flush()

    def finish_shard(self) -> None:
        """Give the shard its name and note its checksum and counts."""
        if self._file is None:
            return
        self._flush()
        self._open.close()
        written = self._file.written
        self.shards.append(
            Shard(
                wave=self._wave,
                number=len(self.shards),
                path=self._layout.shard(self._wave, len(self.shards)),
                sha256=written.sha256,
                requests=self._fill.requests,
                bytes=written.bytes,
                tokens=self._fill.tokens,
                first_ordinal=self._first,
                last_ordinal=self._last,
                inputs=self._fill.inputs,
            )
        )
        self._fill.empty()
        self._file = None

    def _flush(self) -> None:
        if self._file is not None and self._lines:
            self._file.write(b"".join(self._lines))
        self._lines, self._waiting = [], 0

    def abandon(self, error: BaseException) -> None:
        """Leave no half-written shard behind."""
        self._open.__exit__(type(error), error, error.__traceback__)


@contextmanager
def create_shards(
    files: Files, layout: RequestSetLayout, *, wave: int, limits: Limits
) -> Iterator[ShardSink]:
    """The shards of one wave.

    Shards that are finished when the block fails stay, without a manifest that names them.
    """
    sink = ShardSink(files, layout, wave, limits)
    try:
        yield sink
        sink.finish_shard()
    except BaseException as error:
        sink.abandon(error)
        raise
