"""The IO manager of an inference's assets: the store they write to, and what loads from it.

The assets stream their raw outputs, results and bundles into `files`, since none of them may be in
memory whole. A downstream asset gets them by the annotation of its input.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import dagster as dg
import pyarrow as pa
from pydantic import Field

from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.layout import (
    ASSET_METADATA,
    INFERENCE_METADATA,
    file_name,
    results_path,
)
from batch_assets.files.parquet import create_parquet
from batch_assets.files.results import request_set_of_results

if TYPE_CHECKING:
    # It imports pandas where that is installed, and is imported here where something is loaded:
    # every process of Dagster's loads this module, and most load no data.
    import pyarrow.dataset as pads

_LOADABLE = (
    "pyarrow.dataset.Dataset, pyarrow.Table, pyarrow.RecordBatchReader, pandas.DataFrame, "
    "polars.DataFrame or polars.LazyFrame"
)

#: The entry of an input's metadata that names the columns to load.
_COLUMNS = "columns"

_RAW_LINES = pa.schema([("file", pa.string()), ("line", pa.large_binary())])


class BatchFilesIOManager(dg.ConfigurableIOManager):
    """Stores raw outputs, results and exported bundles under one root, and loads them.

    As an input, `results` is a table of items over the partitions asked for, `raw_outputs` a table
    of the provider's lines, both in the order of the partitions. They come as what the input is
    annotated with: a pyarrow Dataset, Table or RecordBatchReader, a pandas or polars frame. In a
    pandas frame, which has no structs, the fields of one are columns of their own: `output.label`.
    The input's metadata may name the `columns` that are read, in their order.
    `bundle` comes as the path of its folder, `str` or `Path`, or, of several partitions, as
    `dict[str, Path]` by partition key. In a bucket it has a URL, which is a `str`.

    A table that a downstream asset of yours returns is stored as Parquet beside them.
    """

    root: str = Field(description="Folder or bucket URL below which everything is stored.")

    @property
    def files(self) -> Files:
        """The store itself, as the stages write to it."""
        return Files(self.root)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store a table, or a mapping of tables by partition key, as Parquet."""
        keys = _partition_keys(context) or [None]
        tables = obj if isinstance(obj, Mapping) else {keys[0]: obj}
        if set(tables) != set(keys):
            raise ArtifactError(
                f"{context.asset_key.to_user_string()} returned {sorted(map(str, tables))} for the "
                f"partitions {sorted(map(str, keys))}: return a dict with a table for each"
            )
        for key, table in tables.items():
            arrow = _as_arrow(table)
            with create_parquet(self.files, _own_path(context, key), arrow.schema) as sink:
                for batch in arrow.to_batches():
                    sink.write(batch)
            if len(tables) == 1:
                context.add_output_metadata({"dagster/row_count": arrow.num_rows})

    def load_input(self, context: dg.InputContext) -> Any:
        """What the input's annotation asks for."""
        partition_keys = _partition_keys(context)
        own = [_own_path(context, key) for key in partition_keys or [None]]
        if not partition_keys or self.files.exists(own[0]):
            return _as_annotated(context, self._dataset(context, own))
        inference, name = _whose(context)
        match name:
            case "results":
                paths = [results_path(inference, key) for key in partition_keys]
                return _as_annotated(context, self._dataset(context, paths))
            case "raw_outputs":
                files = [path for key in partition_keys for path in self._raw(inference, key)]
                return _as_annotated(context, _raw_lines(self.files, files))
            case "bundle":
                return _folders(context, {k: self._bundle(inference, k) for k in partition_keys})
            case "requests" | "batches":
                raise ArtifactError(
                    f"{context.asset_key.to_user_string()} has nothing to load: "
                    "depend on it with deps=, or take results, raw_outputs or bundle as the input"
                )
            case _:
                return _as_annotated(context, self._dataset(context, own))

    def _dataset(self, context: dg.InputContext, paths: Sequence[str]) -> "pads.Dataset":
        """The files as one data set, with the columns that any of them has."""
        import pyarrow.dataset as pads

        files, asset = self.files, context.asset_key.to_user_string()
        for path in paths:
            if not files.exists(path):
                raise ArtifactError(
                    f"{files.url(path)} is not there yet: materialize {asset} for that partition "
                    "first"
                )
        full_paths, filesystem = files.for_pyarrow(paths)
        dataset = pads.dataset(full_paths, filesystem=filesystem, format="parquet")
        schemas = [fragment.physical_schema for fragment in dataset.get_fragments()]
        try:
            schema = pa.unify_schemas(schemas, promote_options="permissive")
            return pads.dataset(full_paths, schema, filesystem=filesystem, format="parquet")
        except pa.ArrowException as error:
            raise ArtifactError(
                f"the partitions of {asset} have columns that contradict each other ({error}): "
                "materialize the older ones again"
            ) from error

    def _raw(self, inference: str, partition_key: str) -> list[str]:
        return self.files.names(self._layout(inference, partition_key).raw_outputs)

    def _bundle(self, inference: str, partition_key: str) -> str:
        files, layout = self.files, self._layout(inference, partition_key)
        return files.url(layout.bundle(files.checksum(layout.results).sha256))

    def _layout(self, inference: str, partition_key: str) -> RequestSetLayout:
        """That of the request set which the partition's results came from."""
        path = results_path(inference, partition_key)
        digest = request_set_of_results(self.files, path)
        if digest is None:
            raise ArtifactError(
                f"{self.files.url(path)} is not there yet: materialize the results of {inference} "
                "for that partition first"
            )
        return RequestSetLayout(inference=inference, partition_key=partition_key, digest=digest)


