"""prune: remove what a bundle has anyway, or nobody can need any more.

Results, item indexes, manifests, increments, bundles and answers that were carried over stay, and
so does everything in the ledger. What goes is one file after the other: stopped anywhere, what is
left is found again.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from batch_assets.domain.batch import Batch, BatchState, RequestSet
from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.ledger import Ledger
from batch_assets.stages.export import MANIFEST, Bundle, read_bundle
from batch_assets.stages.plan import layout_of, shards_of_wave
from batch_assets.stages.raw import raw_files

#: States from which something of a batch may still come.
_ON_ITS_WAY = frozenset(BatchState) - {BatchState.COLLECTED, BatchState.ABANDONED}


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file that may go."""

    path: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Prunable:
    """What of one request set may go, or why nothing of it may."""

    request_set: RequestSet
    files: Sequence[StoredFile] = ()
    #: Whether the provider's answers are among them: later request sets cannot carry them over.
    has_raw_outputs: bool = False
    #: Requests whose answers no later request set can carry over any more.
    requests_lost: int = 0
    #: Why it stays as it is; empty where it does not.
    kept_since: str = ""

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class _Pruned(msgspec.Struct, kw_only=True):
    """Said in the store before the first raw output goes."""

    at: datetime
    by: str


def is_pruned(files: Files, request_set: RequestSet) -> bool:
    """Whether raw outputs of the request set were removed, or are about to be."""
    return files.exists(layout_of(request_set).pruned)


def prunable(
    ledger: Ledger,
    files: Files,
    inference: str,
    *,
    partition_keys: Collection[str] = (),
    older_than: timedelta = timedelta(),
    include_raw_outputs: bool = False,
) -> Iterator[Prunable]:
    """What may go of each request set of the inference, those that were replaced too.

    Request shards of finished request sets: of a current one once it is in a bundle, of a replaced
    one at once. Raw outputs, with `include_raw_outputs`, once a bundle has all of them.
    """
    current = {each.id for each in ledger.request_sets.current_ones(inference)}
    for request_set in ledger.standing.request_sets(inference):
        if partition_keys and request_set.partition_key not in partition_keys:
            continue
        search = _Search(ledger, files, request_set, is_current=request_set.id in current)
        yield search.found(older_than, include_raw_outputs=include_raw_outputs)


def prune(files: Files, found: Prunable, *, by: str, now: datetime) -> int:
    """Remove what was found; how many bytes that were."""
    if found.has_raw_outputs:
        # Said first: whoever looks for answers meanwhile does not take a missing file for damage.
        said = _Pruned(at=now, by=by)
        files.write(layout_of(found.request_set).pruned, msgspec.json.encode(said))
    for file in found.files:
        files.delete(file.path)
    return found.bytes


class _Search:
    """Looks through the files of one request set."""

    def __init__(
        self, ledger: Ledger, files: Files, request_set: RequestSet, *, is_current: bool
    ) -> None:
        self._files = files
        self._request_set = request_set
        self._is_current = is_current
        self._layout = layout_of(request_set)
        self._batches = ledger.batches(request_set=request_set.id)
        self._now = ledger.clock()

    def found(self, older_than: timedelta, *, include_raw_outputs: bool) -> Prunable:
        kept_since = self._needed(older_than)
        if kept_since:
            return Prunable(request_set=self._request_set, kept_since=kept_since)
        try:
            manifest = read_manifest(self._files, self._layout.manifest)
            bundle = self._bundle()
        except ArtifactError as error:
            return Prunable(request_set=self._request_set, kept_since=error.message)
        if bundle is None and self._is_current:
            return Prunable(request_set=self._request_set, kept_since=_NO_BUNDLE)
        if include_raw_outputs and bundle is None:
            return Prunable(
                request_set=self._request_set,
                files=self._there(self._shards(manifest)),
                kept_since="its raw outputs stay: no bundle has them, and they were paid for",
            )
        shards = self._there(self._shards(manifest, all_waves=include_raw_outputs))
        raw = self._there(self._raw()) if include_raw_outputs else []
        return Prunable(
            request_set=self._request_set,
            files=[*shards, *raw],
            # One that was stopped before the end says it again.
            has_raw_outputs=bool(raw),
            requests_lost=manifest.requests - (self._request_set.carried or 0) if raw else 0,
        )

    def _needed(self, older_than: timedelta) -> str:
        """Why nothing of it may go; empty where something may."""
        request_set = self._request_set
        on_its_way = [batch for batch in self._batches if batch.state in _ON_ITS_WAY]
        if on_its_way or (self._is_current and request_set.resolved_at is None):
            return "it is on its way"
        if self._ended_at() > self._now - older_than:
            return "it is younger than that"
        return ""

    def _ended_at(self) -> datetime:
        request_set = self._request_set
        ends = [batch.ended_at for batch in self._batches if batch.ended_at is not None]
        return request_set.resolved_at or max(ends, default=request_set.created_at)

    def _bundle(self) -> Bundle | None:
        """A bundle that has everything the provider returned for the request set.

        Of a current one it is of the results as they stand.
        """
        answered = {batch.provider_id for batch in self._collected()}
        for folder in self._bundle_folders():
            path = f"{folder}/{MANIFEST}"
            if not self._files.exists(path):
                continue
            bundle = read_bundle(self._files, path)
            if answered <= set(bundle.batch_ids):
                _check_whole(self._files, folder, bundle)
                return bundle
        return None

    def _bundle_folders(self) -> Sequence[str]:
        if self._is_current:
            return [self._layout.bundle(self._files.checksum(self._layout.results).sha256)]
        beginning = self._layout.bundle("").rpartition("/")[2]
        folders = self._files.folders(self._layout.bundles)
        return [each for each in folders if each.rpartition("/")[2].startswith(beginning)]

    def _collected(self) -> Sequence[Batch]:
        return [batch for batch in self._batches if batch.state is BatchState.COLLECTED]

    def _shards(self, manifest: Manifest, *, all_waves: bool = False) -> Iterator[str]:
        """Request shards that can be written again, or, with the raw outputs, all of them.

        Those of later waves, and packs, say which items a line is about: answers cannot be read
        without them.
        """
        is_packed = "rows_per_request" in manifest.shape
        for wave in range(self._request_set.wave + 1):
            if all_waves or (wave == 0 and not is_packed):
                for shard in shards_of_wave(self._files, manifest, wave):
                    yield shard.path

    def _raw(self) -> Iterator[str]:
        for batch in self._collected():
            yield from raw_files(self._layout, batch)

    def _there(self, paths: Iterator[str]) -> list[StoredFile]:
        return [
            StoredFile(path=path, bytes=self._files.size(path))
            for path in paths
            if self._files.exists(path)
        ]


_NO_BUNDLE = "no bundle of its results is there: `batch-assets export-artifacts` makes one"


def _check_whole(files: Files, folder: str, bundle: Bundle) -> None:
    """Raise ArtifactError where a file of the bundle is not what its manifest says."""
    for file in bundle.files:
        path = f"{folder}/{file.path}"
        found = files.checksum(path)
        if (found.sha256, found.bytes) != (file.sha256, file.bytes):
            raise ArtifactError(
                f"{files.url(path)} is not what was exported: nothing that it stands for is removed"
            )
