"""The inferences of a code location, found by their assets."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from batch_assets.assets.keys import (
    FILES,
    INFERENCE_METADATA,
    LEDGER,
    PROVIDER_METADATA,
    InferenceKeys,
)


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
    found: dict[str, LocatedInference] = {}
    for assets in defs.assets or []:
        for spec in assets.specs if isinstance(assets, dg.AssetsDefinition) else []:
            name = spec.metadata.get(INFERENCE_METADATA)
            if name is not None and spec.partitions_def is not None:
                keys = InferenceKeys(inference=name, provider=spec.metadata[PROVIDER_METADATA])
                found[name] = LocatedInference(keys=keys, partitions=spec.partitions_def)
    return Location(inferences=found)
