"""A corpus of what another asset of the code location holds: a table or frame per partition."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from batch_assets.corpus.corpus import Corpus, Rows
from batch_assets.corpus.partitioning import GivenPartitions, Partitioning, StaticKeys
from batch_assets.corpus.tables import Opened, opened
from batch_assets.corpus.unfit_text import UnfitText, check_text
from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.files.parquet import complaint_of

if TYPE_CHECKING:
    import dagster as dg

#: The partition of an inference over an asset that has none.
_WHOLE = "all"


@dataclass(frozen=True, kw_only=True)
class AssetCorpus(Corpus):
    """The rows of an upstream asset: its value per partition, loaded by its own IO manager.

    `key` is the asset's key (`warehouse/notes`, or an AssetKey), `partitions_def` its partitions,
    which become the inference's; without them the inference has one partition, `all`. A value is a
    pyarrow Table, Dataset or RecordBatchReader, a pandas or polars frame, or what else gives an
    Arrow stream. `value_type` is what the IO manager is asked for, like an input's annotation.

    A value is there in a run only, one partition at a time. Raises DeclarationError for partitions
    of several dimensions.
    """

    key: "str | Sequence[str] | dg.AssetKey"
    item_id: str
    partitions_def: "dg.PartitionsDefinition[str] | None" = None
    value_type: type | None = None
    _values: "_Values | None" = field(default=None, repr=False, compare=False)

    #: An asset is loaded in the run that needs it.
    opens_at_load = False

    def __post_init__(self) -> None:
        import dagster as dg

        if isinstance(self.partitions_def, dg.MultiPartitionsDefinition):
            raise DeclarationError(
                f"asset {self.name}: partitions of several dimensions cannot be a corpus's; "
                "put an asset of one dimension between, or read its files with FileCorpus"
            )

    @property
    def path(self) -> list[str]:
        """The parts of the asset's key."""
        if isinstance(self.key, str):
            return self.key.split("/")
        # An AssetKey has a path and cannot be iterated.
        key: Any = self.key
        return list(getattr(key, "path", key))

    @property
    def name(self) -> str:
        """The asset's key as Dagster shows it."""
        return "/".join(self.path)

    @property
    def partitioning(self) -> Partitioning:
        """The asset's own partitions."""
        if self.partitions_def is None:
            return StaticKeys(keys=(_WHOLE,))
        return GivenPartitions(definition=self.partitions_def)

    def partition_keys(self) -> list[str]:
        """The asset's partitions. Raises CorpusError for dynamic ones, which only Dagster knows."""
        import dagster as dg

        if self.partitions_def is None:
            return [_WHOLE]
        if isinstance(self.partitions_def, dg.DynamicPartitionsDefinition):
            raise CorpusError(
                f"asset {self.name}: its partitions are dynamic; ask Dagster's instance for them"
            )
        return list(self.partitions_def.get_partition_keys())

    def bound(self, load: Callable[[str], Any]) -> Self:
        """The same corpus with what loads the asset's value of a partition."""
        return replace(self, _values=_Values(load))

    def source_ref(self, partition_key: str) -> str:
        """The asset and its partition."""
        if self.partitions_def is None:
            return f"asset {self.name}"
        return f"asset {self.name}, partition {partition_key}"

    def schema(self, partition_key: str) -> pa.Schema:
        """The columns of the partition's value."""
        return self._opened(partition_key).schema

    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[Rows]:
        """The rows of the partition's value in its order, in small batches."""
        source_ref = self.source_ref(partition_key)
        value = self._opened(partition_key)
        for name in columns:
            count = len(value.schema.get_all_field_indices(name))
            if count != 1:
                there = f"has {count} columns named" if count else "has no column"
                raise CorpusError(
                    f"{source_ref}: it {there} {name!r}; its columns are "
                    f"{', '.join(value.schema.names)}: correct the asset or the inference"
                )
        rows = 0
        batches = value.batches(columns)
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                check_text(batch)
            except UnfitText as error:
                raise self._unfit(source_ref, rows, error) from error
            except (pa.ArrowException, OSError) as error:
                raise CorpusError(
                    f"{source_ref}, at row {rows} or after it: cannot be read "
                    f"({complaint_of(error)}); materialize the asset again"
                ) from error
            yield Rows(
                batch=batch,
                source_ref=source_ref,
                positions=range(rows, rows + batch.num_rows),
            )
            rows += batch.num_rows

    def _opened(self, partition_key: str) -> Opened:
        source_ref = self.source_ref(partition_key)
        if self._values is None:
            raise CorpusError(
                f"{source_ref}: an asset is loaded by a run of Dagster's only; "
                "materialize the inference's requests; to join results with it elsewhere, give "
                "batch_assets.corpus.composite.with_assets what loads it"
            )
        try:
            return self._values.of(partition_key)
        except UnfitText as error:
            raise self._unfit(source_ref, 0, error) from error
        except (pa.ArrowException, TypeError) as error:
            raise CorpusError(
                f"{source_ref}: {complaint_of(error)}: return a pyarrow Table, Dataset or "
                "RecordBatchReader, a pandas or a polars frame from the asset, or name one of them "
                "as value_type"
            ) from error
        # An IO manager is a user's own code over a foreign system: whatever it raises is the end
        # of this partition and not of the others in the run.
        except Exception as error:
            raise CorpusError(
                f"{source_ref}: its IO manager did not load it "
                f"({type(error).__name__}: {complaint_of(error)}); materialize the asset, "
                "or name a value_type that its IO manager knows"
            ) from error

    @staticmethod
    def _unfit(source_ref: str, first_row: int, error: UnfitText) -> CorpusError:
        return CorpusError(
            f"{source_ref}, row {first_row + error.row}, column {error.column!r}: {error}; "
            "correct the row in the asset, or give the column as bytes"
        )


class _Values:
    """Loads values, and keeps the last one: a partition is read several times in a row."""

    def __init__(self, load: Callable[[str], Any]) -> None:
        self._load = load
        self._kept: tuple[str, Opened] | None = None

    def of(self, partition_key: str) -> Opened:
        if self._kept is not None and self._kept[0] == partition_key:
            return self._kept[1]
        # Gone before the next is there: never two partitions in memory.
        self._kept = None
        value = opened(self._load(partition_key))
        if value.is_repeatable:
            self._kept = (partition_key, value)
        return value
