"""Several sources as one corpus, in a given order."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.column_text import as_text
from batch_assets.corpus.corpus import Corpus, Rows
from batch_assets.corpus.partitioning import (
    Arrivals,
    DiscoveredKeys,
    GivenPartitions,
    Partitioning,
    StaticKeys,
    TimeWindows,
)
from batch_assets.corpus.promotion import promoted
from batch_assets.domain.errors import CorpusError, DeclarationError

#: The partition of a composite that has no other.
_WHOLE = "all"

#: Neither a colon, which ends a namespace, nor a slash, which nests them.
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, kw_only=True)
class CompositeCorpus(Corpus):
    """Sources by namespace, read one after the other.

    An item's id is `namespace:key`, so that equal keys of two sources are two items. Keys come in
    the column `item_id`, made from each source's own item_id column whatever its name there. Where
    `item_id` is a template instead, it is over columns that all sources have.

    Columns are matched by name. A type that differs between sources is promoted where that loses
    nothing, as int32 is to int64.

    With `partitions="shared"` the partitions are those of the sources, and a key that several of
    them have is one partition with the rows of each. With `"all"` there is one partition, `all`,
    with everything.

    Raises DeclarationError for a namespace that cannot be one, for a source whose item_id is a
    template, and, where its partitions are asked for, for sources that are partitioned in different
    ways.
    """

    sources: Mapping[str, Corpus] | Sequence[tuple[str, Corpus]]
    item_id: str = "item_id"
    partitions: Literal["shared", "all"] = "shared"
    opens_at_load: bool = field(init=False)

    def __post_init__(self) -> None:
        pairs = _pairs(self.sources)
        if len(pairs) < 1:
            raise DeclarationError("a composite corpus without sources: name one at least")
        names = [name for name, _ in pairs]
        for name in names:
            if not _NAMESPACE.fullmatch(name):
                raise DeclarationError(
                    f"namespace {name!r}: use letters, digits, _ and -, 40 at most"
                )
            if names.count(name) > 1:
                raise DeclarationError(f"namespace {name!r} is there twice: give each its own")
        for name, source in pairs:
            if "{{" in source.item_id and not self._is_template:
                raise DeclarationError(
                    f"source {name!r} has the template {source.item_id!r} as item_id: "
                    "give the composite a template as its item_id, or the source a column"
                )
        # What a frozen dataclass works out for itself.
        opens_at_load = all(source.opens_at_load for _, source in pairs)
        object.__setattr__(self, "opens_at_load", opens_at_load)

    @property
    def _is_template(self) -> bool:
        return "{{" in self.item_id

    @property
    def partitioning(self) -> Partitioning:
        """One partition, or those that the sources share."""
        if self.partitions == "all":
            return StaticKeys(keys=(_WHOLE,))
        kinds = {name: source.partitioning for name, source in _pairs(self.sources)}
        if all(isinstance(kind, StaticKeys) for kind in kinds.values()):
            return StaticKeys(keys=tuple(self.partition_keys()))
        first, *others = kinds.values()
        if any(other != first for other in others):
            named = ", ".join(f"{name}: {type(kind).__name__}" for name, kind in kinds.items())
            raise DeclarationError(
                f"the sources are partitioned in different ways ({named}): "
                "declare partitions='all', or partition them alike"
            )
        return first

    def partition_keys(self) -> list[str]:
        """Those of the first source, then what the others have beside them."""
        if self.partitions == "all":
            return [_WHOLE]
        keys = (key for _, source in _pairs(self.sources) for key in source.partition_keys())
        return list(dict.fromkeys(keys))

    def arrivals(self) -> Arrivals:
        """Of the sources together; a partition of several was written to with its last."""
        written_at: dict[str, datetime | None] = {}
        refused: list[str] = []
        for name, source in _pairs(self.sources):
            found = source.arrivals()
            refused += [f"source {name!r}: {reason}" for reason in found.refused]
            for key, at in found.written_at.items():
                known = written_at.get(key)
                written_at[key] = max(known, at) if known and at else known or at
        return Arrivals(written_at=written_at, refused=refused)

    def source_ref(self, partition_key: str) -> str:
        """The sources of a partition, each with its namespace."""
        refs: dict[str, list[str]] = {}
        for part in self._parts(partition_key):
            refs.setdefault(part.namespace, []).append(part.ref)
        return "; ".join(
            f"{namespace}: {found[0] if len(found) == 1 else f'{len(found)} partitions'}"
            for namespace, found in refs.items()
        )

    def schema(self, partition_key: str) -> pa.Schema:
        """Every column that a source has, the key's first; types are those that all fit."""
        parts = self._parts(partition_key)
        columns = dict.fromkeys(name for part in parts for name in part.schema.names)
        key = () if self._is_template else (self.item_id,)
        names = [*key, *(name for name in columns if name not in key)]
        return self._schema(parts, names)

    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[Rows]:
        """The rows of each source, one source after the other."""
        parts = self._parts(partition_key)
        for part in parts:
            self._check_columns(part, columns)
        schema = self._schema(parts, columns)
        for part in parts:
            own = [self._own_name(part, name) for name in columns]
            for rows in part.source.read(part.key, list(dict.fromkeys(own))):
                inner = f"{part.namespace}/{rows.namespace}" if rows.namespace else part.namespace
                batch = self._promoted(part, rows, own, schema)
                yield replace(rows, batch=batch, namespace=inner)

    def _promoted(
        self, part: "_Part", rows: Rows, own: Sequence[str], schema: pa.Schema
    ) -> pa.RecordBatch:
        arrays = []
        for name, column in zip(own, schema, strict=True):
            values = rows.batch.column(name)
            try:
                is_key = column.name == self.item_id
                arrays.append(as_text(values) if is_key else values.cast(column.type))
            except pa.ArrowException as error:
                raise CorpusError(
                    f"source {part.namespace!r}: {rows.name_of(0)} or one of the rows after it: "
                    f"{name!r} does not fit {column.type}, the type it has with the other sources "
                    f"({error}): give the column one type in all sources"
                ) from error
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _own_name(self, part: "_Part", name: str) -> str:
        return part.source.item_id if name == self.item_id else name

    def _check_columns(self, part: "_Part", columns: Sequence[str]) -> None:
        present = part.schema.names
        for name in columns:
            own = self._own_name(part, name)
            if own not in present:
                raise CorpusError(
                    f"source {part.namespace!r}: {part.ref} has no column {own!r}; "
                    f"it has {', '.join(present)}: add the column, or take it out of the prompt"
                )
        if self.item_id in present and self.item_id != part.source.item_id:
            raise CorpusError(
                f"source {part.namespace!r}: {part.ref} has a column {self.item_id!r} that is not "
                f"its item_id ({part.source.item_id!r}): give the composite another item_id"
            )

    def _schema(self, parts: "Sequence[_Part]", names: Sequence[str]) -> pa.Schema:
        fields = []
        for name in names:
            if name == self.item_id:
                fields.append(pa.field(name, pa.large_string()))
                continue
            types = {
                p.namespace: p.schema.field(name).type for p in parts if name in p.schema.names
            }
            fields.append(pa.field(name, promoted(name, types)))
        return pa.schema(fields)

    def _parts(self, partition_key: str) -> "list[_Part]":
        parts = []
        for namespace, source in _pairs(self.sources):
            if self.partitions == "all":
                keys = source.partition_keys()
            else:
                keys = [partition_key] if _has(source, partition_key) else []
            parts += [_Part(namespace=namespace, source=source, key=key) for key in keys]
        if not parts:
            raise CorpusError(
                f"no source has a partition {partition_key!r}: reload the code location so that "
                "it disappears"
            )
        return parts


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A partition of a source."""

    namespace: str
    source: Corpus
    key: str

    @property
    def ref(self) -> str:
        return self.source.source_ref(self.key)

    @cached_property
    def schema(self) -> pa.Schema:
        return self.source.schema(self.key)


def _pairs(
    sources: Mapping[str, Corpus] | Sequence[tuple[str, Corpus]],
) -> list[tuple[str, Corpus]]:
    return list(sources.items() if isinstance(sources, Mapping) else sources)


def _has(source: Corpus, partition_key: str) -> bool:
    match source.partitioning:
        case StaticKeys() | DiscoveredKeys():
            return partition_key in source.partition_keys()
        case TimeWindows() | GivenPartitions():
            # Every source has the same ones.
            return True


def assets_of(corpus: Corpus) -> list[AssetCorpus]:
    """The upstream assets that a corpus reads, itself or through its sources."""
    match corpus:
        case AssetCorpus():
            return [corpus]
        case CompositeCorpus():
            return [asset for _, source in _pairs(corpus.sources) for asset in assets_of(source)]
        case _:
            return []


def with_assets(corpus: Corpus, load: Callable[[AssetCorpus, str], Any]) -> Corpus:
    """The same corpus with what loads an asset's value of a partition, given the asset and key."""
    match corpus:
        case AssetCorpus():
            return corpus.bound(lambda partition_key: load(corpus, partition_key))
        case CompositeCorpus():
            pairs = [(name, with_assets(source, load)) for name, source in _pairs(corpus.sources)]
            return replace(corpus, sources=pairs)
        case _:
            return corpus
