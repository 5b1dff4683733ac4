"""An item is one row of the corpus; its lineage says which."""

import re
from dataclasses import dataclass
from typing import NewType

ItemId = NewType("ItemId", str)
PartitionKey = NewType("PartitionKey", str)
InferenceName = NewType("InferenceName", str)

#: Dagster's own rule for op and asset names, which an inference's name becomes a part of.
_INFERENCE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def is_inference_name(name: str) -> bool:
    """Whether `name` can name a group of Dagster assets."""
    return _INFERENCE_NAME.fullmatch(name) is not None


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Where an item came from."""

    source_ref: str
    partition_key: PartitionKey
    #: Position of the row in its source, from 0.
    source_item_index: int
    source_primary_key: str
    source_namespace: str | None = None
