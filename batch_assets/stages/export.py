"""export: an immutable bundle of everything a partition's results rest on."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from batch_assets.domain.batch import Batch, RequestSet
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.files.store import Written
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.submit import layout_of, live_batches, shards_of_wave

FORMAT = 1
_COPY_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class BundledFile:
    """One file of a bundle."""

    #: Path below the bundle's folder.
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The manifest of a bundle; it is written last, so a bundle that has one is whole."""

    inference: str
    partition_key: str
    request_set: str
    items: int
    #: Ids the provider gave the batches that answered.
    batch_ids: tuple[str, ...]
    files: tuple[BundledFile, ...]
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def export(deployment: Deployment, request_set: RequestSet) -> tuple[str, Bundle]:
    """Write the bundle of resolved results, or find it written; its folder and its manifest.

    Request shards and raw outputs are compressed with zstd. Raises ArtifactError where a file to
    be bundled is missing, or a shard is not what the manifest says.
    """
    files, layout = deployment.files, layout_of(request_set)
    manifest = read_manifest(files, layout.manifest)
    folder = layout.bundle(files.checksum(layout.results).sha256)
    manifest_path = f"{folder}/manifest.json"
    if files.exists(manifest_path):
        return folder, msgspec.json.decode(files.read(manifest_path), type=Bundle)
    batches = live_batches(deployment, request_set)
    sources = _sources(files, layout, manifest, request_set, batches)
    bundle = Bundle(
        inference=request_set.inference,
        partition_key=request_set.partition_key,
        request_set=request_set.digest,
        items=manifest.items,
        batch_ids=tuple(batch.provider_id or "" for batch in batches),
        files=tuple(
            _copy(files, source, folder, name, compress=source.endswith(".jsonl"))
            for name, source in sources.items()
        ),
    )
    files.write(manifest_path, msgspec.json.format(msgspec.json.encode(bundle), indent=2))
    return folder, bundle


def _sources(
    files: Files,
    layout: RequestSetLayout,
    manifest: Manifest,
    request_set: RequestSet,
    batches: Sequence[Batch],
) -> dict[str, str]:
    """Each file of the bundle by its name there, with the stored file it is made from."""
    sources = {
        "results.parquet": layout.results,
        "items.parquet": layout.items,
        "request_set.json": layout.manifest,
    }
    for wave in range(request_set.wave + 1):
        for shard in shards_of_wave(files, manifest, wave):
            sources[_bundled("requests", shard.path)] = shard.path
    for batch in batches:
        for path in (layout.raw_output(batch), layout.raw_errors(batch)):
            if files.exists(path):
                sources[_bundled("raw_outputs", path)] = path
    return sources


def _bundled(folder: str, path: str) -> str:
    return f"{folder}/{path.rsplit('/', 1)[-1]}.zst"


def _copy(files: Files, source: str, folder: str, name: str, *, compress: bool) -> BundledFile:
    with files.open(source) as original, files.create(f"{folder}/{name}") as new:
        if compress:
            with pa.CompressedOutputStream(pa.PythonFile(new, "w"), "zstd") as squeezed:
                while block := original.read(_COPY_BLOCK):
                    squeezed.write(block)
        else:
            while block := original.read(_COPY_BLOCK):
                new.write(block)
    written: Written = new.written
    return BundledFile(path=name, bytes=written.bytes, sha256=written.sha256)
