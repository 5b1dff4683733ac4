"""The declaration of an inference, and the Dagster definitions that come from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import dagster as dg

from batch_assets.assets import collect_assets, submit_assets
from batch_assets.assets.automation import conditions_of, freshness_of
from batch_assets.assets.partitions_per_run import PartitionsPerRun
from batch_assets.assets.specs import Translate, inference_specs
from batch_assets.corpus import Corpus
from batch_assets.corpus.partitioning import DiscoveredKeys
from batch_assets.corpus.request_files import RequestFileCorpus
from batch_assets.domain.checks import Checks
from batch_assets.domain.errors import DeclarationError, about
from batch_assets.domain.item import is_inference_name
from batch_assets.domain.kinds import default_endpoint
from batch_assets.domain.stragglers import Stragglers
from batch_assets.domain.wave import RetryPolicy
from batch_assets.jobs import inference_jobs
from batch_assets.operations.discovery import discovery_sensor
from batch_assets.partitions import partitions_of
from batch_assets.prices.declared import Prices
from batch_assets.prompt import Prompt, output_of
from batch_assets.prompt.declared_output import Declared
from batch_assets.prompt.endpoints import Endpoint
from batch_assets.prompt.packs import Packs, endpoint_of
from batch_assets.prompt.ready import ReadyRequests
from batch_assets.stages.quality import rules_of
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
    corpus: Corpus
    #: None only for a corpus of ready-made requests.
    prompt: Prompt | None = None
    #: The provider's name of the model. None only for a corpus of ready-made requests.
    model: str | None = None
    #: chat, responses, embeddings, moderations, completions or images, or its URL; or an endpoint
    #: of the provider's own. None is what the provider of that name answers: messages for
    #: anthropic, generate_content for gemini, and chat for others.
    endpoint: str | None = None
    #: What an answer must be: a Pydantic model, dataclass or TypedDict, or its import path
    #: `package.module:Class`; a JSON schema, as a mapping or a `.json` file; Labels; JsonMode.
    #: None is free text.
    output: Declared = None
    #: Settings passed to the model with every request, as the provider names them.
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: Which items are asked again in a further wave, how often, and how soon.
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    #: Whether valid answers that earlier request sets have to the same requests are carried over.
    reuse: bool = True
    #: Whether request and answer files stay at the provider once they are collected, as long as it
    #: keeps them. False deletes them there, and the batch where it can be.
    keeps_remote: bool = True
    #: Items that share a request, at most. What a pack leaves out is asked in packs of half the
    #: size, then half again, down to one.
    rows_per_request: int = 1
    #: "required": a person approves each partition's request set, by its digest, before anything of
    #: it is sent; the job approve_batches.
    approval: Literal["required"] | None = None
    #: Requests of a partition that are asked before the rest: a sample over its length and order.
    #: The rest is sent once they pass the checks, or a person approves it. None asks all at once.
    canary: int | None = None
    #: Whether the discovery sensor, which a corpus of discovered files has, is on when the code
    #: location is first loaded. It sends what it finds; else a person turns it on.
    discovers: bool = False
    #: When it is submitted without a click: "eager", for partitions that are new and those whose
    #: upstream asset has new data; or a cron schedule. It spends money of itself; None never does.
    automation: str | None = None
    #: Hours after which `results` are too old where nothing of them was made: Dagster's freshness.
    fresh_within_hours: float | None = None
    #: What the model's batches cost; None takes the provider's published prices.
    prices: Prices | None = None
    #: Key of the provider's resource in the deployment.
    provider: str = "openai"
    #: When what the provider has not answered is asked live, at the standard price. It spends more
    #: money of itself; None never does.
    stragglers: Stragglers | None = None
    #: What is demanded of the answers of each partition, and what stands before its bundle.
    checks: Checks = field(default_factory=Checks)
    #: Partitions that a run of a backfill takes at once.
    partitions_per_run: PartitionsPerRun = field(default_factory=PartitionsPerRun)
    owners: tuple[str, ...] = ()
    description: str | None = None

    def __post_init__(self) -> None:
        if not is_inference_name(self.name):
            raise DeclarationError(
                f"inference name {self.name!r}: use letters, digits and underscores, "
                "no digit first, 63 at most",
                setting="name",
            )
        if self.discovers and not isinstance(self.corpus.partitioning, DiscoveredKeys):
            raise DeclarationError(
                f"inference {self.name}: discovers=True is for a corpus whose partitions are "
                "discovered: FileCorpus(partition_by=Discovered()), or "
                "RequestFileCorpus(partitions='discovered')",
                setting="discovers",
            )
        if self.approval not in (None, "required"):
            raise DeclarationError(
                f"inference {self.name}: approval is {self.approval!r}; give 'required', or leave "
                "it out",
                setting="approval",
            )
        if self.canary is not None and self.canary < 1:
            raise DeclarationError(
                f"inference {self.name}: canary is {self.canary}; give the number of requests that "
                "are asked first, 1 at least, or leave it out",
                setting="canary",
            )
        if self.stragglers is not None and self.stragglers.provider == self.provider:
            raise DeclarationError(
                f"inference {self.name}: stragglers are asked by {self.provider}, which has them: "
                "name a lane, such as openai_live, or leave stragglers out",
                setting="stragglers",
            )
        conditions_of(self.automation)
        freshness_of(self.fresh_within_hours)
        recipe = self.recipe()
        with about("checks"):
            rules_of(recipe)
        # The other partitions are checked when their requests are made: every process that loads
        # this would open every file, and one that is broken would keep all from loading.
        if self.corpus.opens_at_load and (partition_keys := self.corpus.partition_keys()):
            with about("prompt"):
                columns_of(recipe, partition_keys[0])

    def recipe(self) -> Recipe:
        """The declaration compiled: what the stages work from."""
        endpoint = self._endpoint()
        return Recipe(
            inference=self.name,
            model=endpoint.model,
            corpus=self.corpus,
            endpoint=endpoint,
            retries=self.retries,
            reuse=self.reuse,
            keeps_remote=self.keeps_remote,
            checks=self.checks,
            prices=self.prices,
            needs_approval=self.approval == "required",
            canary=self.canary,
            stragglers=self.stragglers,
        )

    def _endpoint(self) -> Endpoint | ReadyRequests | Packs:
        with about("output"):
            output = output_of(self.output)
        if isinstance(self.corpus, RequestFileCorpus):
            if self.prompt is not None or self.model is not None:
                raise DeclarationError(
                    f"inference {self.name}: ready-made requests have their prompt and model in "
                    "their bodies; leave out prompt and model",
                    setting="model" if self.prompt is None else "prompt",
                )
            if self.rows_per_request != 1:
                raise DeclarationError(
                    f"inference {self.name}: ready-made requests are sent as they are; leave out "
                    "rows_per_request",
                    setting="rows_per_request",
                )
            with about("settings"):
                return ReadyRequests.compiled(
                    **self.corpus.shape._asdict(), output=output, settings=self.settings
                )
        if self.prompt is None or self.model is None:
            lacking = "prompt" if self.prompt is None else "model (model_name in YAML)"
            raise DeclarationError(
                f"inference {self.name}: it has no {lacking}; only ready-made requests need none",
                setting="prompt" if self.prompt is None else "model",
            )
        with about("prompt"):
            fields = self.prompt.fields()
        if not fields:
            raise DeclarationError(
                f"inference {self.name}: the prompt reads no field of the corpus, so every item "
                "would be asked the same; name a column as {{ column }}",
                setting="prompt",
            )
        with about("rows_per_request"):
            return endpoint_of(
                self.endpoint or default_endpoint(self.provider),
                model=self.model,
                prompt=self.prompt,
                output=output,
                settings=self.settings,
                rows_per_request=self.rows_per_request,
            )


#: The newest declaration of each name that this process made definitions of: Dagster's own have no
#: place for it, and the command line works from it.
_declared: dict[str, Inference] = {}


def declared_inferences() -> Mapping[str, Inference]:
    """The inferences that this process made definitions of, by name."""
    return dict(_declared)


def batch_inference(inference: Inference, *, translate: Translate | None = None) -> dg.Definitions:
    """The assets, checks and jobs of one inference, and the sensor that discovers its partitions.

    `translate` gives the assets other keys, groups, owners, tags, descriptions, automation
    conditions and so on: it is called with the AssetSpec of each and returns it changed. Merge
    them with the deployment's resources, `batch_ledger`, `batch_files` and the provider's, and
    give the whole to `with_operations`.
    """
    recipe = inference.recipe()
    _declared[inference.name] = inference
    specs = inference_specs(
        recipe,
        provider=inference.provider,
        owners=inference.owners,
        description=inference.description,
        automation=inference.automation,
        fresh_within_hours=inference.fresh_within_hours,
        translate=translate,
    )
    keys = specs.keys
    partitions = partitions_of(inference.corpus, inference.name)
    width = inference.partitions_per_run
    submit = submit_assets(recipe, specs, partitions, partitions_per_run=width.submit)
    collect = collect_assets(recipe, specs, partitions, partitions_per_run=width.collect)
    sensors = []
    if isinstance(partitions, dg.DynamicPartitionsDefinition) and isinstance(
        inference.corpus.partitioning, DiscoveredKeys
    ):
        discovery = discovery_sensor(
            inference.corpus,
            keys,
            partitions,
            is_on=inference.discovers,
            partitions_per_run=width.submit,
        )
        sensors = [discovery]
    return dg.Definitions(
        assets=[submit, collect],
        jobs=inference_jobs(recipe, specs, partitions),
        sensors=sensors,
    )
