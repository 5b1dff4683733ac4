"""prepare: from the rows of a partition to a request set. Calls nobody and costs nothing."""

import pyarrow as pa

from batch_assets.corpus import Rows
from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.domain.price import Price
from batch_assets.domain.provider import Provider
from batch_assets.domain.shard import Limits
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest, write_manifest
from batch_assets.files.parquet import ParquetSink, create_parquet
from batch_assets.stages.item_ids import ItemIds
from batch_assets.stages.recipe import Recipe
from batch_assets.stages.requests import RequestSink
from batch_assets.stages.shards import ShardSink, create_shards
from batch_assets.stages.shared_asks import SharedAsks
from batch_assets.stages.survey import (
    FINGERPRINT_BYTES,
    Fingerprints,
    Survey,
    columns_of,
    survey,
)

#: The item index: one row per item, in the corpus's order.
ITEM_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        # Place of the item in its partition, from 0.
        pa.field("item_index", pa.int64(), nullable=False),
        pa.field("source_ref", pa.string(), nullable=False),
        # Place of the row in its source, from 0.
        pa.field("source_item_index", pa.int64(), nullable=False),
        pa.field("source_primary_key", pa.string(), nullable=False),
        pa.field("source_namespace", pa.string()),
        # Null for an item that no batch can hold.
        pa.field("ordinal", pa.int64()),
        # True where an earlier item of the partition has the same request.
        pa.field("is_duplicate", pa.bool_(), nullable=False),
        pa.field("fingerprint", pa.binary(FINGERPRINT_BYTES), nullable=False),
    ]
)


def check_taken(provider: Provider, recipe: Recipe) -> None:
    """Raise DeclarationError where the provider takes no requests of the inference's endpoint."""
    if not provider.takes(recipe.endpoint.url):
        raise DeclarationError(
            f"inference {recipe.inference}: the account {provider.account} takes no requests of "
            f"{recipe.endpoint.url}: declare an endpoint that its provider has, or another provider"
        )


def prepare(
    recipe: Recipe,
    partition_key: str,
    *,
    files: Files,
    limits: Limits,
    price: Price | None = None,
) -> Manifest:
    """The partition's request set, written where it is not there yet.

    The same rows, prompt, model and settings give the same digest, and then nothing is written
    again: a manifest keeps the `price` of when it was written.

    Raises CorpusError or DeclarationError for what cannot be asked.
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
    return _write(recipe, layout, surveyed, files, limits, price)


def _write(
    recipe: Recipe,
    layout: RequestSetLayout,
    surveyed: Survey,
    files: Files,
    limits: Limits,
    price: Price | None,
) -> Manifest:
    """The second pass over the partition: into its shards, its item index and its manifest."""
    columns = columns_of(recipe, layout.partition_key)
    with (
        create_shards(files, layout, wave=0, limits=limits) as shards,
        create_parquet(files, layout.items, ITEM_SCHEMA) as items,
    ):
        writer = _RequestWriter(recipe, layout, surveyed, shards, items)
        for rows in recipe.corpus.read(layout.partition_key, columns):
            writer.write(rows)
        writer.finish()
    source_ref = recipe.corpus.source_ref(layout.partition_key)
    if writer.fingerprints.digest() != surveyed.digest:
        raise CorpusError(
            f"{source_ref}: it changed while it was read, or does not give its rows in the same "
            "order twice: materialize the partition again"
        )
    manifest = Manifest(
        inference=recipe.inference,
        partition_key=layout.partition_key,
        digest=surveyed.digest,
        shape_digest=recipe.endpoint.shape_digest,
        shape=recipe.endpoint.shape_parts,
        endpoint=recipe.endpoint.url,
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
        price=price,
    )
    write_manifest(files, layout.manifest, manifest)
    return manifest


class _RequestWriter:
    """Renders rows into shards and the item index, and counts what it saw."""

    def __init__(
        self,
        recipe: Recipe,
        layout: RequestSetLayout,
        surveyed: Survey,
        shards: ShardSink,
        items: ParquetSink,
    ) -> None:
        self._packing = recipe.packing
        self._requests = RequestSink(recipe, layout, shards, surveyed.tokens)
        self._item_ids = ItemIds(recipe.corpus.item_id)
        self._shared = SharedAsks(surveyed.shared)
        self._items = items
        self.fingerprints = Fingerprints(self._packing)
        self.requests = 0
        self.duplicates = 0
        self.oversize = 0

    def write(self, rows: Rows) -> None:
        """Take in the next rows."""
        ids = self._item_ids.of(rows)
        ordinals: list[int | None] = []
        duplicates: list[bool] = []
        fingerprints: list[bytes] = []
        asks = self._packing.asks(rows.batch, rows.name_of)
        for item_id, ask in zip(ids, asks, strict=True):
            fingerprint = self.fingerprints.of(ask)
            self.fingerprints.take(item_id, fingerprint)
            is_duplicate = fingerprint in self._shared
            if is_duplicate:
                ordinal = self._shared.ordinal(fingerprint)
            else:
                ordinal = self._ask(ask)
                self._shared.note(fingerprint, ordinal)
            ordinals.append(ordinal)
            duplicates.append(is_duplicate)
            fingerprints.append(fingerprint)
        self.duplicates += sum(duplicates)
        self._write_items(rows, ids, ordinals, duplicates, fingerprints)

    def finish(self) -> None:
        """Write what waits for a pack to be full."""
        self._requests.finish()

    def _ask(self, ask: bytes) -> int | None:
        """The ordinal of a new ask; None where no batch can hold it."""
        if not self._requests.take(self.requests, ask):
            self.oversize += 1
            return None
        self.requests += 1
        return self.requests - 1

    def _write_items(
        self,
        rows: Rows,
        ids: list[str],
        ordinals: list[int | None],
        duplicates: list[bool],
        fingerprints: list[bytes],
    ) -> None:
        count, first = len(ids), self._items.rows
        # Arrow shares what it is given twice: most corpora have one source and no namespace.
        item_ids = pa.array(ids, pa.string())
        keys = item_ids
        if rows.namespace is not None:
            keys = pa.array(self._item_ids.keys(rows), pa.string())
        self._items.write(
            pa.RecordBatch.from_arrays(
                [
                    item_ids,
                    pa.array(range(first, first + count), pa.int64()),
                    pa.repeat(rows.source_ref, count),
                    pa.array(rows.positions, pa.int64()),
                    keys,
                    pa.repeat(pa.scalar(rows.namespace, pa.string()), count),
                    pa.array(ordinals, pa.int64()),
                    pa.array(duplicates, pa.bool_()),
                    pa.array(fingerprints, pa.binary(FINGERPRINT_BYTES)),
                ],
                schema=ITEM_SCHEMA,
            )
        )
