"""What the assets of an inference are, as the catalog shows them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from batch_assets.assets.keys import ASSETS, FILES, InferenceKeys
from batch_assets.assets.upstream import upstream_keys
from batch_assets.domain.errors import DeclarationError
from batch_assets.files.layout import ASSET_METADATA, INFERENCE_METADATA, PROVIDER_METADATA
from batch_assets.stages.recipe import Recipe

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
    translate: Translate | None = None,
) -> InferenceSpecs:
    """The specs of the five assets. Raises DeclarationError for a translation that breaks them."""
    keys = InferenceKeys(inference=recipe.inference, provider=provider)
    plain = _specs(recipe, keys, owners, description)
    if translate is None:
        return InferenceSpecs(keys=keys, specs=plain)
    translated = [_translated(spec, translate) for spec in plain]
    names = {spec.key: each.key for spec, each in zip(plain, translated, strict=True)}
    if len(set(names.values())) < len(names):
        twice = sorted(key.to_user_string() for key in names.values())
        raise DeclarationError(
            f"the translation of {recipe.inference} gives two assets one key: {', '.join(twice)}"
        )
    own = {asset: each.key for asset, each in zip(ASSETS, translated, strict=True)}
    return InferenceSpecs(
        keys=replace(keys, translated=own),
        specs=[
            each.replace_attributes(
                deps=[
                    dep._replace(asset_key=names.get(dep.asset_key, dep.asset_key))
                    for dep in each.deps
                ]
            )
            for each in translated
        ],
    )


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
    about = f"{description}\n\n" if description else ""

    def spec(
        asset: str,
        description: str,
        *,
        deps: Sequence[dg.AssetKey],
        kinds: set[str],
        code_version: str | None = None,
    ) -> dg.AssetSpec:
        # A run may leave it unmaterialized and still be green.
        return dg.AssetSpec(
            keys.of(asset),
            deps=deps,
            description=description,
            group_name=keys.inference,
            kinds=kinds,
            owners=list(owners),
            code_version=code_version,
            metadata=_metadata(asset, keys),
            skippable=True,
        ).with_io_manager_key(FILES)

    return [
        spec(
            "requests",
            about + "The rows of a partition as requests of the model: shards that fit a provider "
            "batch, the item index, and the manifest with the quote in tokens. "
            "Calls nobody and costs nothing: materialize it alone for a dry run.",
            deps=upstream_keys(recipe.corpus),
            kinds={"jsonl", "parquet"},
            code_version=recipe.endpoint.shape_digest[:12],
        ),
        spec(
            "batches",
            "The shards in the provider's hands: one batch each. Requests that "
            "were sent before are never sent again, so materializing this twice buys nothing "
            "twice. The sensor collects what the provider finishes.",
            deps=[keys.requests],
            kinds={keys.provider},
        ),
        spec(
            "raw_outputs",
            "The provider's output and error files of every batch, byte for byte. "
            "They were paid for: results can always be made again from them.",
            deps=[keys.batches],
            kinds={"jsonl", keys.provider},
        ),
        spec(
            "results",
            "One row per item of the corpus, in its order: outcome, the answer in "
            "typed columns (`output`) and as text (`answer`), tokens, and where the item came "
            "from. Read it as a pyarrow, pandas or polars input of your own asset.",
            deps=[keys.raw_outputs],
            kinds={"parquet"},
            code_version=_parser_version(recipe),
        ),
        spec(
            "bundle",
            "An immutable export of a partition: results, item index, requests, raw "
            "outputs, and a manifest with a checksum for each file.",
            deps=[keys.results],
            kinds={"parquet", "jsonl"},
        ),
    ]


def _metadata(asset: str, keys: InferenceKeys) -> Mapping[str, Any]:
    return {
        ASSET_METADATA: asset,
        INFERENCE_METADATA: keys.inference,
        PROVIDER_METADATA: keys.provider,
    }


def _parser_version(recipe: Recipe) -> str:
    """Changes where the same raw outputs would be read as other results.

    The column type is the endpoint's too: what a vector is read as, no output declares.
    """
    endpoint = recipe.endpoint
    read_as = f"{endpoint.arrow_type}\n{endpoint.output.version}"
    return f"2-{hashlib.sha256(read_as.encode()).hexdigest()[:12]}"
