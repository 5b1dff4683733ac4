"""Puts items into requests, and requests into shards."""

from collections.abc import Callable, Sequence

from batch_assets.domain.request import custom_id_prefix
from batch_assets.domain.shard import Size
from batch_assets.files import RequestSetLayout
from batch_assets.prompt.packs import Ask
from batch_assets.stages.recipe import Recipe
from batch_assets.stages.shards import ShardSink


class RequestSink:
    """Takes the items of one wave in the order of their ordinals."""

    def __init__(
        self,
        recipe: Recipe,
        layout: RequestSetLayout,
        shards: ShardSink,
        tokens: Callable[[bytes, bytes], int],
        *,
        size: int | None = None,
    ) -> None:
        self._packing = recipe.packing
        self._inputs = recipe.endpoint.inputs
        self._prefix = custom_id_prefix(layout.digest)
        self._shards = shards
        #: Estimated prompt tokens of a line and what is asked in it.
        self._tokens = tokens
        self._size = size or self._packing.size
        self._waiting: list[Ask] = []

    def take(self, ordinal: int, ask: bytes) -> bool:
        """Add an item. False for one that no batch can hold."""
        alone = [(ordinal, ask)]
        line, size = self._request(alone)
        if not self._shards.fits(size):
            return False
        if self._size == 1:
            self._shards.write(ordinal, line, size)
        else:
            self._waiting += alone
            if len(self._waiting) >= self._size:
                self.finish()
        return True

    def finish(self) -> None:
        """Write the items that wait for a pack to be full."""
        if self._waiting:
            self._write(self._waiting)
        self._waiting = []

    def _write(self, asks: Sequence[Ask]) -> None:
        line, size = self._request(asks)
        if self._shards.fits(size):
            self._shards.write(asks[0][0], line, size, last=asks[-1][0])
            return
        half = len(asks) // 2
        self._write(asks[:half])
        self._write(asks[half:])

    def _request(self, asks: Sequence[Ask]) -> tuple[bytes, Size]:
        line = self._packing.line(f"{self._prefix}{asks[0][0]}", asks)
        asked = asks[0][1] if len(asks) == 1 and self._packing.size == 1 else line
        inputs = self._inputs(asked) if asked is not line else 0
        return line, Size(bytes=len(line), tokens=self._tokens(line, asked), inputs=inputs)
