"""prepare: from the rows of a partition to a request set. Calls nobody and costs nothing."""

import hashlib
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
    ContentDigest,
    Survey,
    columns_of,
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
        stored = [layout.items, *(shard.path for shard in manifest.shards)]
        if all(files.exists(path) for path in stored):
            return manifest
        # Shards of which some may be at the provider are cut again as they were.
        limits = manifest.limits
    return _write(recipe, layout, surveyed, files, limits)


def _write(
    recipe: Recipe, layout: RequestSetLayout, surveyed: Survey, files: Files, limits: Limits
) -> Manifest:
    """The second pass over the partition: into its shards, its item index and its manifest."""
    source_ref = recipe.corpus.source_ref(layout.partition_key)
    columns = columns_of(recipe, layout.partition_key)
    content = ContentDigest(recipe)
    with (
        create_shards(files, layout, wave=0, limits=limits) as shards,
        create_parquet(files, layout.items, ITEM_SCHEMA) as items,
    ):
        writer = _RequestWriter(recipe, layout, surveyed, source_ref, shards, items)
        for batch in recipe.corpus.read(layout.partition_key, columns):
            content.update(batch)
            writer.write(batch)
    if content.value() != surveyed.digest:
        raise CorpusError(
            f"{source_ref}: the file changed while it was read: materialize the partition again"
        )
    manifest = Manifest(
        inference=recipe.inference,
        partition_key=layout.partition_key,
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
    source_ref: str
    shards: ShardSink
    items: ParquetSink
    requests: int = 0
    duplicates: int = 0
    oversize: int = 0
    #: Ordinal of the first request of each shared body; None for an oversize one.
    _first_of: dict[bytes, int | None] = field(default_factory=dict)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        ordinals: list[int | None] = []
        duplicates: list[bool] = []
        fingerprints: list[bytes] = []
        requests = self.recipe.requests
        prefix = custom_id_prefix(self.layout.digest)
        estimate = self.surveyed.estimate
        for body in requests.bodies(batch, row_namer(self.source_ref, self.items.rows)):
            fingerprint = hashlib.sha256(body).digest()[:16]
            fingerprints.append(fingerprint)
            if fingerprint in self._first_of:
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
            if hash(body) in self.surveyed.shared:
                self._first_of[fingerprint] = ordinal
            ordinals.append(ordinal)
            duplicates.append(False)
        self.duplicates += sum(duplicates)
        self._write_items(batch, ordinals, duplicates, fingerprints)

    def _write_items(
        self,
        batch: pa.RecordBatch,
        ordinals: list[int | None],
        duplicates: list[bool],
        fingerprints: list[bytes],
    ) -> None:
        first_row = self.items.rows
        ids = item_ids(self.recipe, batch, self.source_ref, first_row)
        self.items.write(
            pa.RecordBatch.from_arrays(
                [
                    pa.array(ids, pa.string()),
                    pa.array(range(first_row, first_row + batch.num_rows), pa.int64()),
                    pa.array(ordinals, pa.int64()),
                    pa.array(duplicates, pa.bool_()),
                    pa.array(fingerprints, pa.binary(16)),
                ],
                schema=ITEM_SCHEMA,
            )
        )