def _whose(context: dg.InputContext) -> tuple[str, str]:
    """The inference and which of its assets it is; the key of either may be the user's own."""
    upstream = context.upstream_output
    metadata = {} if upstream is None else upstream.definition_metadata or {}
    if INFERENCE_METADATA in metadata:
        return metadata[INFERENCE_METADATA], metadata[ASSET_METADATA]
    # Another code location's asset comes without its metadata.
    return context.asset_key.path[0], "/".join(context.asset_key.path[1:])


def _partition_keys(context: dg.OutputContext | dg.InputContext) -> list[Any]:
    """In the order of their definition, which is the corpus's; dynamic ones have none."""
    if not context.has_asset_partitions:
        return []
    # Dagster hands several out in no order.
    keys = sorted(context.asset_partition_keys)
    definition = context.asset_partitions_def
    if len(keys) > 1 and not isinstance(definition, dg.DynamicPartitionsDefinition):
        place = {key: number for number, key in enumerate(definition.get_partition_keys())}
        keys.sort(key=lambda key: place.get(key, len(place)))
    return keys


def _own_path(context: dg.OutputContext | dg.InputContext, partition_key: str | None) -> str:
    folder = "/".join(file_name(part) for part in context.asset_key.path)
    return f"{folder}/{file_name(partition_key)}.parquet" if partition_key else f"{folder}.parquet"


def _raw_lines(files: Files, paths: Sequence[str]) -> "pads.Dataset":
    import pyarrow.dataset as pads

    batches = []
    for path in paths:
        with files.open(path) as lines:
            stored = [line.rstrip(b"\n") for line in lines]
        names = pa.repeat(path.rsplit("/", 1)[-1], len(stored))
        batches.append(pa.record_batch([names, pa.array(stored, pa.large_binary())], _RAW_LINES))
    return pads.dataset(pa.Table.from_batches(batches, _RAW_LINES))


def _folders(context: dg.InputContext, folders: Mapping[str, str]) -> Any:
    wanted = context.dagster_type.typing_type
    kind = Path if Path in (wanted, *get_args(wanted)) else str
    first = next(iter(folders.values()))
    if kind is Path and "://" in first:
        raise ArtifactError(
            f"input {context.name!r} is annotated as a Path and would be {first}, which is none: "
            "annotate it as str, or dict[str, str] of several partitions"
        )
    converted = {key: kind(folder) for key, folder in folders.items()}
    if wanted not in (str, Path):
        return converted
    if len(converted) != 1:
        raise ArtifactError(
            f"input {context.name!r} is annotated as one path and would be the bundles of "
            f"{len(converted)} partitions: annotate it as dict[str, {kind.__name__}]"
        )
    return next(iter(converted.values()))


def _as_annotated(context: dg.InputContext, dataset: "pads.Dataset") -> Any:
    dataset = _with_columns(context, dataset)
    wanted = context.dagster_type.typing_type
    name = f"{getattr(wanted, '__module__', '')}.{getattr(wanted, '__qualname__', wanted)}"
    for prefix, kind, convert in _CONVERSIONS:
        if name.startswith(prefix) and name.endswith(kind):
            return convert(dataset)
    raise ArtifactError(
        f"input {context.name!r} is annotated as {name}, which cannot be loaded: "
        f"annotate it as {_LOADABLE}"
    )


def _with_columns(context: dg.InputContext, dataset: "pads.Dataset") -> "pads.Dataset":
    """The data set with the columns that the input's metadata names; all where it names none."""
    columns = (context.definition_metadata or {}).get(_COLUMNS)
    if columns is None:
        return dataset
    present = dataset.schema.names
    # One name alone would be taken letter by letter.
    if isinstance(columns, str) or not set(columns) <= set(present):
        raise ArtifactError(
            f"input {context.name!r} names the columns {columns!r} in its metadata: name some of "
            f"{', '.join(present)}, as a list"
        )
    return dataset.replace_schema(pa.schema(dataset.schema.field(name) for name in columns))


def _polars(dataset: "pads.Dataset") -> Any:
    import polars

    return polars.from_arrow(dataset.to_table())


def _polars_lazy(dataset: "pads.Dataset") -> Any:
    import polars

    return polars.scan_pyarrow_dataset(dataset)


_CONVERSIONS: tuple[tuple[str, str, Callable[["pads.Dataset"], Any]], ...] = (
    ("pyarrow", ".Dataset", lambda dataset: dataset),
    ("pyarrow", ".Table", lambda dataset: dataset.to_table()),
    ("pyarrow", ".RecordBatchReader", lambda dataset: dataset.scanner().to_reader()),
    ("pandas", ".DataFrame", lambda dataset: dataset.to_table().flatten().to_pandas()),
    ("polars", ".DataFrame", _polars),
    ("polars", ".LazyFrame", _polars_lazy),
)


def _as_arrow(table: Any) -> pa.Table:
    if isinstance(table, pa.Table):
        return table
    if hasattr(table, "collect"):
        table = table.collect()
    if hasattr(table, "to_arrow"):
        return table.to_arrow()
    if type(table).__module__.startswith("pandas"):
        return pa.Table.from_pandas(table, preserve_index=False)
    raise ArtifactError(
        f"an asset returned {type(table).__qualname__}, which is no table: "
        "return a pyarrow Table, a pandas or a polars frame"
    )
