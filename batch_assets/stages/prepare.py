"""prepare: from the rows of a partition to a request set. Calls nobody and costs nothing."""

import hashlib
from array import array
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
    repeated,
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
    writer = _write(recipe, layout, surveyed, files, limits)
    if shared := repeated(writer.fingerprints):
        written = writer.sink.shards
        writer = _write(recipe, layout, surveyed, files, limits, shared)
        for shard in written[len(writer.sink.shards) :]:
            files.delete(shard.path)
    manifest = writer.manifest(limits)
    write_manifest(files, layout.manifest, manifest)
    return manifest


def _write(
    recipe: Recipe,
    layout: RequestSetLayout,
    surveyed: Survey,
    files: Files,
    limits: Limits,
    shared: frozenset[int] = frozenset(),
) -> "_RequestWriter":
    """One pass over the partition into its shards and its item index.

    Which requests are `shared` by several items shows after a pass only: where any are, another
    pass is made that knows them. A dictionary of all requests would grow with the partition.
    """
    source_ref = recipe.corpus.source_ref(layout.partition_key)
    columns = columns_of(recipe, layout.partition_key)
    content = ContentDigest(recipe)
    with (
        create_shards(files, layout, wave=0, limits=limits) as sink,
        create_parquet(files, layout.items, ITEM_SCHEMA) as items,
    ):
        writer = _RequestWriter(recipe, layout, surveyed, source_ref, sink, items, shared)
        for batch in recipe.corpus.read(layout.partition_key, columns):
            content.update(batch)
            writer.write(batch)
    if content.value() != surveyed.digest:
        raise CorpusError(
            f"{source_ref}: the file changed while it was read: materialize the partition again"
        )
    return writer


@dataclass
class _RequestWriter:
    """Renders rows into shards and the item index, and counts what it saw."""

    recipe: Recipe
    layout: RequestSetLayout
    surveyed: Survey
    source_ref: str
    sink: ShardSink
    items: ParquetSink
    #: First 64 bits of the fingerprints that several items are known to have.
    shared: frozenset[int]
    #: Those of every other request, as signed numbers.
    fingerprints: "array[int]" = field(default_factory=lambda: array("q"))
    requests: int = 0
    duplicates: int = 0
    oversize: int = 0
    #: Ordinal of the first request of each shared fingerprint; None for an oversize one.
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
            if self.sink.fits(len(line), tokens):
                self.sink.write(self.requests, line, tokens)
                self.requests += 1
            else:
                ordinal = None
                self.oversize += 1
            short = int.from_bytes(fingerprint[:8], signed=True)
            if short in self.shared:
                self._first_of[fingerprint] = ordinal
            else:
                self.fingerprints.append(short)
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

    def manifest(self, limits: Limits) -> Manifest:
        """What was written, once it is whole."""
        recipe = self.recipe
        return Manifest(
            inference=recipe.inference,
            partition_key=self.layout.partition_key,
            digest=self.surveyed.digest,
            shape_digest=recipe.requests.shape_digest,
            endpoint=recipe.requests.endpoint,
            model=recipe.model,
            source_ref=self.source_ref,
            items=self.items.rows,
            requests=self.requests,
            duplicates=self.duplicates,
            oversize=self.oversize,
            tokens=sum(shard.tokens for shard in self.sink.shards),
            token_method=self.surveyed.estimate.method,
            items_sha256=self.items.written.sha256,
            limits=limits,
            shards=tuple(self.sink.shards),
        )
