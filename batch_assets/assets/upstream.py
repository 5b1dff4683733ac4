"""The upstream assets of a corpus: what `requests` depends on, loads, and says it was made from."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from batch_assets.assets.events import DATA_VERSION, RunContext
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.composite import assets_of, with_assets
from batch_assets.corpus.corpus import Corpus


def upstream_keys(corpus: Corpus) -> list[dg.AssetKey]:
    """The assets that a corpus is read from, each once."""
    return list(dict.fromkeys(dg.AssetKey(asset.path) for asset in assets_of(corpus)))


def loaded_in(context: RunContext, corpus: Corpus) -> Corpus:
    """The corpus as this run reads it: each asset through its own IO manager, by partition."""

    def load(asset: AssetCorpus, partition_key: str) -> Any:
        return context.load_asset_value(
            dg.AssetKey(asset.path),
            python_type=asset.value_type,
            partition_key=None if asset.partitions_def is None else partition_key,
        )

    return with_assets(corpus, load)


def upstream_versions(
    context: RunContext, corpus: Corpus, partition_key: str
) -> Mapping[dg.AssetKey, str]:
    """The data versions that a partition's upstream values have now, where they have one."""
    versions = {}
    for asset in assets_of(corpus):
        key = dg.AssetKey(asset.path)
        wanted = dg.AssetRecordsFilter(
            asset_key=key,
            asset_partitions=None if asset.partitions_def is None else [partition_key],
        )
        records = context.instance.fetch_materializations(wanted, limit=1).records
        made = records[0].asset_materialization if records else None
        version = (made.tags or {}).get(DATA_VERSION) if made is not None else None
        if version is not None:
            versions[key] = version
    return versions
