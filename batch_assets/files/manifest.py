"""The manifest of a request set: what was made from which corpus, shard by shard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.price import Price
from batch_assets.domain.request import RequestSetDigest
from batch_assets.domain.shard import Limits, Shard
from batch_assets.files.layout import RequestSetLayout
from batch_assets.files.store import Files

#: Raised when a reader of an older version could misread the file.
FORMAT = 1

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One request set. Written last: where it is, its shards and its item index are whole."""

    inference: str
    partition_key: str
    digest: RequestSetDigest
    #: Digest of prompt, model, settings and schema: the part that no row changes.
    shape_digest: str
    endpoint: str
    model: str
    source_ref: str
    items: int
    #: Distinct requests; items with equal requests share one.
    requests: int
    duplicates: int
    oversize: int
    #: Estimated prompt tokens of one pass over all requests.
    tokens: int
    #: Whether the estimate rests on exact counts of a sample, or on an assumption.
    token_method: str
    items_sha256: str
    limits: Limits
    shards: tuple[Shard, ...]
    #: The parts of the shape, so that a later request set can tell what changed: endpoint and model
    #: by name; prompt, schema and parameters as digests. Empty where an older version wrote it.
    shape: Mapping[str, str] = field(default_factory=dict)
    #: What its tokens cost when it was written. None where an older version wrote it.
    price: Price | None = None
    format: int = FORMAT

    @property
    def layout(self) -> RequestSetLayout:
        """Where the request set's files lie."""
        return RequestSetLayout(
            inference=self.inference, partition_key=self.partition_key, digest=self.digest
        )


def write_manifest(files: Files, path: str, manifest: Manifest) -> None:
    """Store the manifest as JSON that a person can read."""
    files.write(path, msgspec.json.format(msgspec.json.encode(manifest), indent=2))


def read_manifest(files: Files, path: str) -> Manifest:
    """The manifest stored there. Raises ArtifactError where it is missing or damaged."""
    manifest = _read(files, path, Manifest)
    if manifest.format > FORMAT:
        raise ArtifactError(
            f"{files.url(path)} has format {manifest.format}, this batch-assets knows up to "
            f"{FORMAT}: upgrade batch-assets"
        )
    return manifest


def write_shards(files: Files, path: str, shards: tuple[Shard, ...]) -> None:
    """Store the list of one wave's shards."""
    files.write(path, msgspec.json.format(msgspec.json.encode(shards), indent=2))


def read_shards(files: Files, path: str) -> tuple[Shard, ...]:
    """The shards of one wave."""
    return _read(files, path, tuple[Shard, ...])


def _read(files: Files, path: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(files.read(path), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(
            f"{files.url(path)} is not what was stored ({error}): restore it"
        ) from error
