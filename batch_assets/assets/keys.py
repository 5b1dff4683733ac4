"""The names an inference has in Dagster: assets, ops, jobs, resources."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import dagster as dg

#: Resource keys of every deployment. The provider's key is the inference's own setting.
LEDGER = "batch_ledger"
FILES = "batch_files"

#: Pools; their limits in dagster.yaml keep waiting runs from taking the slots of submissions.
SUBMIT_POOL = "llm_submit"
COLLECT_POOL = "llm_collect"

#: Set by Dagster on every run of a backfill (dagster 1.13, _core/storage/tags.py).
BACKFILL_TAG = "dagster/backfill"

#: The assets of an inference, in the order of a partition's way.
ASSETS = ("requests", "batches", "raw_outputs", "results", "bundle")


@dataclass(frozen=True, kw_only=True)
class InferenceKeys:
    """Every name of one inference."""

    inference: str
    #: Resource key of the provider.
    provider: str
    #: That of the lane which stragglers are asked by; None where they are not.
    lane: str | None = None
    #: Keys of those of its ASSETS that a translation gave other keys.
    translated: Mapping[str, dg.AssetKey] = field(default_factory=dict)

    def of(self, asset: str) -> dg.AssetKey:
        """The key of one of ASSETS."""
        return self.translated.get(asset, dg.AssetKey([self.inference, asset]))

    @property
    def requests(self) -> dg.AssetKey:
        return self.of("requests")

    @property
    def batches(self) -> dg.AssetKey:
        return self.of("batches")

    @property
    def raw_outputs(self) -> dg.AssetKey:
        return self.of("raw_outputs")

    @property
    def results(self) -> dg.AssetKey:
        return self.of("results")

    @property
    def bundle(self) -> dg.AssetKey:
        return self.of("bundle")

    @property
    def submitted(self) -> frozenset[dg.AssetKey]:
        """The assets that the submitting op makes."""
        return frozenset({self.requests, self.batches})

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
    def submit_changed_op(self) -> str:
        return f"{self.inference}__submit_changed"

    @property
    def submit_changed_job(self) -> str:
        return f"{self.inference}_submit_changed"

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
        return {LEDGER, FILES, self.provider, *([] if self.lane is None else [self.lane])}
