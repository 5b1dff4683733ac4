"""What the assets of an inference are, as the catalog shows them."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from batch_assets.assets.automation import conditions_of, freshness_of
from batch_assets.assets.descriptions import description_of
from batch_assets.assets.keys import ASSETS, FILES, InferenceKeys
from batch_assets.assets.results_metadata import column_schema
from batch_assets.assets.upstream import upstream_keys
from batch_assets.domain.errors import DeclarationError, about
from batch_assets.files.layout import (
    AFTER_HOURS_METADATA,
    ASSET_METADATA,
    INFERENCE_METADATA,
    LANE_METADATA,
    PROVIDER_METADATA,
)
from batch_assets.stages.recipe import Recipe
from batch_assets.stages.results import results_schema

#: Gives an asset of an inference another key, group, owners, tags, kinds, description, metadata,
#: automation condition or freshness policy.
Translate = Callable[[dg.AssetSpec], dg.AssetSpec]

#: The assets that the submitting op makes; the collecting op makes the others.
_SUBMITTED = 2


@dataclass(frozen=True, kw_only=True)
class InferenceSpecs:
    """The specs of one inference, with the keys they have."""

    keys: InferenceKeys
    #: In the order of ASSETS.
    specs: Sequence[dg.AssetSpec]

    def code_version(self, key: dg.AssetKey) -> str | None:
        """The code version of the asset of that key."""
        return next(spec.code_version for spec in self.specs if spec.key == key)

    @property
    def submitted(self) -> Sequence[dg.AssetSpec]:
        """What the submitting op makes."""
        return self.specs[:_SUBMITTED]

    @property
    def collected(self) -> Sequence[dg.AssetSpec]:
        """What the collecting op makes."""
        return self.specs[_SUBMITTED:]


def inference_specs(
    recipe: Recipe,
    *,
    provider: str,
    owners: Sequence[str] = (),
    description: str | None = None,
    automation: str | None = None,
    fresh_within_hours: float | None = None,
    translate: Translate | None = None,
) -> InferenceSpecs:
    """The specs of the five assets. Raises DeclarationError for a translation that breaks them."""
    stragglers = recipe.stragglers
    lane = None if stragglers is None else stragglers.provider
    keys = InferenceKeys(inference=recipe.inference, provider=provider, lane=lane)
    conditions, policies = conditions_of(automation), freshness_of(fresh_within_hours)
    plain = [
        spec.replace_attributes(
            automation_condition=conditions.get(asset), freshness_policy=policies.get(asset)
        )
        for asset, spec in zip(ASSETS, _specs(recipe, keys, owners, description), strict=True)
    ]
    if translate is None:
        return InferenceSpecs(keys=keys, specs=plain)
    with about("translation"):
        translated = [_translated(spec, translate) for spec in plain]
    names = {spec.key: each.key for spec, each in zip(plain, translated, strict=True)}
    twice = sorted({key.to_user_string() for key, n in Counter(names.values()).items() if n > 1})
    if twice:
        raise DeclarationError(
            f"the translation of {recipe.inference} gives two assets one key: {', '.join(twice)}; "
            "make it of the key they have, spec.key",
            setting="translation",
        )
    own = {asset: each.key for asset, each in zip(ASSETS, translated, strict=True)}
    return InferenceSpecs(
        keys=replace(keys, translated=own),
        specs=[
            each.replace_attributes(
                deps=_renamed([*spec.deps, *each.deps], names),
                # Ours names the key by which the asset is read.
                description=description_of(asset, recipe, each.key, description)
                if each.description == spec.description
                else each.description,
            )
            for asset, spec, each in zip(ASSETS, plain, translated, strict=True)
        ],
    )


def _renamed(
    deps: Sequence[dg.AssetDep], names: Mapping[dg.AssetKey, dg.AssetKey]
) -> Iterable[dg.AssetDep]:
    """The dependencies by the keys that their assets have now, each once."""
    now = [dep._replace(asset_key=names.get(dep.asset_key, dep.asset_key)) for dep in deps]
    return {dep.asset_key: dep for dep in now}.values()


def _translated(spec: dg.AssetSpec, translate: Translate) -> dg.AssetSpec:
    found = translate(spec)
    if not isinstance(found, dg.AssetSpec):
        raise DeclarationError(
            f"the translation of {spec.key.to_user_string()} gives {found!r}: return an AssetSpec"
        )
    if found.partitions_def is not None or not found.skippable:
        raise DeclarationError(
            f"the translation of {spec.key.to_user_string()} changes its partitions_def or "
            "skippable, which are the inference's: leave them as they are"
        )
    # By its metadata the sensor and the IO manager know it, whatever else the translation says.
    return found.merge_attributes(metadata=spec.metadata).with_io_manager_key(FILES)


def _specs(
    recipe: Recipe, keys: InferenceKeys, owners: Sequence[str], description: str | None
) -> list[dg.AssetSpec]:
    def spec(
        asset: str,
        *,
        deps: Sequence[dg.AssetKey],
        kinds: set[str],
        code_version: str | None = None,
    ) -> dg.AssetSpec:
        # A run may leave it unmaterialized and still be green.
        return dg.AssetSpec(
            keys.of(asset),
            deps=deps,
            description=description_of(asset, recipe, keys.of(asset), description),
            group_name=keys.inference,
            kinds=kinds,
            owners=list(owners),
            code_version=code_version,
            metadata=_metadata(asset, keys, recipe),
            skippable=True,
        ).with_io_manager_key(FILES)

    return [
        spec(
            "requests",
            deps=upstream_keys(recipe.corpus),
            kinds={"jsonl", "parquet"},
            code_version=recipe.endpoint.shape_digest[:12],
        ),
        spec(
            "batches",
            deps=[keys.requests],
            kinds={keys.provider},
        ),
        spec(
            "raw_outputs",
            deps=[keys.batches],
            kinds={"jsonl", keys.provider},
        ),
        spec(
            "results",
            deps=[keys.raw_outputs],
            kinds={"parquet"},
            code_version=_parser_version(recipe),
        ),
        spec(
            "bundle",
            deps=[keys.results],
            kinds={"parquet", "jsonl"},
        ),
    ]


def _metadata(asset: str, keys: InferenceKeys, recipe: Recipe) -> Mapping[str, Any]:
    metadata: dict[str, Any] = {
        ASSET_METADATA: asset,
        INFERENCE_METADATA: keys.inference,
        PROVIDER_METADATA: keys.provider,
    }
    if recipe.stragglers is not None:
        metadata[LANE_METADATA] = recipe.stragglers.provider
        metadata[AFTER_HOURS_METADATA] = recipe.stragglers.after_hours
    if asset == "results":
        schema = results_schema(recipe.endpoint.arrow_type)
        metadata["dagster/column_schema"] = column_schema(schema)
    return metadata


def _parser_version(recipe: Recipe) -> str:
    """Changes where the same raw outputs would be read as other results.

    The column type is the endpoint's too: what a vector is read as, no output declares.
    """
    endpoint = recipe.endpoint
    read_as = f"{endpoint.arrow_type}\n{endpoint.output.version}"
    return f"2-{hashlib.sha256(read_as.encode()).hexdigest()[:12]}"
