"""The names an inference has in Dagster: assets, ops, jobs, resources."""

from dataclasses import dataclass
from typing import Any

import dagster as dg

#: Resource keys of every deployment. The provider's key is the inference's own setting.
LEDGER = "batch_ledger"
FILES = "batch_files"

#: Pools; their limits in dagster.yaml keep waiting runs from taking the slots of submissions.
SUBMIT_POOL = "llm_submit"
COLLECT_POOL = "llm_collect"

#: Set by Dagster on every run of a backfill (dagster 1.13, _core/storage/tags.py).
BACKFILL_TAG = "dagster/backfill"

#: Asset metadata by which the poll sensor finds the inferences of a code location.
INFERENCE_METADATA = "batch_assets/inference"
PROVIDER_METADATA = "batch_assets/provider"


@dataclass(frozen=True, kw_only=True)
class InferenceKeys:
    """Every name of one inference."""

    inference: str
    #: Resource key of the provider.
    provider: str
    owners: tuple[str, ...] = ()

    @property
    def requests(self) -> dg.AssetKey:
        return dg.AssetKey([self.inference, "requests"])

    @property
    def batches(self) -> dg.AssetKey:
        return dg.AssetKey([self.inference, "batches"])

    @property
    def raw_outputs(self) -> dg.AssetKey:
        return dg.AssetKey([self.inference, "raw_outputs"])

    @property
    def results(self) -> dg.AssetKey:
        return dg.AssetKey([self.inference, "results"])

    @property
    def bundle(self) -> dg.AssetKey:
        return dg.AssetKey([self.inference, "bundle"])

    @property
    def collected(self) -> frozenset[dg.AssetKey]:
        """The assets that the collecting op makes."""
        return frozenset({self.raw_outputs, self.results, self.bundle})

    @property
    def submit_op(self) -> str:
        return f"{self.inference}__submit"

    @property
    def collect_op(self) -> str:
        return f"{self.inference}__collect"

    @property
    def submit_job(self) -> str:
        return f"{self.inference}_submit"

    @property
    def collect_job(self) -> str:
        return f"{self.inference}_collect"

    @property
    def ask_again_op(self) -> str:
        return f"{self.inference}__ask_again"

    @property
    def ask_again_job(self) -> str:
        return f"{self.inference}_ask_again"

    @property
    def discovery_sensor(self) -> str:
        return f"{self.inference}_discovery"

    @property
    def resources(self) -> set[str]:
        return {LEDGER, FILES, self.provider}

    def spec(
        self,
        key: dg.AssetKey,
        *,
        deps: list[dg.AssetKey],
        description: str,
        kinds: set[str],
        code_version: str | None = None,
    ) -> dg.AssetSpec:
        """An asset of the inference; a run may leave it unmaterialized and still be green."""
        metadata: dict[str, Any] = {
            INFERENCE_METADATA: self.inference,
            PROVIDER_METADATA: self.provider,
        }
        return dg.AssetSpec(
            key,
            deps=deps,
            description=description,
            group_name=self.inference,
            kinds=kinds,
            owners=list(self.owners),
            code_version=code_version,
            metadata=metadata,
            skippable=True,
        ).with_io_manager_key(FILES)
