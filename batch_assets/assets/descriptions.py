"""What each asset holds and how to read it, as Markdown for the catalog."""

import dagster as dg
import pyarrow as pa

from batch_assets.stages.recipe import Recipe

#: Fields of the output type that a description names.
_MOST_FIELDS = 30


def description_of(asset: str, recipe: Recipe, key: dg.AssetKey, about: str | None = None) -> str:
    """The description of an inference's asset that has this key; `about` is the user's own."""
    match asset:
        case "requests":
            said = _requests()
        case "batches":
            said = _batches()
        case "raw_outputs":
            said = _raw_outputs(key)
        case "results":
            said = _results(recipe, key)
        case _:
            said = _bundle(key)
    return f"{about}\n\n{said}" if about and asset == "requests" else said


def _requests() -> str:
    return (
        "The rows of a partition as requests of the model: shards that fit a provider batch, the "
        "item index, and the manifest. Calls nobody and costs nothing: materialize it alone for a "
        "dry run.\n\n"
        "Its metadata has the quote, in tokens and in USD, what is other than before, and a few "
        "prompts as they are sent. The files lie where `manifest` and `shards` say."
    )


def _batches() -> str:
    return (
        "The shards in the provider's hands: one batch each. Requests that were sent before are "
        "never sent again, so materializing this twice buys nothing twice. The sensor collects "
        "what the provider finishes.\n\n"
        "Its metadata has each batch with its id, state and age, and why one waits; observations "
        "say what became of them since."
    )


def _raw_outputs(key: dg.AssetKey) -> str:
    return (
        "The provider's output and error files of every batch, byte for byte. They were paid for: "
        "results can always be made again from them.\n\n"
        "Read the lines as an input of your own asset, a table of `file` and `line`:\n\n"
        + _input_of(key, "pa.Table")
    )


def _results(recipe: Recipe, key: dg.AssetKey) -> str:
    output = recipe.endpoint.arrow_type
    if isinstance(output, pa.StructType):
        fields = [f"`{field.name}` {field.type}" for field in list(output)[:_MOST_FIELDS]]
        if output.num_fields > _MOST_FIELDS:
            fields.append(f"{output.num_fields - _MOST_FIELDS} more")
        typed = f"a struct of {', '.join(fields)}"
    else:
        typed = f"{output}"
    return (
        "One row per item of the corpus, in its order: `outcome`, the answer as the output type "
        f"(`output`: {typed}) and as the model wrote it (`answer`), tokens, and where the item "
        "came from. A file per partition; all together are one Parquet data set.\n\n"
        "Read it as an input of your own asset, as a pyarrow, pandas or polars type:\n\n"
        + _input_of(key, "pd.DataFrame")
        + "\n\nIts metadata has coverage, outcomes, tokens and cost for each partition; switch "
        "from Table to Plots to see them over the partitions."
    )


def _bundle(key: dg.AssetKey) -> str:
    return (
        "An immutable export of a partition: results, item index, requests, raw outputs, and a "
        "manifest with a checksum for each file.\n\n"
        "As an input of your own asset it is the path of its folder:\n\n" + _input_of(key, "Path")
    )


def _input_of(key: dg.AssetKey, annotation: str) -> str:
    path = ", ".join(f'"{part}"' for part in key.path)
    name = key.path[-1]
    return (
        f'```python\n@dg.asset(ins={{"{name}": dg.AssetIn([{path}])}}, partitions_def=...)\n'
        f"def mine({name}: {annotation}): ...\n```"
    )
