"""A corpus of rows that a SQL query gives, streamed from the database's own cursor."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa

from batch_assets.corpus.corpus import Corpus, Rows
from batch_assets.corpus.database import Answer, Database, Parameters, looked_up, parameters_of
from batch_assets.corpus.partitioning import StaticKeys, TimeWindows
from batch_assets.corpus.sql_columns import SqlColumn, UnfitValue
from batch_assets.corpus.windows import definition_of, window_of, zone_of
from batch_assets.domain.errors import CorpusError, DeclarationError

#: The partition of a query that has no other.
_WHOLE = StaticKeys(keys=("all",))


@dataclass(frozen=True, kw_only=True)
class SqlCorpus(Corpus):
    r"""The rows of a query, in the order that its ORDER BY says.

    `url` is a SQLAlchemy URL; `env:NAME` and `dagster.EnvVar("NAME")` stand for one that an
    environment variable holds, which is looked up where the query runs. `item_id` is a column of
    the query, or a template over its columns.

    Static partitions are bound as `:partition_key`, time windows as `:start` and `:end` (the end is
    outside); a colon that begins no parameter is written `\:`. The query gives the same rows in
    the same order each time: without an ORDER BY over unique columns a database need not, and
    `requests` refuses a partition whose rows come in two orders.
    """

    url: str = field(repr=False)
    query: str
    item_id: str
    partitions: StaticKeys | TimeWindows = _WHOLE

    #: Nothing connects to a database because a code location loads.
    opens_at_load = False

    def __post_init__(self) -> None:
        parameters = parameters_of(self.query)
        wanted, optional = _bindable(self.partitions)
        unknown = sorted(parameters - wanted)
        missing = sorted(wanted - parameters)
        if unknown:
            known = ", ".join(f":{name}" for name in sorted(wanted)) or "none"
            raise DeclarationError(
                f"query {_shortened(self.query)}: nothing is bound to "
                f"{', '.join(f':{name}' for name in unknown)}; its parameters are {known}, and a "
                "colon that begins none is written \\:"
            )
        if missing and not optional:
            raise DeclarationError(
                f"query {_shortened(self.query)}: every partition would have all of its rows, "
                f"and each be paid for; limit it by {', '.join(f':{name}' for name in missing)}"
            )

    @property
    def partitioning(self) -> StaticKeys | TimeWindows:
        """As declared."""
        return self.partitions

    def partition_keys(self) -> list[str]:
        """The keys given, or the windows that are over."""
        if isinstance(self.partitions, TimeWindows):
            return list(definition_of(self.partitions).get_partition_keys())
        return list(self.partitions.keys)

    def source_ref(self, partition_key: str) -> str:
        """The database, without user, password and parameters."""
        return Database(looked_up(self.url)).ref

    def schema(self, partition_key: str) -> pa.Schema:
        """The query's columns; each has the type of its first value that is no null."""
        with self._answer(partition_key) as answer:
            columns = _Columns(answer)
            columns.look_ahead(answer.batches())
        return columns.schema(answer.names)

    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[Rows]:
        """The partition's rows in the query's order, in small batches."""
        with self._answer(partition_key) as answer:
            types = _Columns(answer, columns)
            batches = answer.batches()
            first = next(batches, None)
            if first is None:
                return
            types.look_ahead(iter([first]))
            if types.open:
                # A column begins with nulls: its type stands in rows that are still to come.
                with self._answer(partition_key) as ahead:
                    types.look_ahead(ahead.batches())
            schema = types.schema(columns)
            rows = 0
            for batch in chain([first], batches):
                count = len(batch[0])
                yield Rows(
                    batch=pa.RecordBatch.from_arrays(
                        types.arrays(batch, columns, rows), schema=schema
                    ),
                    source_ref=answer.source_ref,
                    positions=range(rows, rows + count),
                )
                rows += count

    def _answer(self, partition_key: str) -> AbstractContextManager[Answer]:
        return Database(looked_up(self.url)).answer(self.query, self._bound(partition_key))

    def _bound(self, partition_key: str) -> Parameters:
        if isinstance(self.partitions, TimeWindows):
            start, end = window_of(self.partitions, partition_key)
            values: dict[str, Any] = {"start": start, "end": end}
            return Parameters(values=values, zone=zone_of(self.partitions))
        if partition_key not in self.partitions.keys:
            raise CorpusError(
                f"the query has no partition {partition_key!r}; it has "
                f"{', '.join(self.partitions.keys[:10])}: reload the code location"
            )
        return Parameters(values={"partition_key": partition_key}, zone="UTC")


def _bindable(partitions: StaticKeys | TimeWindows) -> tuple[set[str], bool]:
    """What the query can bind, and whether it may go without."""
    if isinstance(partitions, TimeWindows):
        definition_of(partitions)
        return {"start", "end"}, False
    if not partitions.keys:
        raise DeclarationError("a query without partitions has no rows: name one key at least")
    return {"partition_key"}, len(partitions.keys) == 1


class _Columns:
    """What the columns of an answer hold, as far as it is known."""

    def __init__(self, answer: Answer, names: Sequence[str] | None = None) -> None:
        self._answer = answer
        self._places = {n: answer.place_of(n) for n in (answer.names if names is None else names)}
        self._found: dict[str, SqlColumn] = {}
        self._lists: set[str] = set()

    @property
    def open(self) -> set[str]:
        """Columns without a value so far."""
        return self._places.keys() - self._found.keys()

    def look_ahead(self, batches: Iterator[list[tuple[Any, ...]]]) -> None:
        """Read on until each column has had a value, or the rows end."""
        rows = 0
        for batch in batches:
            for name in self.open:
                values = batch[self._places[name]]
                with self._located(name, rows):
                    digits, scale = self._answer.decimal(name)
                    column = SqlColumn.of(values, digits=digits, scale=scale)
                if column is not None:
                    self._found[name] = column
                elif any(value is not None for value in values):
                    self._lists.add(name)
            if not self.open:
                return
            rows += len(batch[0])

    def schema(self, names: Sequence[str]) -> pa.Schema:
        """The columns' types; null for one without a value."""
        return pa.schema([(name, self._column(name).type) for name in names])

    def arrays(
        self, batch: list[tuple[Any, ...]], names: Sequence[str], first_row: int
    ) -> list[pa.Array]:
        """A batch's values in columns of these types."""
        arrays = []
        for name in names:
            with self._located(name, first_row):
                arrays.append(self._column(name).array(batch[self._places[name]]))
        return arrays

    def _column(self, name: str) -> SqlColumn:
        return self._found.get(name) or SqlColumn.without_values(lists=name in self._lists)

    @contextmanager
    def _located(self, name: str, first_row: int) -> Iterator[None]:
        try:
            yield
        except UnfitValue as error:
            raise CorpusError(
                f"{self._answer.source_ref}, row {first_row + error.row}, column {name!r}: "
                f"{error.why}"
            ) from error


def _shortened(query: str) -> str:
    words = " ".join(query.split())
    return repr(words if len(words) <= 60 else f"{words[:60]}…")
