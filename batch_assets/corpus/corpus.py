"""What a corpus is: partitions of items, read as a stream of rows that know where they come from.

Subclass Corpus to bring a source of your own; docs/howto/corpora.md has an example.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from batch_assets.corpus.partitioning import Arrivals, Partitioning, StaticKeys


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Some consecutive rows of one source."""

    batch: pa.RecordBatch
    #: Name of the source for people: a path, a URL, an asset's key. Never with a password.
    source_ref: str
    #: Position of each row in its source, from 0; as many as the batch has rows.
    positions: Sequence[int]
    #: Keeps equal keys of two sources of one corpus apart; no colon in it.
    namespace: str | None = None

    def name_of(self, row: int) -> str:
        """How error texts name a row of the batch."""
        return f"{self.source_ref}, row {self.positions[row]}"


class Corpus(ABC):
    """Where items come from.

    Everything that cannot be read raises CorpusError, which names the source, the row and the way
    out.
    """

    #: The column of each item's key, or a Jinja2 template over columns (`{{ doc }}-{{ page }}`);
    #: unique within a partition.
    item_id: str

    #: Whether the columns can be looked up while a code location loads: cheap, and without a
    #: connection to anything. Where they cannot, the prompt's fields are checked by `requests`.
    opens_at_load: bool = True

    @abstractmethod
    def partition_keys(self) -> list[str]:
        """The partitions that are there now, in their order."""

    @property
    def partitioning(self) -> Partitioning:
        """How Dagster knows the partitions."""
        return StaticKeys(keys=tuple(self.partition_keys()))

    def arrivals(self) -> Arrivals:
        """For the discovery sensor: one listing, in which one bad source keeps no other out."""
        return Arrivals(written_at=dict.fromkeys(self.partition_keys()))

    @abstractmethod
    def source_ref(self, partition_key: str) -> str:
        """What a partition's rows come from, for people."""

    @abstractmethod
    def schema(self, partition_key: str) -> pa.Schema:
        """The columns that a partition has."""

    @abstractmethod
    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[Rows]:
        """The partition's rows in their order, these columns only and in this order.

        Each part holds some hundred to a few thousand rows, so that a partition is never in memory
        whole. The same partition read twice gives the same rows in the same order.
        """
