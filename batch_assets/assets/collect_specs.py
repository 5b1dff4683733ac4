"""What `raw_outputs`, `results` and `bundle` are, as the catalog shows them."""

import hashlib
from collections.abc import Sequence

import dagster as dg

from batch_assets.assets.keys import InferenceKeys
from batch_assets.stages.recipe import Recipe


def collect_specs(recipe: Recipe, keys: InferenceKeys) -> Sequence[dg.AssetSpec]:
    """The specs of the collecting op's assets."""
    return [
        keys.spec(
            keys.raw_outputs,
            deps=[keys.batches],
            description="The provider's output and error files of every batch, byte for byte. "
            "They were paid for: results can always be made again from them.",
            kinds={"jsonl", keys.provider},
        ),
        keys.spec(
            keys.results,
            deps=[keys.raw_outputs],
            description="One row per item of the corpus, in its order: outcome, the answer in "
            "typed columns (`output`) and as text (`answer`), tokens, and where the item came "
            "from. Read it as a pyarrow, pandas or polars input of your own asset.",
            kinds={"parquet"},
            code_version=_parser_version(recipe),
        ),
        keys.spec(
            keys.bundle,
            deps=[keys.results],
            description="An immutable export of a partition: results, item index, requests, raw "
            "outputs, and a manifest with a checksum for each file.",
            kinds={"parquet", "jsonl"},
        ),
    ]


def _parser_version(recipe: Recipe) -> str:
    """Changes where the same raw outputs would be read as other results.

    The column type is the endpoint's too: what a vector is read as, no output declares.
    """
    endpoint = recipe.endpoint
    read_as = f"{endpoint.arrow_type}\n{endpoint.output.version}"
    return f"2-{hashlib.sha256(read_as.encode()).hexdigest()[:12]}"
