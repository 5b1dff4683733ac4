"""preview: what sending a partition would be, without sending it: its requests, and what they cost.

The request set is written, as `requests` writes it, and nothing is kept in the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from batch_assets.files.manifest import Manifest
from batch_assets.stages.difference import Difference, difference
from batch_assets.stages.prepare import check_taken, prepare
from batch_assets.stages.quote import price_of
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.rescue import check_rescue
from batch_assets.stages.samples import SampleRequest, sample_requests
from batch_assets.stages.terms import keep_terms

#: Prompts that a person is shown.
PROMPTS = 10


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A request set that was not sent by this."""

    manifest: Manifest
    #: What of it is other than what the partition had before, and the quote.
    difference: Difference
    #: The first items with their requests.
    samples: Sequence[SampleRequest]


def preview(deployment: Deployment, recipe: Recipe, partition_key: str) -> Preview:
    """Prepare the partition and quote it; the provider is not called.

    Raises CorpusError or DeclarationError for what cannot be asked.
    """
    manifest = prepared(deployment, recipe, partition_key)
    return Preview(
        manifest=manifest,
        difference=difference(deployment, recipe, manifest),
        samples=sample_requests(deployment.files, manifest, recipe.packing.envelope, items=PROMPTS),
    )


def prepared(deployment: Deployment, recipe: Recipe, partition_key: str) -> Manifest:
    """The partition's request set as it is now, at today's price where it is new."""
    provider, files = deployment.provider, deployment.files
    check_taken(provider, recipe)
    check_rescue(deployment, recipe)
    price = price_of(recipe, provider, deployment.ledger.clock())
    limits = provider.limits
    manifest = prepare(recipe, partition_key, files=files, limits=limits, price=price)
    keep_terms(deployment, recipe, manifest.layout)
    return manifest
