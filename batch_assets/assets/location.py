"""The inferences of a code location, found by their assets."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from batch_assets.assets.keys import FILES, LEDGER, InferenceKeys
from batch_assets.files.layout import ASSET_METADATA, INFERENCE_METADATA, PROVIDER_METADATA


@dataclass(frozen=True, kw_only=True)
class LocatedInference:
    """An inference of the code location, as its sensor and its jobs need it."""

    keys: InferenceKeys
    partitions: dg.PartitionsDefinition[str]


@dataclass(frozen=True, kw_only=True)
class Location:
    """What a code location has."""

    inferences: Mapping[str, LocatedInference]

    @property
    def providers(self) -> list[str]:
        """Resource keys of the providers."""
        return sorted({inference.keys.provider for inference in self.inferences.values()})

    @property
    def resources(self) -> set[str]:
        """Every resource key that the sensor and the operator's jobs need."""
        return {LEDGER, FILES, *self.providers}


def location_of(defs: dg.Definitions) -> Location:
    """The inferences in the definitions."""
    specs: defaultdict[str, list[dg.AssetSpec]] = defaultdict(list)
    for assets in defs.assets or []:
        for spec in assets.specs if isinstance(assets, dg.AssetsDefinition) else []:
            if INFERENCE_METADATA in spec.metadata and spec.partitions_def is not None:
                specs[spec.metadata[INFERENCE_METADATA]].append(spec)
    return Location(inferences={name: _located(name, own) for name, own in specs.items()})


def _located(name: str, specs: Sequence[dg.AssetSpec]) -> LocatedInference:
    first = specs[0]
    keys = InferenceKeys(
        inference=name,
        provider=first.metadata[PROVIDER_METADATA],
        translated={spec.metadata[ASSET_METADATA]: spec.key for spec in specs},
    )
    assert first.partitions_def is not None
    return LocatedInference(keys=keys, partitions=first.partitions_def)
