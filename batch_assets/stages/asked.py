"""Which items a shard's file asks, line by line: the shard is the only witness of a wave."""

import msgspec
import numpy as np
import numpy.typing as npt

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.request import ordinal_of
from batch_assets.domain.shard import Shard
from batch_assets.files import Files
from batch_assets.prompt.packs import OneEach, Packing

Ordinals = npt.NDArray[np.int64]


class Asked:
    """The ordinals of a shard's items in the order of its lines, each line's its own."""

    def __init__(self, ordinals: Ordinals, begins: Ordinals | None = None) -> None:
        self.ordinals = ordinals
        #: Where each line's items begin; None where each line has one.
        self._begins = begins

    def of_line(self, line: int) -> Ordinals:
        """The items of a line, counted from 0."""
        if self._begins is None:
            return self.ordinals[line : line + 1]
        return self.ordinals[self._begins[line] : self._begins[line + 1]]

    def of_request(self, ordinal: int) -> Ordinals:
        """The items of the request whose custom_id has that ordinal; none where it has none."""
        if self._begins is None:
            place = int(np.searchsorted(self.ordinals, ordinal))
            return self.ordinals[place : place + 1] if self._is_at(place, ordinal) else _NONE
        firsts = self.ordinals[self._begins[:-1]]
        line = int(np.searchsorted(firsts, ordinal))
        is_first = line < len(firsts) and firsts[line] == ordinal
        return self.of_line(line) if is_first else _NONE

    def _is_at(self, place: int, ordinal: int) -> bool:
        return place < len(self.ordinals) and bool(self.ordinals[place] == ordinal)


_NONE: Ordinals = np.empty(0, dtype=np.int64)


def asked_by(files: Files, shard: Shard, prefix: str, packing: Packing) -> Asked:
    """What a shard asks.

    Raises ArtifactError where the file is missing or is not what was written.
    """
    is_packed = not isinstance(packing, OneEach)
    if shard.wave == 0 and not is_packed:
        return Asked(np.arange(shard.first_ordinal, shard.last_ordinal + 1, dtype=np.int64))
    ordinals: list[int] = []
    begins = [0]
    try:
        with files.open(shard.path) as lines:
            for line in lines:
                ordinal = ordinal_of(packing.envelope.custom_id_of(line), prefix)
                if ordinal is None:
                    raise ValueError("another's custom_id")
                if is_packed:
                    ordinals.extend(item for item, _ in packing.asks_in(line, ordinal))
                else:
                    ordinals.append(ordinal)
                begins.append(len(ordinals))
    except (msgspec.DecodeError, ValueError, LookupError, TypeError):
        begins = []
    if len(begins) != shard.requests + 1:
        raise ArtifactError(
            f"{files.url(shard.path)} is not what was written: it should ask {shard.requests} "
            "requests of its request set; restore it"
        )
    found = np.array(ordinals, dtype=np.int64)
    return Asked(found, np.array(begins, dtype=np.int64) if is_packed else None)
