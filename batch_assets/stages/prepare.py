"""prepare: from the rows of a partition to a request set. Calls nobody and costs nothing."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from batch_assets.domain.errors import CorpusError
from batch_assets.domain.request import custom_id_prefix
from batch_assets.domain.shard import Limits
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest, write_manifest
from batch_assets.files.parquet import ParquetSink, create_parquet
from batch_assets.stages.recipe import Recipe
from batch_assets.stages.shards import ShardSink, create_shards
from batch_assets.stages.survey import (
    Survey,
    columns_of,
    hashes_of_rows,
    item_ids,
    row_namer,
    survey,
)

#: The item index: one row per item, in the corpus's order.
ITEM_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("source_item_index", pa.int64(), nullable=False),
        # Null for an item that no batch can hold.
        pa.field("ordinal", pa.int64()),
        # True where an earlier item of the partition has the same request.
        pa.field("is_duplicate", pa.bool_(), nullable=False),
        pa.field("fingerprint", pa.binary(16), nullable=False),
    ]
)


def prepare(recipe: Recipe, partition_key: str, *, files: Files, limits: Limits) -> Manifest:
    """The partition's request set, written where it is not there yet.

    The same rows, prompt, model and settings give the same digest, and then nothing is written
    again. Raises CorpusError or DeclarationError for what cannot be asked.
    """
    surveyed = survey(recipe, partition_key)
    layout = RequestSetLayout(
        inference=recipe.inference, partition_key=partition_key, digest=surveyed.digest
    )
    if files.exists(layout.manifest):
        manifest = read_manifest(files, layout.manifest)
        if all(files.exists(shard.path) for shard in manifest.shards):
            return manifest
        # Shards of which some may be at the provider are cut again as they were.
        limits = manifest.limits
    return _write(recipe, layout, surveyed, files, limits)


def _write(
    recipe: Recipe, layout: RequestSetLayout, surveyed: Survey, files: Files, limits: Limits
) -> Manifest:
    partition_key = layout.partition_key
    source_ref = recipe.corpus.source_ref(partition_key)
    columns = columns_of(recipe, partition_key)
    with (
        create_shards(files, layout, wave=0, limits=limits) as shards,
        create_parquet(files, layout.items, ITEM_SCHEMA) as items,
    ):
        writer = _RequestWriter(recipe, layout, surveyed, shards, items)
        for batch in recipe.corpus.read(partition_key, columns):
            writer.write(batch, source_ref)
    if items.rows != surveyed.items:
        raise CorpusError(
            f"{source_ref}: the file changed while it was read "
            f"({surveyed.items} rows, then {items.rows}): materialize the partition again"
        )
    manifest = Manifest(
        inference=recipe.inference,
        partition_key=partition_key,
        digest=surveyed.digest,
        shape_digest=recipe.requests.shape_digest,
        endpoint=recipe.requests.endpoint,
        model=recipe.model,
        source_ref=source_ref,
        items=items.rows,
        requests=writer.requests,
        duplicates=writer.duplicates,
        oversize=writer.oversize,
        tokens=sum(shard.tokens for shard in shards.shards),
        token_method=surveyed.estimate.method,
        items_sha256=items.written.sha256,
        limits=limits,
        shards=tuple(shards.shards),
    )
    write_manifest(files, layout.manifest, manifest)
    return manifest


@dataclass
class _RequestWriter:
    """Renders rows into shards and the item index, and counts what it saw."""

    recipe: Recipe
    layout: RequestSetLayout
    surveyed: Survey
    shards: ShardSink
    items: ParquetSink
    rows: int = 0
    requests: int = 0
    duplicates: int = 0
    oversize: int = 0
    #: Ordinal of the first request of each fingerprint that more than one item may have.
    _first_of: dict[bytes, int | None] = field(default_factory=dict)

    def write(self, batch: pa.RecordBatch, source_ref: str) -> None:
        """Take in the next rows."""
        ordinals: list[int | None] = []
        duplicates: list[bool] = []
        fingerprints: list[bytes] = []
        requests = self.recipe.requests
        prefix = custom_id_prefix(self.layout.digest)
        estimate = self.surveyed.estimate
        bodies = requests.bodies(batch, row_namer(source_ref, self.rows))
        for body, may_repeat in zip(bodies, self._may_repeat(batch), strict=True):
            fingerprint = hashlib.sha256(body).digest()[:16]
            fingerprints.append(fingerprint)
            if may_repeat and fingerprint in self._first_of:
                ordinals.append(self._first_of[fingerprint])
                duplicates.append(True)
                continue
            ordinal: int | None = self.requests
            line = requests.line(f"{prefix}{ordinal}", body)
            tokens = estimate.tokens(len(body))
            if self.shards.fits(len(line), tokens):
                self.shards.write(self.requests, line, tokens)
                self.requests += 1
            else:
                ordinal = None
                self.oversize += 1
            if may_repeat:
                self._first_of[fingerprint] = ordinal
            ordinals.append(ordinal)
            duplicates.append(False)
        self.duplicates += sum(duplicates)
        self._write_items(batch, source_ref, ordinals, duplicates, fingerprints)

    def _may_repeat(self, batch: pa.RecordBatch) -> Iterator[bool]:
        repeated = self.surveyed.repeated
        if not repeated:
            return (False for _ in range(batch.num_rows))
        return (row_hash in repeated for row_hash in hashes_of_rows(self.recipe, batch))

    def _write_items(
        self,
        batch: pa.RecordBatch,
        source_ref: str,
        ordinals: list[int | None],
        duplicates: list[bool],
        fingerprints: list[bytes],
    ) -> None:
        self.items.write(
            pa.RecordBatch.from_arrays(
                [
                    pa.array(item_ids(self.recipe, batch, source_ref, self.rows), pa.string()),
                    pa.array(range(self.rows, self.rows + batch.num_rows), pa.int64()),
                    pa.array(ordinals, pa.int64()),
                    pa.array(duplicates, pa.bool_()),
                    pa.array(fingerprints, pa.binary(16)),
                ],
                schema=ITEM_SCHEMA,
            )
        )
        self.rows += batch.num_rows
