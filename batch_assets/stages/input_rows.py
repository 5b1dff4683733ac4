"""The rows of the corpus once more, beside the results that came of them."""

from collections.abc import Sequence

import pyarrow as pa

from batch_assets.corpus import Corpus, Rows
from batch_assets.corpus.promotion import promoted
from batch_assets.domain.errors import CorpusError
from batch_assets.files.parquet import complaint_of
from batch_assets.stages.item_ids import ItemIds


def input_type(
    corpus: Corpus, partition_keys: Sequence[str], columns: Sequence[str]
) -> pa.DataType:
    """A struct of these columns of the corpus, in types that fit all of the partitions.

    Raises CorpusError for a column that a partition does not have.
    """
    names = list(dict.fromkeys(columns))
    types: dict[str, dict[str, pa.DataType]] = {name: {} for name in names}
    for key in partition_keys:
        schema = corpus.schema(key)
        for name in names:
            if name not in schema.names:
                raise CorpusError(
                    f"{corpus.source_ref(key)}: no input column {name!r} in partition {key!r}; "
                    f"it has {', '.join(schema.names)}: name some of these as input_columns"
                )
            types[name][key] = schema.field(name).type
    return pa.struct([(name, promoted(name, found)) for name, found in types.items()])


class InputRows:
    """The rows of one partition, handed out in their order."""

    def __init__(self, corpus: Corpus, partition_key: str, type_: pa.DataType) -> None:
        self._partition_key = partition_key
        self._source_ref = corpus.source_ref(partition_key)
        self._type = type_
        self._item_ids = ItemIds(corpus.item_id)
        columns = dict.fromkeys([*self._item_ids.columns, *(field.name for field in type_)])
        self._parts = corpus.read(partition_key, list(columns))
        self._part: Rows | None = None
        self._ids = pa.array([], pa.string())
        #: Rows of the part that are handed out already.
        self._taken = 0
        self._rows = 0

    def take(self, item_ids: pa.Array) -> pa.Array:
        """The next rows, one struct each, of the items with these ids.

        Raises CorpusError where the corpus has other items there, or none.
        """
        found: list[pa.Array] = []
        missing = item_ids
        while len(missing):
            part = self._current()
            if part is None:
                raise self._changed(
                    f"{self._source_ref}: it ends after {self._rows:,} rows, where the results of "
                    f"partition {self._partition_key!r} go on with item id {missing[0].as_py()!r}"
                )
            length = min(len(missing), part.batch.num_rows - self._taken)
            self._check(part, missing.slice(0, length))
            found.append(self._structs(part, length))
            missing = missing.slice(length)
            self._taken += length
            self._rows += length
        return pa.concat_arrays(found) if found else pa.array([], self._type)

    def finish(self) -> None:
        """Raise CorpusError where the corpus has rows that nobody took."""
        part = self._current()
        if part is not None:
            raise self._changed(
                f"{part.name_of(self._taken)}: item id {self._ids[self._taken].as_py()!r} stands "
                f"behind the last of the results of partition {self._partition_key!r}"
            )

    def _current(self) -> Rows | None:
        """The part that has the next row; None at the end."""
        while self._part is None or self._taken == self._part.batch.num_rows:
            self._part = next(self._parts, None)
            if self._part is None:
                return None
            self._ids = pa.array(self._item_ids.of(self._part), pa.string())
            self._taken = 0
        return self._part

    def _check(self, part: Rows, expected: pa.Array) -> None:
        there = self._ids.slice(self._taken, len(expected))
        if there.equals(expected):
            return
        pairs = zip(there.to_pylist(), expected.to_pylist(), strict=True)
        row, (own, other) = next(
            (row, pair) for row, pair in enumerate(pairs) if pair[0] != pair[1]
        )
        raise self._changed(
            f"{part.name_of(self._taken + row)}: item id {own!r} stands where the results of "
            f"partition {self._partition_key!r} have {other!r}"
        )

    def _changed(self, what: str) -> CorpusError:
        return CorpusError(
            f"{what}: the corpus has changed since they were made; materialize the partition's "
            "requests and results again, or leave out input_columns"
        )

    def _structs(self, part: Rows, length: int) -> pa.Array:
        arrays = []
        for field in self._type:
            values = part.batch.column(field.name).slice(self._taken, length)
            try:
                arrays.append(values.cast(field.type))
            except pa.ArrowException as error:
                raise CorpusError(
                    f"{part.name_of(self._taken)} or one of the rows after it: {field.name!r} does "
                    f"not fit {field.type}, the type it has in the other partitions "
                    f"({complaint_of(error)}): read this partition alone"
                ) from error
        return pa.StructArray.from_arrays(arrays, fields=list(self._type))
