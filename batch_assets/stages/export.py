"""export: an immutable bundle of everything a partition's results rest on."""

import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from batch_assets.domain.batch import BatchState, RequestSet
from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.files.store import NewFile, Written
from batch_assets.ledger import Ledger
from batch_assets.stages.plan import layout_of, shards_of_wave
from batch_assets.stages.raw import raw_files
from batch_assets.stages.recipe import Deployment

FORMAT = 1
MANIFEST = "manifest.json"
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
    be bundled is missing, or is not what its manifest says.
    """
    return make_bundle(deployment.ledger, deployment.files, request_set)


def make_bundle(ledger: Ledger, files: Files, request_set: RequestSet) -> tuple[str, Bundle]:
    """The same, where no provider is at hand."""
    layout = layout_of(request_set)
    manifest = read_manifest(files, layout.manifest)
    results = files.checksum(layout.results).sha256
    if (made := _found(files, layout, results)) is not None:
        return made
    folder = layout.bundle(results)
    manifest_path = f"{folder}/{MANIFEST}"
    batches = ledger.batches(request_set=request_set.id, states={BatchState.COLLECTED})
    sources = _sources(files, layout, manifest, request_set, results)
    sources += [
        _Source(name=_bundled("raw_outputs", path), path=path)
        for batch in batches
        for path in raw_files(layout, batch)
    ]
    bundle = Bundle(
        inference=request_set.inference,
        partition_key=request_set.partition_key,
        request_set=request_set.digest,
        items=manifest.items,
        batch_ids=tuple(batch.provider_id or "" for batch in batches),
        files=tuple(_copy(files, source, folder) for source in sources),
    )
    files.write(manifest_path, msgspec.json.format(msgspec.json.encode(bundle), indent=2))
    return folder, bundle


def found_bundle(files: Files, request_set: RequestSet) -> tuple[str, Bundle] | None:
    """The bundle of the results as they stand, where it was made; its folder and its manifest."""
    layout = layout_of(request_set)
    return _found(files, layout, files.checksum(layout.results).sha256)


def _found(files: Files, layout: RequestSetLayout, results: str) -> tuple[str, Bundle] | None:
    folder = layout.bundle(results)
    path = f"{folder}/{MANIFEST}"
    return (folder, read_bundle(files, path)) if files.exists(path) else None


def read_bundle(files: Files, path: str) -> Bundle:
    """The manifest of a bundle. Raises ArtifactError where it is damaged."""
    try:
        return msgspec.json.decode(files.read(path), type=Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{files.url(path)} is not what was stored ({error}): restore it"
        ) from error


def copy_bundle(files: Files, folder: str, bundle: Bundle, to: Files, name: str) -> bool:
    """Copy a bundle into a folder of another store, its manifest last; False where it is there.

    Raises ArtifactError where a file is not what the manifest says.
    """
    manifest = f"{name}/{MANIFEST}"
    if to.exists(manifest):
        return False
    for file in bundle.files:
        source, read = f"{folder}/{file.path}", hashlib.sha256()
        with files.open(source) as original, to.create(f"{name}/{file.path}") as new:
            while block := original.read(_COPY_BLOCK):
                read.update(block)
                new.write(block)
            if read.hexdigest() != file.sha256:
                raise ArtifactError(
                    f"{files.url(source)} is not what was stored: its checksum is "
                    f"{read.hexdigest()}, the manifest says {file.sha256}: restore it"
                )
    to.write(manifest, files.read(f"{folder}/{MANIFEST}"))
    return True


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A stored file that goes into the bundle."""

    #: Path below the bundle's folder.
    name: str
    path: str
    #: What the stored bytes must be, where a manifest says so.
    sha256: str | None = None


def _sources(
    files: Files,
    layout: RequestSetLayout,
    manifest: Manifest,
    request_set: RequestSet,
    results_sha256: str,
) -> list[_Source]:
    """What was asked and what came of it; the raw outputs come beside."""
    return [
        _Source(name="results.parquet", path=layout.results, sha256=results_sha256),
        _Source(name="items.parquet", path=layout.items, sha256=manifest.items_sha256),
        _Source(name="request_set.json", path=layout.manifest),
        *(
            _Source(name=_bundled("requests", shard.path), path=shard.path, sha256=shard.sha256)
            for wave in range(request_set.wave + 1)
            for shard in shards_of_wave(files, manifest, wave)
        ),
    ]


def _bundled(folder: str, path: str) -> str:
    return f"{folder}/{path.rsplit('/', 1)[-1]}.zst"


def _copy(files: Files, source: _Source, folder: str) -> BundledFile:
    read = hashlib.sha256()
    with files.open(source.path) as original, files.create(f"{folder}/{source.name}") as new:
        with _compressed(new) if source.name.endswith(".zst") else nullcontext(new) as sink:
            while block := original.read(_COPY_BLOCK):
                read.update(block)
                sink.write(block)
        if source.sha256 not in (None, read.hexdigest()):
            raise ArtifactError(
                f"{files.url(source.path)} is not what was stored: its checksum is "
                f"{read.hexdigest()}, the manifest says {source.sha256}: restore it"
            )
    written: Written = new.written
    return BundledFile(path=source.name, bytes=written.bytes, sha256=written.sha256)


def _compressed(new: NewFile) -> Any:
    return pa.CompressedOutputStream(pa.PythonFile(new, "w"), "zstd")
