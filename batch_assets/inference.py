"""The declaration of an inference, and the Dagster definitions that come from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from pydantic import BaseModel

from batch_assets.assets import collect_assets, submit_assets
from batch_assets.assets.keys import InferenceKeys
from batch_assets.corpus import FileCorpus
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.item import is_inference_name
from batch_assets.domain.wave import RetryPolicy
from batch_assets.jobs import inference_jobs
from batch_assets.partitions import partitions_of
from batch_assets.prompt import OutputType, Prompt
from batch_assets.prompt.chat import ChatRequests, check_settings
from batch_assets.stages.recipe import Recipe
from batch_assets.stages.survey import columns_of


@dataclass(frozen=True, kw_only=True)
class Inference:
    """What is asked of a model about every item of a corpus.

    It is checked as a whole when it is made, against the first partition of the corpus:
    DeclarationError and CorpusError name what is wrong, where, and the way out, before anything
    can be sent.
    """

    #: Names the group of assets; letters, digits and underscores.
    name: str
    corpus: FileCorpus
    prompt: Prompt
    #: The provider's name of the model.
    model: str
    #: A Pydantic model, or its import path `package.module:Class`.
    output: type[BaseModel] | str
    #: Settings passed to the model with every request, as the provider names them.
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: Which items are asked again in a further wave, how often, and how soon.
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    #: Key of the provider's resource in the deployment.
    provider: str = "openai"
    #: Smallest coverage with which the coverage check passes, 0 to 1.
    min_coverage: float = 0.95
    owners: tuple[str, ...] = ()
    description: str | None = None

    def __post_init__(self) -> None:
        if not is_inference_name(self.name):
            raise DeclarationError(
                f"inference name {self.name!r}: use letters, digits and underscores, "
                "no digit first, 63 at most"
            )
        if not 0 <= self.min_coverage <= 1:
            raise DeclarationError(
                f"inference {self.name}: min_coverage is {self.min_coverage}, not a share of 0 to 1"
            )
        if not self.prompt.fields():
            raise DeclarationError(
                f"inference {self.name}: the prompt reads no field of the corpus, so every item "
                "would be asked the same; name a column as {{ column }}"
            )
        check_settings(self.settings)
        # The other partitions are checked when their requests are made: every process that loads
        # this would open every file, and one that is broken would keep all from loading.
        columns_of(self.recipe(), self.corpus.partition_keys()[0])

    def recipe(self) -> Recipe:
        """The declaration compiled: what the stages work from."""
        output = (
            OutputType.from_path(self.output)
            if isinstance(self.output, str)
            else OutputType(self.output)
        )
        return Recipe(
            inference=self.name,
            model=self.model,
            corpus=self.corpus,
            requests=ChatRequests(
                model=self.model, prompt=self.prompt, output=output, settings=self.settings
            ),
            output=output,
            retries=self.retries,
        )


def batch_inference(inference: Inference) -> dg.Definitions:
    """The assets, checks and jobs of one inference.

    Merge them with the deployment's resources, `batch_ledger`, `batch_files` and the provider's,
    and give the whole to `with_operations`.
    """
    recipe = inference.recipe()
    keys = InferenceKeys(
        inference=inference.name, provider=inference.provider, owners=inference.owners
    )
    partitions = partitions_of(inference.corpus)
    submit = submit_assets(recipe, keys, partitions, description=inference.description)
    collect = collect_assets(recipe, keys, partitions, min_coverage=inference.min_coverage)
    if submit.backfill_policy == collect.backfill_policy:
        raise DeclarationError(
            "submit and collect must have different backfill policies: with equal ones Dagster "
            "asks for results in the very run that submits them"
        )
    return dg.Definitions(assets=[submit, collect], jobs=inference_jobs(recipe, keys, partitions))
