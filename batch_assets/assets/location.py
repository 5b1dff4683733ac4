"""The inferences of a code location, found by their assets."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from batch_assets.assets.keys import FILES, LEDGER, InferenceKeys
from batch_assets.domain.stragglers import Stragglers
from batch_assets.files.layout import (
    AFTER_HOURS_METADATA,
    ASSET_METADATA,
    INFERENCE_METADATA,
    LANE_METADATA,
    PROVIDER_METADATA,
)


@dataclass(frozen=True, kw_only=True)
class LocatedInference:
    """An inference of the code location, as its sensor and its jobs need it."""

    keys: InferenceKeys
    partitions: dg.PartitionsDefinition[str]
    #: Of its collecting runs.
    partitions_per_run: int
    #: When what its provider has not answered is asked live; None never does it.
    stragglers: Stragglers | None = None


@dataclass(frozen=True, kw_only=True)
class Location:
    """What a code location has."""

    inferences: Mapping[str, LocatedInference]

    @property
    def providers(self) -> list[str]:
        """Resource keys of the providers, lanes that stragglers are asked by among them."""
        keys = [inference.keys for inference in self.inferences.values()]
        lanes = {each.lane for each in keys if each.lane is not None}
        return sorted({each.provider for each in keys} | lanes)

    @property
    def resources(self) -> set[str]:
        """Every resource key that the sensor and the operator's jobs need."""
        return {LEDGER, FILES, *self.providers}


def location_of(defs: dg.Definitions) -> Location:
    """The inferences in the definitions."""
    found: defaultdict[str, list[dg.AssetsDefinition]] = defaultdict(list)
    for assets in defs.assets or []:
        if isinstance(assets, dg.AssetsDefinition) and assets.partitions_def is not None:
            # An asset of the user's own has no such metadata.
            names = {spec.metadata.get(INFERENCE_METADATA) for spec in assets.specs}
            for name in filter(None, names):
                found[name].append(assets)
    return Location(inferences={name: _located(name, own) for name, own in found.items()})


def _located(name: str, own: Sequence[dg.AssetsDefinition]) -> LocatedInference:
    specs = [spec for assets in own for spec in assets.specs]
    said = specs[0].metadata
    lane = said.get(LANE_METADATA)
    stragglers = None
    if lane is not None:
        stragglers = Stragglers(provider=lane, after_hours=said[AFTER_HOURS_METADATA])
    keys = InferenceKeys(
        inference=name,
        provider=said[PROVIDER_METADATA],
        lane=lane,
        translated={spec.metadata[ASSET_METADATA]: spec.key for spec in specs},
    )
    [collect] = [assets for assets in own if assets.op.name == keys.collect_op]
    assert collect.partitions_def is not None
    assert collect.backfill_policy is not None
    width = collect.backfill_policy.max_partitions_per_run
    assert width is not None
    return LocatedInference(
        keys=keys,
        partitions=collect.partitions_def,
        partitions_per_run=width,
        stragglers=stragglers,
    )
