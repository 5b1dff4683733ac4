"""What a batch of the ledger was expected to cost, as far as the store says."""

from decimal import Decimal

from batch_assets.domain.batch import Batch
from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.stages.plan import layout_of
from batch_assets.stages.quote import quote, usage_before


class ExpectedCosts:
    """Expected costs of batches, one after the other; the last manifest is kept."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._path: str | None = None
        self._manifest: Manifest | None = None

    def of(self, batch: Batch) -> Decimal | None:
        """In USD, of its prompts at least; None where its price is not known."""
        manifest = self._manifest_at(layout_of(batch.request_set).manifest)
        if manifest is None or manifest.price is None:
            return None
        expected = quote(
            manifest.price,
            requests=batch.reservation.requests,
            prompt_tokens=batch.reservation.tokens,
            before=usage_before(self._files, batch.request_set.inference, manifest.model),
        )
        return expected.input_usd if expected.usd is None else expected.usd

    def _manifest_at(self, path: str) -> Manifest | None:
        if path != self._path:
            self._path = path
            try:
                self._manifest = read_manifest(self._files, path)
            except ArtifactError:
                self._manifest = None  # pruned, or in another store
        return self._manifest
