"""Which requests a shard's file asks, line by line: the shard is the only witness of a wave."""

import msgspec
import numpy as np
import numpy.typing as npt

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.request import ordinal_of
from batch_assets.domain.shard import Shard
from batch_assets.files import Files

Ordinals = npt.NDArray[np.int64]


class _RequestLine(msgspec.Struct):
    custom_id: str


_decode = msgspec.json.Decoder(_RequestLine).decode


def asked_ordinals(files: Files, shard: Shard, prefix: str) -> Ordinals:
    """The ordinals of a shard's requests in the order of its lines.

    Raises ArtifactError where the file is missing or is not what was written.
    """
    if shard.wave == 0:
        return np.arange(shard.first_ordinal, shard.last_ordinal + 1, dtype=np.int64)
    with files.open(shard.path) as lines:
        try:
            found = [ordinal_of(_decode(line).custom_id, prefix) for line in lines]
        except (msgspec.DecodeError, ValueError):
            found = []
    if len(found) != shard.requests or None in found:
        raise ArtifactError(
            f"{files.url(shard.path)} is not what was written: it should ask {shard.requests} "
            "requests of its request set; restore it"
        )
    return np.array(found, dtype=np.int64)
