"""Input files that are one partition, one after the other: what a command line names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from batch_assets.corpus.composite import CompositeCorpus
from batch_assets.corpus.corpus import Corpus, Rows
from batch_assets.corpus.files import FileCorpus
from batch_assets.corpus.partitioning import Partitioning, StaticKeys
from batch_assets.domain.errors import DeclarationError

#: The partition that has everything.
WHOLE = "all"


@dataclass(frozen=True, kw_only=True)
class InputFiles(Corpus):
    """Files, folders and patterns as one partition, in the order that they are named.

    An item's id is its key alone, so a key that two inputs have is an error; with `namespaces`, one
    for each input, it is `namespace:key`. Nothing is opened before the rows are read: what was sent
    of an input can be collected after the input is gone.
    """

    paths: tuple[str, ...]
    item_id: str
    namespaces: tuple[str, ...] = ()
    opens_at_load: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.namespaces and len(self.namespaces) != len(self.paths):
            raise DeclarationError(
                f"{len(self.paths)} inputs and {len(self.namespaces)} namespaces: give each input "
                "its own, in the same order"
            )
        self._composite()

    @property
    def partitioning(self) -> Partitioning:
        """One partition, whatever files there are."""
        return StaticKeys(keys=(WHOLE,))

    def partition_keys(self) -> list[str]:
        """The one."""
        return [WHOLE]

    def source_ref(self, partition_key: str) -> str:
        """The inputs."""
        return ", ".join(map(_without_secrets, self.paths))

    def schema(self, partition_key: str) -> pa.Schema:
        """Every column that an input has, the key's first; types are those that all fit.

        Raises DeclarationError where an input has no column for the item id.
        """
        for source in self._sources():
            first = source.partition_keys()[0]
            present = source.schema(first).names
            if "{{" not in self.item_id and self.item_id not in present:
                raise DeclarationError(
                    f"{source.source_ref(first)}: no column {self.item_id!r} for the item id; it "
                    f"has {', '.join(present)}: name one that all inputs have"
                )
        return self._composite().schema(partition_key)

    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[Rows]:
        """The rows of each input, one input after the other."""
        for rows in self._composite().read(partition_key, columns):
            yield rows if self.namespaces else replace(rows, namespace=None)

    def _sources(self) -> list[FileCorpus]:
        return [FileCorpus(path=path, item_id=self.item_id) for path in self.paths]

    def _composite(self) -> CompositeCorpus:
        names = self.namespaces or [f"input-{place}" for place in range(1, len(self.paths) + 1)]
        return CompositeCorpus(
            sources=list(zip(names, self._sources(), strict=True)),
            item_id=self.item_id,
            partitions="all",
        )


def _without_secrets(path: str) -> str:
    """A URL without the user and the query, where keys stand."""
    if "://" not in path:
        return path
    return re.sub(r"//[^/@]*@", "//", path).partition("?")[0]
